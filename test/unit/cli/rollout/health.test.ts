/** When a ring is healthy. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type DeviceStatus,
  type DeviceVerdict,
  type HealthRules,
  judgeDevice,
  judgeRing,
} from "../../../../cli/rollout/health.ts";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const MINUTE = 60_000;
const [SHA, OLD] = ["a".repeat(40), "b".repeat(40)];
const RULES: HealthRules = {
  revision: SHA,
  promotedAt: NOW - 120 * MINUTE,
  minHealthyPercent: 95,
  maxFailures: 2,
  maxAgeMs: 30 * MINUTE,
};

const ago = (minutes: number): string => new Date(NOW - minutes * MINUTE).toISOString();
const GOOD: DeviceStatus = { connected: true, healthy: true, revision: SHA, observedAt: ago(1) };

const devices: [what: string, status: DeviceStatus | undefined, verdict: DeviceVerdict][] = [
  ["nothing known", undefined, "unreported"],
  ["well", GOOD, "healthy"],
  ["well, observed at the bound", { ...GOOD, observedAt: ago(30) }, "healthy"],
  ["well, but that was long ago", { ...GOOD, observedAt: ago(30.001) }, "stale"],
  ["well, dated in the future", { ...GOOD, observedAt: ago(-31) }, "stale"],
  ["well, without a readable date", { ...GOOD, observedAt: "yesterday" }, "stale"],
  ["well on another revision", { ...GOOD, revision: OLD }, "behind"],
  ["well on an unknown revision", { ...GOOD, revision: undefined }, "behind"],
  ["not well", { ...GOOD, healthy: false }, "failed"],
  ["not well, long ago", { ...GOOD, healthy: false, observedAt: ago(99) }, "stale"],
  ["not well on another revision", { ...GOOD, healthy: false, revision: OLD }, "behind"],
  ["away", { ...GOOD, connected: false, healthy: false }, "offline"],
  ["away, well before", { ...GOOD, connected: false, observedAt: ago(600) }, "offline"],
  [
    "away since long before the promotion",
    { ...GOOD, connected: false, revision: OLD, lastSeenAt: ago(600) },
    "offline",
  ],
  [
    "seen just before the promotion and never since",
    { ...GOOD, connected: false, revision: OLD, lastSeenAt: ago(125) },
    "lost",
  ],
  [
    "seen after the promotion, ill, and gone",
    { ...GOOD, connected: false, healthy: false, lastSeenAt: ago(100) },
    "lost",
  ],
  ["seen well on the revision, then gone", { ...GOOD, connected: false, lastSeenAt: ago(100) }, "offline"],
];

for (const [what, status, verdict] of devices) {
  test(`a device that is ${what} counts as ${verdict}`, () => assert.equal(judgeDevice(status, RULES, NOW), verdict));
}

/** A ring with so many devices of each verdict. */
function ring(counts: Partial<Record<DeviceVerdict, number>>) {
  const examples = new Map(devices.map(([, status, verdict]) => [verdict, status]));
  return Object.entries(counts).flatMap(([verdict, count]) =>
    Array.from({ length: count }, (_, index) => ({
      id: `${verdict}-${index}`,
      status: examples.get(verdict as DeviceVerdict),
    })),
  );
}

const rings: [Parameters<typeof ring>[0], Partial<HealthRules>, RegExp | undefined][] = [
  [{ healthy: 1 }, {}, undefined],
  [{ healthy: 95, behind: 5 }, {}, undefined],
  [
    { healthy: 94, behind: 6 },
    {},
    /^94 of 100 connected device\(s\) are healthy on the revision \(6 behind\), .* 95%$/,
  ],
  // 18 of 19 are 94.7 %: rounding up would let it pass.
  [{ healthy: 18, stale: 1 }, {}, /^18 of 19 /],
  [{ healthy: 19, stale: 1 }, {}, undefined],
  [{ healthy: 19, lost: 1 }, {}, undefined],
  [{ healthy: 18, lost: 2 }, {}, /^18 of 20 .*2 lost/],
  [{ healthy: 97, failed: 3 }, {}, /^3 connected device\(s\) fail, rollout\.maxFailures is 2$/],
  [{ healthy: 98, failed: 2 }, {}, undefined],
  [{ healthy: 99, failed: 1 }, { maxFailures: 0 }, /^1 connected device\(s\) fail/],
  [{ healthy: 1, offline: 500, unreported: 500 }, {}, undefined],
  [{ offline: 3 }, {}, /^none of its 3 device\(s\) is connected$/],
  [{ unreported: 3 }, {}, /^none of its 3 device\(s\) is connected, 3 have no status at all$/],
  [{}, {}, /^it has no device, so it proves nothing$/],
  // Even 0% needs one device that shows that the commit runs.
  [{ behind: 5 }, { minHealthyPercent: 0 }, /^0 of 5 /],
  [{ healthy: 1, behind: 5 }, { minHealthyPercent: 0 }, undefined],
  [{ healthy: 99, behind: 1 }, { minHealthyPercent: 100 }, /^99 of 100 /],
];

