/**
 * A bound on the rate of one transfer: from a stream of bytes to the same bytes, later. A token bucket: time fills it,
 * bytes empty it, and a debt is waited for.
 */
import { setTimeout as sleep } from "node:timers/promises";

/** State of a bucket. */
export interface Bucket {
  /** Bytes that may be sent at once; negative while there is a debt. */
  readonly tokens: number;
  /** Milliseconds of the clock at which {@link tokens} was right. */
  readonly at: number;
}

/** Milliseconds of the rate that may be sent in one burst. */
const BURST_MS = 500;

/** Most bytes of a burst. */
export function burstOf(bytesPerSecond: number): number {
  return Math.max(1, Math.floor((bytesPerSecond * BURST_MS) / 1000));
}

/** A full bucket. @param now milliseconds of any clock that does not go back */
export function fullBucket(bytesPerSecond: number, now: number): Bucket {
  return { tokens: burstOf(bytesPerSecond), at: now };
}

/**
 * Takes bytes out of a bucket.
 * @returns the bucket after it, and how long to wait before they are sent
 */
export function takeBytes(
  bucket: Bucket,
  bytes: number,
  bytesPerSecond: number,
  now: number,
): { readonly bucket: Bucket; readonly waitMs: number } {
  const refilled = bucket.tokens + (Math.max(0, now - bucket.at) * bytesPerSecond) / 1000;
  const tokens = Math.min(burstOf(bytesPerSecond), refilled) - bytes;
  return {
    bucket: { tokens, at: Math.max(now, bucket.at) },
    waitMs: tokens >= 0 ? 0 : Math.ceil((-tokens / bytesPerSecond) * 1000),
  };
}

/**
 * The chunks of a source, not faster than the rate.
 * @param source chunks of at most {@link burstOf} bytes keep the pace even
 */
export async function* paced(source: AsyncIterable<Uint8Array>, bytesPerSecond: number): AsyncGenerator<Uint8Array> {
  let bucket = fullBucket(bytesPerSecond, performance.now());
  for await (const chunk of source) {
    const taken = takeBytes(bucket, chunk.length, bytesPerSecond, performance.now());
    bucket = taken.bucket;
    if (taken.waitMs > 0) await sleep(taken.waitMs);
    yield chunk;
  }
}
