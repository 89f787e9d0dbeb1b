import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { mapBounded } from "../../../cli/parallel.ts";

test("every item is worked on once, in bounds, and results come in item order", async () => {
  const cases = fc.asyncProperty(
    fc.array(fc.nat(3), { maxLength: 40 }),
    fc.integer({ min: 1, max: 10 }),
    async (waits, limit) => {
      let running = 0;
      let most = 0;
      const results = await mapBounded([...waits.entries()], limit, async ([index, wait]) => {
        running += 1;
        most = Math.max(most, running);
        await delay(wait);
        running -= 1;
        return index;
      });
      assert.deepEqual(results, [...waits.keys()]);
      assert.equal(most, Math.min(limit, waits.length));
    },
  );
  await fc.assert(cases, { numRuns: 40 });
});

test("one slow item holds up nobody", async () => {
  const finished: number[] = [];
  await mapBounded([200, 1, 1, 1, 1, 1], 2, async (wait) => {
    await delay(wait);
    finished.push(wait);
  });
  assert.equal(finished.at(-1), 200);
});

test("after an abort nothing new starts and what runs is awaited", async () => {
  const controller = new AbortController();
  const started: number[] = [];
  const results = await mapBounded(
    [1, 2, 3, 4, 5],
    2,
    async (item) => {
      started.push(item);
      await delay(10);
      controller.abort();
      return item;
    },
    controller.signal,
  );
  assert.deepEqual(started, [1, 2]);
  assert.deepEqual(results, [1, 2]);
});
