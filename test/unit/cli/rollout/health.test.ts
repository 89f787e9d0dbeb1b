/** When a ring is healthy. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  classifyDevice,
  classifyRing,
  type DeviceStatus,
  type DeviceVerdict,
  type HealthRules,
  type RingDevice,
} from "../../../../cli/rollout/health.ts";

const NOW = Date.parse("2026-05-01T12:00:00Z");
const MINUTE = 60_000;
const [SHA, OLD] = ["a".repeat(40), "b".repeat(40)];
const RULES: HealthRules = {
  revision: SHA,
  promotedAt: NOW - 120 * MINUTE,
  minHealthyPercent: 95,
  minHealthyPerModelPercent: 50,
  maxFailures: 2,
  maxAgeMs: 30 * MINUTE,
};

const ago = (minutes: number): string => new Date(NOW - minutes * MINUTE).toISOString();
const GOOD: DeviceStatus = { connected: true, healthy: true, revision: SHA, observedAt: ago(1) };

const AWAY: DeviceStatus = { ...GOOD, connected: false };

const devices: [what: string, status: DeviceStatus | undefined, verdict: DeviceVerdict][] = [
  ["nothing known", undefined, "unknown"],
  ["well", GOOD, "healthy"],
  ["well, observed at the bound", { ...GOOD, observedAt: ago(30) }, "healthy"],
  ["well, but that was long ago", { ...GOOD, observedAt: ago(30.001) }, "unknown"],
  ["well, dated in the future", { ...GOOD, observedAt: ago(-31) }, "unknown"],
  ["well, without a readable date", { ...GOOD, observedAt: "yesterday" }, "unknown"],
  ["well on another revision", { ...GOOD, revision: OLD }, "behind"],
  ["well on an unknown revision", { ...GOOD, revision: undefined }, "behind"],
  ["not well", { ...GOOD, healthy: false }, "failed"],
  ["not well on the revision, long ago", { ...GOOD, healthy: false, observedAt: ago(99) }, "lost"],
  ["not well on another revision", { ...GOOD, healthy: false, revision: OLD }, "behind"],
  ["on another revision, long ago", { ...GOOD, revision: OLD, observedAt: ago(99) }, "unknown"],
  ["away, and never seen", { ...AWAY, healthy: false, revision: undefined }, "unknown"],
  ["away, well before", { ...AWAY, observedAt: ago(600) }, "unknown"],
  ["away since long before the promotion", { ...AWAY, revision: OLD, lastSeenAt: ago(600) }, "unknown"],
  ["seen just before the promotion and never since", { ...AWAY, revision: OLD, lastSeenAt: ago(125) }, "lost"],
  ["seen after the promotion, ill, and gone", { ...AWAY, healthy: false, lastSeenAt: ago(100) }, "lost"],
  ["seen well on the revision, then gone", { ...AWAY, lastSeenAt: ago(100) }, "unknown"],
];

for (const [what, status, verdict] of devices) {
  test(`a device that is ${what} counts as ${verdict}`, () =>
    assert.equal(classifyDevice(status, RULES, NOW), verdict));
}

/** A ring with so many devices of each verdict. */
function ring(counts: Partial<Record<DeviceVerdict, number>>, model = "box"): RingDevice[] {
  const examples = new Map(devices.map(([, status, verdict]) => [verdict, status]));
  return Object.entries(counts).flatMap(([verdict, count]) =>
    Array.from({ length: count }, (_, index) => ({
      id: `${model}-${verdict}-${index}`,
      model,
      status: examples.get(verdict as DeviceVerdict),
    })),
  );
}

const rings: [Parameters<typeof ring>[0], Partial<HealthRules>, RegExp | undefined][] = [
  [{ healthy: 1 }, {}, undefined],
  [{ healthy: 95, behind: 5 }, {}, undefined],
  [{ healthy: 95, unknown: 5 }, {}, undefined],
  [{ healthy: 94, behind: 6 }, {}, /^94 of 100 device\(s\) are healthy on the revision \(6 behind\), .* 95%$/],
  // No answer is never left out of the share.
  [{ healthy: 94, unknown: 6 }, {}, /^94 of 100 device\(s\) are healthy on the revision \(6 unknown\), .* 95%$/],
  [{ healthy: 1, unknown: 1000 }, {}, /^1 of 1001 .*\(1000 unknown\)/],
  // 18 of 19 are 94.7 %: rounding up would let it pass.
  [{ healthy: 18, unknown: 1 }, {}, /^18 of 19 /],
  [{ healthy: 19, unknown: 1 }, {}, undefined],
  [{ healthy: 19, lost: 1 }, {}, undefined],
  [{ healthy: 18, lost: 2 }, {}, /^18 of 20 .*2 lost/],
  [{ healthy: 97, failed: 3 }, {}, /^3 device\(s\) fail or were lost with it, rollout\.maxFailures is 2$/],
  [{ healthy: 97, failed: 1, lost: 2 }, {}, /^3 device\(s\) fail or were lost with it/],
  [{ healthy: 98, failed: 2 }, {}, undefined],
  [{ healthy: 99, failed: 1 }, { maxFailures: 0 }, /^1 device\(s\) fail/],
  [{ unknown: 3 }, {}, /^0 of 3 .*\(3 unknown\).*\n0 of 3 device\(s\) of model box /],
  [{}, {}, /^it has no device, so it proves nothing$/],
  // Even 0% needs one device that shows that the commit runs.
  [{ behind: 5 }, { minHealthyPercent: 0, minHealthyPerModelPercent: 0 }, /^0 of 5 /],
  [{ healthy: 1, behind: 5 }, { minHealthyPercent: 0, minHealthyPerModelPercent: 0 }, undefined],
  [{ healthy: 1, unknown: 5 }, { minHealthyPercent: 0 }, /^1 of 6 device\(s\) of model box .*PerModel is 50%$/],
  [{ healthy: 99, behind: 1 }, { minHealthyPercent: 100 }, /^99 of 100 /],
];

