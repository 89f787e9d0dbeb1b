/**
 * A bounded parallel map: at most N items at work at a time, a new one starts as soon as one ends (no batches, so that
 * one slow device holds up nobody).
 */

/**
 * Maps items with at most `limit` calls of `work` at a time.
 * @param items what to work on
 * @param limit calls at a time, at least 1
 * @param work must not reject for one item's failure: a rejection ends the whole map
 * @param signal once aborted, no further item starts; those at work are awaited
 * @returns the results of the items that were started, in item order
 */
export async function mapBounded<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<R>,
  signal?: AbortSignal,
): Promise<R[]> {
  const results: { readonly index: number; readonly value: R }[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    while (!signal?.aborted) {
      const next = queue.next();
      if (next.done) return;
      const [index, item] = next.value;
      results.push({ index, value: await work(item) });
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(limit, items.length)) }, worker));
  return results.sort((a, b) => a.index - b.index).map(({ value }) => value);
}
