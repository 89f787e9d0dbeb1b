/**
 * Bounded HTTP for the lock: from a URL to the bytes behind it or to their number. Every attempt has a deadline, a body
 * has a limit, and only what may heal by itself (no connection, 429, 5xx) is tried again.
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

/** A failure that another attempt may mend. */
class PassingError extends Error {}

/**
 * Downloads a file.
 * @param maxBytes a longer body is refused
 * @throws Error naming the URL, what happened and the mend
 */
export function download(url: string, maxBytes: number, bounds: HttpBounds = DEFAULT_BOUNDS): Promise<Buffer> {
  return attempt(url, bounds, async (signal) => {
    const response = await request(url, "GET", signal);
    if (!response.ok) throw refusal(response.status);
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
    const response = await request(url, "HEAD", signal);
    if (!response.ok && response.status !== 403 && response.status !== 405 && response.status !== 501)
      throw refusal(response.status);
    const text = response.headers.get("content-length") ?? "";
    const told = response.ok && !response.headers.has("content-encoding") && /^[1-9]\d{0,14}$/.test(text);
    return told ? Number(text) : undefined;
  });
}

async function attempt<T>(url: string, bounds: HttpBounds, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  for (let number = 1; ; number++) {
    try {
      return await work(AbortSignal.timeout(bounds.timeoutMs));
    } catch (error) {
      const reason = reasonOf(error, bounds.timeoutMs);
      const tries = number === 1 ? "" : ` (${number} attempts)`;
      if (!(error instanceof PassingError) || number >= bounds.attempts)
        throw new Error(`${url}: ${reason}${tries}`, { cause: error });
      await sleep(bounds.pauseMs * 2 ** (number - 1));
    }
  }
}

async function request(url: string, method: "GET" | "HEAD", signal: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { method, signal, headers: { "accept-encoding": "identity" } });
  } catch (error) {
    throw new PassingError("no answer", { cause: error });
  }
  if (url.startsWith("https:") && response.url.startsWith("http:")) {
    await response.body?.cancel();
    throw new Error("redirects to plain HTTP, which proves nothing about the bytes - use another base URL");
  }
  return response;
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
    throw new PassingError("the download broke off", { cause: error });
  }
  if (size > maxBytes) throw new Error(`is longer than ${maxBytes} bytes, so it is another file - check the base URL`);
  return Buffer.concat(chunks);
}

function refusal(status: number): Error {
  const text = `HTTP ${status}`;
  if (status === 429 || status >= 500) return new PassingError(`${text} - the server is at fault: run again later`);
  if (status === 404) return new Error(`${text} - no such release or file there: check the version and the base URL`);
  return new Error(`${text} - check the base URL`);
}

/** fetch says only "fetch failed"; what happened stands in the causes. */
function reasonOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  const chain: Error[] = [];
  for (let link: unknown = error; link instanceof Error; link = link.cause) chain.push(link);
  if (chain.some(({ name }) => name === "TimeoutError"))
    return `${error.message} within ${timeoutMs / 1000} s - check the network, or use a mirror with --k3s-base or --argocd-base`;
  const root = chain.at(-1);
  if (root === undefined || root === error) return error.message;
  return `${error.message}: ${root.message || root.name} - check the network, or use a mirror with --k3s-base or --argocd-base`;
}