for (const [counts, rules, reason] of rings) {
  test(`a ring of ${JSON.stringify(counts)} with ${JSON.stringify(rules)} is ${reason ? "not " : ""}healthy`, () => {
    const verdict = classifyRing(ring(counts), { ...RULES, ...rules }, NOW);
    assert.equal(verdict.healthy, reason === undefined, verdict.reasons.join("; "));
    if (reason !== undefined) assert.match(verdict.reasons.join("\n"), reason);
  });
}

for (const [what, few, reasons] of [
  ["every device of one model fails", { failed: 2 }, 1],
  ["no device of one model answers", { unknown: 2 }, 1],
  ["no device of one model has taken the commit", { behind: 2 }, 1],
  ["half of the devices of one model are well", { healthy: 1, behind: 1 }, 0],
  ["less than half of them are", { healthy: 1, behind: 2 }, 1],
] as const)
  test(`${what}: that ${reasons === 0 ? "does not stop" : "stops"} a ring whose share is fine`, () => {
    const mixed = [...ring({ healthy: 198 }, "box"), ...ring(few, "nuc")];
    const verdict = classifyRing(mixed, RULES, NOW);
    assert.equal(verdict.reasons.length, reasons);
    for (const reason of verdict.reasons) assert.match(reason, /of model nuc are healthy on the revision/);
    assert.ok(classifyRing(mixed, { ...RULES, minHealthyPerModelPercent: 0 }, NOW).healthy);
  });

test("a ring runs its revision since the share that is asked for does, and never longer than it was given it", () => {
  const since = (...minutes: (number | undefined)[]): RingDevice[] =>
    minutes.map((value, index) => ({
      ...{ id: `device-${index}`, model: "box" },
      status: { ...GOOD, since: value === undefined ? undefined : ago(value) },
    }));
  const half: HealthRules = { ...RULES, minHealthyPercent: 50 };
  const running = (list: RingDevice[], rules = half): number | null => {
    const at = classifyRing(list, rules, NOW).runningSince;
    return at === null ? null : (NOW - at) / MINUTE;
  };
  assert.equal(running(since(90, 60, 30, 10)), 60);
  assert.equal(running(since(90, 60, 30)), 60);
  assert.equal(running(since(90, 60, 30, 10), RULES), 10);
  assert.equal(running(since(600, 600)), 120, "the promotion was two hours ago");
  assert.equal(running(since(undefined)), 1, "only since it was observed");
  assert.equal(running([{ id: "a", model: "box", status: { ...GOOD, since: "long ago" } }]), 1);
  assert.equal(running([...since(90), ...ring({ unknown: 1 })]), 90);
  assert.equal(running([...since(90), ...ring({ unknown: 2 })]), null);
  assert.equal(running([]), null);
});

const status = fc.record({
  connected: fc.boolean(),
  healthy: fc.boolean(),
  revision: fc.constantFrom(SHA, OLD, undefined),
  since: fc.option(fc.integer({ min: -10, max: 300 }).map(ago), { nil: undefined }),
  observedAt: fc.integer({ min: -60, max: 300 }).map(ago),
  lastSeenAt: fc.option(fc.integer({ min: 0, max: 300 }).map(ago), { nil: undefined }),
});
const arbitraryRing = fc
  .array(fc.record({ status: fc.option(status, { nil: undefined }), model: fc.constantFrom("box", "nuc", "pi") }), {
    maxLength: 60,
  })
  .map((list) => list.map((one, index): RingDevice => ({ id: `device-${index}`, ...one })));
const arbitraryRules = fc
  .record({
    minHealthyPercent: fc.integer({ min: 0, max: 100 }),
    minHealthyPerModelPercent: fc.integer({ min: 0, max: 100 }),
    maxFailures: fc.integer({ min: 0, max: 5 }),
  })
  .map((rules): HealthRules => ({ ...RULES, ...rules }));