for (const [counts, rules, reason] of rings) {
  test(`a ring of ${JSON.stringify(counts)} with ${JSON.stringify(rules)} is ${reason ? "not " : ""}healthy`, () => {
    const verdict = judgeRing(ring(counts), { ...RULES, ...rules }, NOW);
    assert.equal(verdict.healthy, reason === undefined, verdict.reasons.join("; "));
    if (reason !== undefined) assert.match(verdict.reasons.join("\n"), reason);
  });
}

const status = fc.record({
  connected: fc.boolean(),
  healthy: fc.boolean(),
  revision: fc.constantFrom(SHA, OLD, undefined),
  observedAt: fc.integer({ min: -60, max: 300 }).map(ago),
  lastSeenAt: fc.option(fc.integer({ min: 0, max: 300 }).map(ago), { nil: undefined }),
});
const arbitraryRing = fc
  .array(fc.option(status, { nil: undefined }), { maxLength: 60 })
  .map((list) => list.map((one, index) => ({ id: `device-${index}`, status: one })));
const arbitraryRules = fc.record({
  minHealthyPercent: fc.integer({ min: 0, max: 100 }),
  maxFailures: fc.integer({ min: 0, max: 5 }),
});

test("every device counts exactly once, and the unwell ones are named", () => {
  fc.assert(
    fc.property(arbitraryRing, (list) => {
      const { counts, unwell, judged } = judgeRing(list, RULES, NOW);
      assert.equal(
        Object.values(counts).reduce((sum, count) => sum + count, 0),
        list.length,
      );
      assert.equal(unwell.length, counts.failed + counts.behind + counts.stale + counts.lost);
      assert.equal(judged, unwell.length + counts.healthy);
    }),
  );
});

test("a healthy ring has its share to the last device, for every fraction and every percentage", () => {
  fc.assert(
    fc.property(arbitraryRing, arbitraryRules, (list, rules) => {
      const { healthy, counts, judged } = judgeRing(list, { ...RULES, ...rules }, NOW);
      // As fractions of integers: no floating point, no rounding.
      const share = BigInt(counts.healthy) * 100n >= BigInt(rules.minHealthyPercent) * BigInt(judged);
      assert.equal(healthy, counts.healthy > 0 && share && counts.failed <= rules.maxFailures);
    }),
    { numRuns: 1000 },
  );
});

test("all fractions up to 200 devices at 1 to 100 percent: one healthy device fewer than needed is refused", () => {
  for (let percent = 1; percent <= 100; percent++)
    for (const total of [1, 2, 3, 7, 19, 20, 99, 100, 101, 200]) {
      const needed = Number((BigInt(percent) * BigInt(total) + 99n) / 100n);
      const judge = (good: number) =>
        judgeRing(ring({ healthy: good, behind: total - good }), { ...RULES, minHealthyPercent: percent }, NOW).healthy;
      assert.equal(judge(needed), true, `${needed} of ${total} at ${percent}%`);
      assert.equal(judge(needed - 1), false, `${needed - 1} of ${total} at ${percent}%`);
    }
});

test("bad news never helps: a device that falls ill, goes stale or is another's revision keeps an unhealthy ring so", () => {
  const worse = fc.constantFrom<Partial<DeviceStatus>>(
    { healthy: false },
    { revision: OLD },
    { observedAt: ago(1000) },
  );
  fc.assert(
    fc.property(arbitraryRing, arbitraryRules, fc.nat(), worse, (list, rules, pick, change) => {
      const all = { ...RULES, ...rules };
      const connected = list.filter((device) => device.status?.connected);
      const victim = connected[pick % Math.max(1, connected.length)];
      if (victim?.status === undefined || judgeDevice(victim.status, all, NOW) !== "healthy") return;
      const after = list.map((device) =>
        device === victim ? { ...device, status: { ...victim.status, ...change } as DeviceStatus } : device,
      );
      if (!judgeRing(list, all, NOW).healthy) assert.equal(judgeRing(after, all, NOW).healthy, false);
    }),
  );
});
