import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  BUCKETS,
  bucketOf,
  planShards,
  type Shard,
  STATUS_LIMIT_BYTES,
  statusEntryBytes,
} from "../../../components/gitops/shards.ts";

const ids = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9-]{0,20}[a-z0-9]$/), { maxLength: 60 });
const applications = (list: readonly string[]) => list.map((device) => ({ device, name: `${device}-workloads` }));
const plan = (list: readonly string[], limit?: number) => planShards("argocd-tokyo", applications(list), limit);
const holds = ({ buckets }: Shard, device: string) => buckets?.includes(bucketOf(device)) ?? true;

/** Bytes of the status of a shard. */
function load(shard: Shard, list: readonly string[]): number {
  return list
    .filter((device) => holds(shard, device))
    .reduce((sum, device) => sum + statusEntryBytes("argocd-tokyo", `${device}-workloads`), 0);
}

/** The least limit that any division keeps: the fullest bucket. */
function fullestBucket(list: readonly string[]): number {
  const shards = Array.from({ length: BUCKETS }, (_, bucket) => ({ suffix: "", buckets: [String(bucket)] }));
  return Math.max(1, ...shards.map((shard) => load(shard, list)));
}

test("every device is in exactly one set, and no set outgrows the limit", () => {
  fc.assert(
    fc.property(ids, fc.double({ min: 0, max: 1, noNaN: true }), (list, share) => {
      const least = fullestBucket(list);
      const limit = least + share * 20_000;
      const shards = plan(list, limit);
      for (const device of list) assert.equal(shards.filter((shard) => holds(shard, device)).length, 1, device);
      for (const shard of shards) assert.ok(load(shard, list) <= limit);
      assert.equal(new Set(shards.map(({ suffix }) => suffix)).size, shards.length);
    }),
  );
});

test("there are no more sets than needed: half of them would be too few", () => {
  fc.assert(
    fc.property(ids, (list) => {
      const limit = fullestBucket(list);
      const shards = plan(list, limit);
      if (shards.length === 1) return;
      const half = shards.length / 2;
      const merged = Array.from({ length: half }, (_, part) => ({
        suffix: "",
        buckets: [...(shards[part]?.buckets ?? []), ...(shards[part + half]?.buckets ?? [])],
      }));
      assert.ok(merged.some((shard) => load(shard, list) > limit));
    }),
  );
});

test("a device that joins moves no other one, unless the number of sets changes", () => {
  fc.assert(
    fc.property(ids, fc.integer({ min: 500, max: 5000 }), (list, limit) => {
      fc.pre(list.length > 1 && fullestBucket(list) <= limit);
      const [before, after] = [plan(list.slice(1), limit), plan(list, limit)];
      if (before.length === after.length) assert.deepEqual(after, before);
      else assert.equal(after.length % before.length, 0, "sets double: each old one is split, none is mixed");
    }),
  );
});

test("the order of devices does not matter", () => {
  fc.assert(
    fc.property(ids, (list) => {
      assert.deepEqual(plan([...list].reverse(), 4000 + fullestBucket(list)), plan(list, 4000 + fullestBucket(list)));
    }),
  );
});

test("the entry is as long as the controller's longest, which Argo CD's own code writes so", () => {
  const stored =
    '{"group":"argoproj.io","health":{"status":"Progressing"},"kind":"Application","name":"a","namespace":"b",' +
    '"status":"OutOfSync","version":"v1alpha1"}';
  assert.equal(statusEntryBytes("b", "a"), stored.length + 1);
});

test("a set holds thousands of Applications with the longest names, and 5,000 devices of one region get two", () => {
  const longest = statusEntryBytes(`argocd-${"r".repeat(30)}`, "d".repeat(63));
  assert.ok(Math.floor(STATUS_LIMIT_BYTES / longest) > 4000);
  assert.ok(STATUS_LIMIT_BYTES + 256 * 1024 < 1.5 * 1024 * 1024, "room for the rest of the object");
  const list = Array.from({ length: 5000 }, (_, index) => `tokyo-shop-${index}`);
  assert.equal(plan(list.slice(0, 4000)).length, 1);
  assert.equal(plan(Array.from({ length: 12_000 }, (_, index) => `tokyo-shop-${index}`)).length, 4);
});

test("buckets are even enough that the fullest of 64 is no more than half again as full as the mean", () => {
  const counts = new Map<string, number>();
  for (let index = 0; index < 6400; index += 1) {
    const bucket = bucketOf(`tokyo-shop-${index}`);
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
  }
  assert.equal(counts.size, BUCKETS);
  assert.ok(Math.max(...counts.values()) < 150);
});

test("a region beyond 64 sets is refused", () => {
  assert.throws(() => plan(["a", "b"], 10), /^Error: namespace argocd-tokyo would hold 2 Applications .* - split/);
});
