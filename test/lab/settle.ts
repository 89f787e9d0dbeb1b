/** Waiting for what a controller makes, where the last look tells a test more than a time-out would. */
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";

const POLL_MS = 200;

/**
 * Waits until what is looked at equals what is wanted.
 * @returns the last look, for an assertion that shows the difference
 */
export async function settle<T>(look: () => Promise<T>, wanted: NoInfer<T>, timeoutMs: number): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (isDeepStrictEqual(seen, wanted) || performance.now() > deadline) return seen;
    await sleep(POLL_MS);
  }
}
