/**
 * Fetches one large file over HTTP to the disk, and computes its digests. What arrived stays beside the target as
 * `<target>.part`, so that a download that breaks off goes on where it stopped, in the same run or a later one.
 */
import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { open as openFile } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { attempt, DEFAULT_BOUNDS, type HttpBounds, open, refusal, TransientError } from "./http.ts";

/** What a file is. */
export interface Digests {
  /** Lower-case hex. */
  readonly sha256: string;
  /** Lower-case hex; the digest that the Snap Store signs. */
  readonly sha3_384: string;
  /** Bytes. */
  readonly size: number;
}

/** How a file is fetched. */
export interface FetchOptions {
  /** A file with another SHA-256 is thrown away. Without it, a plain-HTTP redirect is refused. */
  readonly sha256?: string;
  /** Longest that the file can be, in bytes. Default 4 GiB. */
  readonly maxBytes?: number;
  /** Sent to the first host. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: half an hour an attempt, four attempts. */
  readonly bounds?: HttpBounds;
}

const LARGE_BOUNDS: HttpBounds = { ...DEFAULT_BOUNDS, timeoutMs: 30 * 60_000, attempts: 4 };
const MAX_BYTES = 4 * 1024 ** 3;

/**
 * Fetches a file. Folders are made; the target appears in one step, whole and checked.
 * @param target path of the file
 * @throws Error naming the URL, what happened and the fix
 */
export async function fetchFile(url: string, target: string, options: FetchOptions = {}): Promise<Digests> {
  mkdirSync(dirname(target), { recursive: true });
  const part = `${target}.part`;
  const resumed = sizeOf(part) > 0;
  if (resumed && options.sha256 !== undefined) {
    const whole = await digestsOf(part);
    if (whole.sha256 === options.sha256) {
      renameSync(part, target);
      return whole;
    }
  }
  let digests = await fetchPart(url, part, options);
  if (wrong(digests, options) && resumed) {
    rmSync(part);
    digests = await fetchPart(url, part, options);
  }
  if (wrong(digests, options)) {
    rmSync(part);
    throw new Error(
      `${url}: has SHA-256 ${digests.sha256}, locked is ${options.sha256} - fix the mirror or the lock file`,
    );
  }
  renameSync(part, target);
  return digests;
}

/** Digests of a file on disk. */
export async function digestsOf(path: string): Promise<Digests> {
  const [sha256, sha3] = [createHash("sha256"), createHash("sha3-384")];
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    sha256.update(chunk);
    sha3.update(chunk);
    size += chunk.length;
  }
  return { sha256: sha256.digest("hex"), sha3_384: sha3.digest("hex"), size };
}

function wrong(digests: Digests, { sha256 }: FetchOptions): boolean {
  return sha256 !== undefined && digests.sha256 !== sha256;
}

async function fetchPart(url: string, part: string, options: FetchOptions): Promise<Digests> {
  const seen: Seen = { etag: undefined };
  await attempt(url, options.bounds ?? LARGE_BOUNDS, (signal) => append(url, part, options, seen, signal));
  return digestsOf(part);
}

/** Strong entity tag of the bytes that this run has begun with, so that it never goes on with others. */
interface Seen {
  etag: string | undefined;
}

async function append(
  url: string,
  part: string,
  options: FetchOptions,
  seen: Seen,
  signal: AbortSignal,
): Promise<void> {
  const have = sizeOf(part);
  const range = have > 0 ? { range: `bytes=${have}-` } : undefined;
  const condition = range !== undefined && seen.etag !== undefined ? { "if-range": seen.etag } : undefined;
  const response = await open(
    url,
    { headers: { ...options.headers, ...range, ...condition }, plain: options.sha256 !== undefined },
    signal,
  );
  const start = rangeStart(response, have);
  if (start === undefined) {
    await response.body?.cancel();
    rmSync(part, { force: true });
    throw new TransientError("the server and the part on disk disagree - starting anew");
  }
  if (!response.ok) throw await refusal(response);
  const etag = response.headers.get("etag");
  seen.etag = etag?.startsWith('"') ? etag : undefined;
  const left = (options.maxBytes ?? MAX_BYTES) - start;
  // Opened before anything can fail: a stream that opens by itself could make the file after it was removed.
  const sink = (await openFile(part, start > 0 ? "a" : "w", 0o600)).createWriteStream();
  try {
    await pipeline(bounded(response, left), sink);
  } catch (error) {
    if (error instanceof TooLong) {
      rmSync(part, { force: true });
      throw new Error(`is longer than ${left + start} bytes, so it is another file - check the URL`);
    }
    throw new TransientError("the download broke off", { cause: error });
  }
}

/**
 * The byte at which an answer's body starts.
 * @param asked the byte that was asked for
 * @returns undefined when the answer cannot go on from there, and the part has to be thrown away
 */
export function rangeStart(response: Pick<Response, "status" | "headers">, asked: number): number | undefined {
  if (asked === 0) return 0;
  if (response.status === 416) return undefined;
  if (response.status !== 206) return 0;
  const told = /^bytes (\d{1,15})-/.exec(response.headers.get("content-range") ?? "")?.[1];
  return told !== undefined && Number(told) === asked ? asked : undefined;
}

class TooLong extends Error {}

async function* bounded(response: Response, left: number): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  let size = 0;
  for await (const chunk of Readable.fromWeb(response.body as never)) {
    size += chunk.length;
    if (size > left) throw new TooLong();
    yield chunk;
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
