import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { burstOf, fullBucket, paced, takeBytes } from "../../../cli/push/pace.ts";

test("a full bucket lets one burst through, and then asks for the time that the debt takes", () => {
  const full = fullBucket(1000, 0);
  const burst = takeBytes(full, 500, 1000, 0);
  assert.deepEqual(burst, { bucket: { tokens: 0, at: 0 }, waitMs: 0 });
  assert.equal(takeBytes(burst.bucket, 250, 1000, 0).waitMs, 250);
  assert.equal(takeBytes(burst.bucket, 250, 1000, 100).waitMs, 150);
  assert.equal(takeBytes(burst.bucket, 250, 1000, 60_000).waitMs, 0);
});

test("whatever the chunks and the pauses, no more than the rate and one burst passes", () => {
  const steps = fc.array(fc.record({ bytes: fc.nat(100_000), pause: fc.nat(2_000) }), { minLength: 1, maxLength: 100 });
  fc.assert(
    fc.property(steps, fc.integer({ min: 16 * 1024, max: 10_000_000 }), (chunks, rate) => {
      let now = 0;
      let sent = 0;
      let bucket = fullBucket(rate, now);
      for (const { bytes, pause } of chunks) {
        now += pause;
        const taken = takeBytes(bucket, bytes, rate, now);
        bucket = taken.bucket;
        now += taken.waitMs;
        sent += bytes;
        assert.ok(sent <= burstOf(rate) + (now * rate) / 1000 + 1, `${sent} bytes after ${now} ms at ${rate} B/s`);
      }
    }),
  );
});

test("no chunk waits longer than its own bytes and the debt before it need", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 50_000 }), { minLength: 1 }), (chunks) => {
      const rate = 100_000;
      let now = 0;
      let bucket = fullBucket(rate, now);
      for (const bytes of chunks) {
        const taken = takeBytes(bucket, bytes, rate, now);
        assert.ok(taken.waitMs <= Math.ceil((bytes / rate) * 1000) + 1);
        bucket = taken.bucket;
        now += taken.waitMs;
      }
    }),
  );
});

test("a paced stream carries the same bytes in the same order", async () => {
  const chunks = [Buffer.from("one "), Buffer.from("two "), Buffer.from("three")];
  const source = (async function* () {
    yield* chunks;
  })();
  const out: Uint8Array[] = [];
  for await (const chunk of paced(source, 1_000_000)) out.push(chunk);
  assert.deepEqual(out, chunks);
});