test("a device without a fresh answer of its own is never healthy", () => {
  fc.assert(
    fc.property(fc.option(status, { nil: undefined }), (one) => {
      if (classifyDevice(one, RULES, NOW) !== "healthy") return;
      assert.ok(one?.connected && one.healthy && one.revision === SHA);
      assert.ok(Math.abs(NOW - Date.parse(one.observedAt)) <= RULES.maxAgeMs);
    }),
    { numRuns: 2000 },
  );
});

test("every device counts exactly once, and those that are not healthy are named, the failed ones first", () => {
  fc.assert(
    fc.property(arbitraryRing, (list) => {
      const { counts, unwell, total } = classifyRing(list, RULES, NOW);
      assert.equal(
        Object.values(counts).reduce((sum, count) => sum + count, 0),
        list.length,
      );
      assert.equal(total, list.length);
      assert.deepEqual(
        unwell.map(({ verdict }) => verdict),
        (["failed", "lost", "behind", "unknown"] as const).flatMap((verdict) => Array(counts[verdict]).fill(verdict)),
      );
    }),
  );
});

test("a healthy ring has its shares to the last device, for every fraction and every percentage", () => {
  fc.assert(
    fc.property(arbitraryRing, arbitraryRules, (list, rules) => {
      const { healthy, counts, total } = classifyRing(list, rules, NOW);
      // As fractions of integers: no floating point, no rounding.
      const share = (good: number, of: number, percent: number) => BigInt(good) * 100n >= BigInt(percent) * BigInt(of);
      const models = [...Map.groupBy(list, ({ model }) => model).values()].every((devices) => {
        const good = devices.filter((one) => classifyDevice(one.status, rules, NOW) === "healthy").length;
        return share(good, devices.length, rules.minHealthyPerModelPercent);
      });
      const all = counts.healthy > 0 && share(counts.healthy, total, rules.minHealthyPercent);
      assert.equal(healthy, all && models && counts.failed + counts.lost <= rules.maxFailures);
    }),
    { numRuns: 1000 },
  );
});

test("all fractions up to 200 devices at 1 to 100 percent: one healthy device fewer than needed is refused", () => {
  for (let percent = 1; percent <= 100; percent++)
    for (const total of [1, 2, 3, 7, 19, 20, 99, 100, 101, 200]) {
      const needed = Number((BigInt(percent) * BigInt(total) + 99n) / 100n);
      const rules = { ...RULES, minHealthyPercent: percent, minHealthyPerModelPercent: 0 };
      const classify = (good: number) =>
        classifyRing(ring({ healthy: good, behind: total - good }), rules, NOW).healthy;
      assert.equal(classify(needed), true, `${needed} of ${total} at ${percent}%`);
      assert.equal(classify(needed - 1), false, `${needed - 1} of ${total} at ${percent}%`);
    }
});

test("bad news never helps: no device that falls ill, silent or back makes a ring healthy, or makes it soak longer", () => {
  const silent = [
    (one: DeviceStatus) => ({ ...one, observedAt: ago(1000) }),
    (one: DeviceStatus) => ({ ...one, connected: false, lastSeenAt: one.observedAt }),
  ];
  const worse = [
    ...silent,
    (one: DeviceStatus) => ({ ...one, healthy: false }),
    (one: DeviceStatus) => ({ ...one, revision: OLD }),
    (one: DeviceStatus) => ({ ...one, since: ago(-100) }),
  ];
  const changes = fc.constantFrom(...worse);
  fc.assert(
    fc.property(arbitraryRing, arbitraryRules, fc.nat(), changes, (list, rules, pick, change) => {
      const victims = list.filter(({ status: one }) => ["healthy", "failed"].includes(classifyDevice(one, rules, NOW)));
      const victim = victims[pick % Math.max(1, victims.length)];
      if (victim?.status === undefined) return;
      // A failed device that goes back to another revision is good news.
      if (classifyDevice(victim.status, rules, NOW) === "failed" && !silent.includes(change)) return;
      const after = { ...victim, status: change(victim.status) };
      const [was, is] = [list, list.map((device) => (device === victim ? after : device))].map((devices) =>
        classifyRing(devices, rules, NOW),
      );
      if (was?.healthy === false) assert.equal(is?.healthy, false);
      const soaks = (verdict: typeof was): number => verdict?.runningSince ?? Number.POSITIVE_INFINITY;
      assert.ok(soaks(is) >= soaks(was));
    }),
    { numRuns: 2000 },
  );
});

test("a device that fails and then falls silent still counts as a failure", () => {
  const failing = { ...GOOD, healthy: false };
  const rules = { ...RULES, maxFailures: 0, minHealthyPercent: 90 };
  for (const then of [
    { ...failing, observedAt: ago(1000) },
    { ...failing, connected: false, lastSeenAt: failing.observedAt },
  ]) {
    const list = (one: DeviceStatus): RingDevice[] => [
      ...ring({ healthy: 99 }),
      { id: "x", model: "box", status: one },
    ];
    assert.equal(classifyRing(list(failing), rules, NOW).healthy, false);
    assert.equal(classifyRing(list(then), rules, NOW).healthy, false);
  }
});
