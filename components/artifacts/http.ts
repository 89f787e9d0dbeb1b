/**
 * Bounded HTTP for the lock and the mirror: an answer, the bytes behind a URL, or their number. Every attempt has a
 * deadline, a body has a limit, only what may heal by itself (no connection, 429, 5xx) is tried again, and a redirect
 * never leads from a protected connection to a plain one.
 */
import { setTimeout as sleep } from "node:timers/promises";

/** Bounds of one request. */
export interface HttpBounds {
  /** Milliseconds for one attempt, body included. Default 60,000. */
  readonly timeoutMs: number;
  /** Attempts in all. Default 3. */
  readonly attempts: number;
  /** Milliseconds before the second attempt, doubled for each one after it. Default 1,000. */
  readonly pauseMs: number;
}

/** Bounds for a release server on the internet. */
export const DEFAULT_BOUNDS: HttpBounds = { timeoutMs: 60_000, attempts: 3, pauseMs: 1_000 };

/** What is asked for. */
export interface HttpRequest {
  /** Default GET. */
  readonly method?: "GET" | "HEAD";
  /** Beside `accept-encoding: identity`. An `authorization` stays with the first host. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * A plain URL may redirect to any other plain one. Only for bytes whose hash is known before. Default false: to
   * loopback alone.
   */
  readonly plain?: boolean;
}

/** A failure that another attempt may fix: nobody answers, or the server is at fault. */
export class TransientError extends Error {}

/** Redirects that are followed; more are a loop. */
const MAX_REDIRECTS = 10;

/**
 * Downloads a file into memory.
 * @param maxBytes a longer body is refused
 * @throws Error naming the URL, what happened and the fix; a {@link TransientError} where nobody answered
 */
export function download(
  url: string,
  maxBytes: number,
  bounds: HttpBounds = DEFAULT_BOUNDS,
  request: HttpRequest = {},
): Promise<Buffer> {
  return attempt(url, bounds, async (signal) => {
    const response = await open(url, request, signal);
    if (!response.ok) throw await refusal(response);
    return readBody(response, maxBytes);
  });
}

/**
 * Asks for a file's size without its bytes.
 * @returns bytes, or undefined when the server does not tell
 * @throws Error when the file is not there, or nobody answers
 */
export function contentLength(url: string, bounds: HttpBounds = DEFAULT_BOUNDS): Promise<number | undefined> {
  return attempt(url, bounds, async (signal) => {
    const response = await open(url, { method: "HEAD" }, signal);
    if (!response.ok && ![403, 405, 501].includes(response.status)) throw await refusal(response);
    const text = response.headers.get("content-length") ?? "";
    const told = response.ok && !response.headers.has("content-encoding") && /^[1-9]\d{0,14}$/.test(text);
    return told ? Number(text) : undefined;
  });
}

/**
 * Does some work again while it fails in a way that may pass.
 * @param url named in errors
 * @throws Error naming the URL, what happened and the fix
 */
export async function attempt<T>(
  url: string,
  bounds: HttpBounds,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  for (let number = 1; ; number++) {
    try {
      return await work(AbortSignal.timeout(bounds.timeoutMs));
    } catch (error) {
      const reason = reasonOf(error, bounds.timeoutMs);
      const tries = number === 1 ? "" : ` (${number} attempts)`;
      const transient = error instanceof TransientError;
      if (!transient) throw new Error(`${url}: ${reason}${tries}`, { cause: error });
      if (number >= bounds.attempts) throw new TransientError(`${url}: ${reason}${tries}`, { cause: error });
      await sleep(bounds.pauseMs * 2 ** (number - 1));
    }
  }
}

/**
 * One request, redirects followed.
 * @throws Error for a redirect that proves nothing; TransientError when nobody answers
 */
export async function open(url: string, request: HttpRequest, signal: AbortSignal): Promise<Response> {
  let target = new URL(url);
  const { authorization, ...others } = request.headers ?? {};
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const own = authorization !== undefined && target.host === new URL(url).host ? { authorization } : {};
    const headers = { "accept-encoding": "identity", ...others, ...own };
    const response = await answerOf(target, { method: request.method ?? "GET", headers, signal, redirect: "manual" });
    const location = [301, 302, 303, 307, 308].includes(response.status) ? response.headers.get("location") : null;
    if (location === null) return response;
    await response.body?.cancel();
    if (!URL.canParse(location, target)) throw new Error("redirects to something that is no URL - check the base URL");
    const next = new URL(location, target);
    const problem = redirectProblem(target, next, request.plain === true);
    if (problem !== undefined) throw new Error(problem);
    target = next;
  }
  throw new Error(`redirects more than ${MAX_REDIRECTS} times - check the base URL`);
}

/**
 * Why a redirect is not followed.
 * @param plain see {@link HttpRequest.plain}
 * @returns undefined when it is
 */
export function redirectProblem(from: URL, to: URL, plain: boolean): string | undefined {
  if (to.protocol === "https:") return undefined;
  if (to.protocol === "http:" && from.protocol === "http:" && (plain || isLoopback(to.hostname))) return undefined;
  return "redirects to plain HTTP, which proves nothing about the bytes - use another base URL";
}

/** Whether a URL's host name is this machine, to which plain HTTP is as good as any. */
export function isLoopback(hostname: string): boolean {
  return /^(127(\.\d+){3}|localhost|\[::1\])$/.test(hostname);
}

async function answerOf(url: URL, options: RequestInit): Promise<Response> {
  try {
    return await fetch(url, options);
  } catch (error) {
    throw new TransientError("no answer", { cause: error });
  }
}

async function readBody(response: Response, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      chunks.push(chunk);
      if (size > maxBytes) break;
    }
  } catch (error) {
    throw new TransientError("the download broke off", { cause: error });
  }
  if (size > maxBytes) throw new Error(`is longer than ${maxBytes} bytes, so it is another file - check the base URL`);
  return Buffer.concat(chunks);
}

/** The error for an answer that is none of 2xx; lets go of its body. */
export async function refusal(response: Response): Promise<Error> {
  await response.body?.cancel();
  const { status } = response;
  const text = `HTTP ${status}`;
  if (status === 429 || status >= 500) return new TransientError(`${text} - the server is at fault: run again later`);
  if (status === 404) return new Error(`${text} - no such release or file there: check the version and the base URL`);
  return new Error(`${text} - check the base URL`);
}

/** fetch says only "fetch failed"; what happened stands in the causes. */
function reasonOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  const chain: Error[] = [];
  for (let link: unknown = error; link instanceof Error; link = link.cause) chain.push(link);
  const fix = "check the network, or use a mirror (options --*-base)";
  if (chain.some(({ name }) => name === "TimeoutError"))
    return `${error.message} within ${timeoutMs / 1000} s - ${fix}`;
  const root = chain.at(-1);
  if (root === undefined || root === error) return error.message;
  return `${error.message}: ${root.message || root.name} - ${fix}`;
}
