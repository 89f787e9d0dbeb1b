/** What stands against a promotion. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { classifyPromotion, type PromotionFacts, type RingBefore } from "../../../../cli/rollout/gate.ts";
import type { RingVerdict } from "../../../../cli/rollout/health.ts";

const HOUR = 3_600_000;
const NOW = 100 * HOUR;
const [SHA, NEXT] = ["a".repeat(40), "b".repeat(40)];
const RULES = {
  soakMs: 2 * HOUR,
  minHealthyPercent: 95,
  minHealthyPerModelPercent: 50,
  maxFailures: 2,
  signedCommits: false,
};

const period = (revision: string, since: number, until?: number) => ({
  revision,
  since: since * HOUR,
  until: until === undefined ? undefined : until * HOUR,
  commit: "c".repeat(40),
  author: "ann",
});

function verdict(...reasons: string[]): RingVerdict {
  const counts = { healthy: 1, failed: 0, behind: 0, lost: 0, unknown: 0 };
  const healthy = reasons.length === 0;
  return { healthy, counts, total: 1, reasons, unwell: [], runningSince: healthy ? 0 : null };
}

/** Healthy, with its share of devices on the revision since that hour. */
const since = (hour: number): RingVerdict => ({ ...verdict(), runningSince: hour * HOUR });

const BEFORE: RingBefore = {
  ring: "canary",
  periods: [period(SHA, 98)],
  contains: true,
  published: true,
  verdict: verdict(),
};

const cases: [
  what: string,
  facts: Partial<PromotionFacts>,
  before: Partial<RingBefore> | undefined,
  refusals: string[],
][] = [
  ["the first ring waits for nobody", {}, undefined, []],
  ["soaked to the minute and healthy", {}, {}, []],
  ["one minute too early", {}, { periods: [period(SHA, 98 + 1 / 60)] }, ["soak"]],
  [
    "promoted long ago, and run by its devices for long enough",
    {},
    { periods: [period(SHA, 1)], verdict: since(98) },
    [],
  ],
  [
    "promoted long ago, and run by its devices too briefly",
    {},
    { periods: [period(SHA, 1)], verdict: since(99) },
    ["soak"],
  ],
  [
    "nobody tells how long it runs: its promotion is the bound",
    {},
    { periods: [period(SHA, 99)], verdict: undefined },
    ["soak", "no-status"],
  ],
  ["too few run it well: that alone is told", {}, { periods: [period(SHA, 1)], verdict: verdict("x") }, ["health"]],
  ["without a soak", { rules: { ...RULES, soakMs: 0 } }, { periods: [period(SHA, 100)] }, []],
  ["a promotion that is dated in the future", {}, { periods: [period(SHA, 105)] }, ["soak"]],
  ["the ring before deploys nothing", {}, { periods: [] }, ["order"]],
  ["the ring before has lost its file", {}, { periods: [period(SHA, 90, 95)] }, ["order"]],
  ["the commit is not part of what the ring before runs", {}, { contains: false }, ["order"]],
  ["a part of a commit that has soaked", {}, { periods: [period(NEXT, 98)] }, []],
  [
    "a part that it has left too early for one that has soaked",
    {},
    { periods: [period(SHA, 90, 91), period(NEXT, 91)] },
    ["soak"],
  ],
  ["a part of a commit that has not", {}, { periods: [period(NEXT, 99)] }, ["soak"]],
  ["soaked before the ring before went on", {}, { periods: [period(SHA, 90, 92), period(NEXT, 99.5)] }, []],
  [
    "soaked before, and now again too briefly",
    {},
    { periods: [period(SHA, 90, 93), period(NEXT, 93, 99), period(SHA, 99)] },
    [],
  ],
  ["never for long enough at a time", {}, { periods: [period(SHA, 90, 91), period(SHA, 99)] }, ["soak"]],
  ["the ring before is not pushed", {}, { published: false }, ["unpublished"]],
  ["a repository without a remote", {}, { published: undefined }, []],
  ["no source of status", {}, { verdict: undefined }, ["no-status"]],
  ["an unhealthy ring before, in two ways", {}, { verdict: verdict("one", "two") }, ["health", "health"]],
  ["a freeze", { freeze: { since: "2026-05-01T08:00:00Z", reason: "holidays" } }, {}, ["frozen"]],
  ["a freeze of the first ring", { freeze: { since: "2026-05-01T08:00:00Z" } }, undefined, ["frozen"]],
  ["too early and ill: both are told", {}, { periods: [period(SHA, 99)], verdict: verdict("x") }, ["soak", "health"]],
];

for (const [what, facts, before, expected] of cases) {
  test(`${what}: ${expected.join(", ") || "goes ahead"}`, () => {
    const refusals = classifyPromotion({
      ring: "early",
      revision: SHA,
      now: NOW,
      rules: RULES,
      freeze: undefined,
      before: before === undefined ? undefined : { ...BEFORE, ...before },
      ...facts,
    });
    assert.deepEqual(
      refusals.map(({ reason }) => reason),
      expected,
    );
    for (const { reason, message, forceable } of refusals) {
      assert.match(message, / - /, "names the fix");
      assert.equal(forceable, reason !== "frozen");
    }
  });
}

test("a soak says how much of it is left", () => {
  const before = { ...BEFORE, periods: [period(SHA, 99.5)] };
  const [refusal] = classifyPromotion({
    ring: "early",
    revision: SHA,
    now: NOW,
    rules: RULES,
    freeze: undefined,
    before,
  });
  assert.equal(refusal?.message, `ring canary has run ${SHA.slice(0, 12)} for 30m of 2h - promote early in 1h 30m`);
  const late = { ...BEFORE, periods: [period(SHA, 9)], verdict: since(99.75) };
  const [told] = classifyPromotion({
    ring: "early",
    revision: SHA,
    now: NOW,
    rules: RULES,
    freeze: undefined,
    before: late,
  });
  assert.equal(
    told?.message,
    `ring canary has run ${SHA.slice(0, 12)} on 95% of its devices for 15m of 2h - promote early in 1h 45m`,
  );
});

test("the devices of an unhealthy ring are named with their reasons, a handful of them", () => {
  const told = (unwell: RingVerdict["unwell"]) =>
    classifyPromotion({
      ...{ ring: "early", revision: SHA, now: NOW, rules: RULES, freeze: undefined },
      before: { ...BEFORE, verdict: { ...verdict("0 of 7 are", "another"), unwell } },
    }).map(({ message }) => message);
  const fix = "- fix its devices or roll it back";
  assert.deepEqual(
    told([
      { id: "a", verdict: "failed", problems: ["Application workloads: Degraded", "engine waiting: pods"] },
      { id: "b", verdict: "lost", problems: [] },
    ]),
    [
      `ring canary is not healthy: 0 of 7 are: a failed (Application workloads: Degraded), b lost ${fix}`,
      `ring canary is not healthy: another ${fix}`,
    ],
  );
  const many = Array.from(
    { length: 7 },
    (_, index) => ({ id: `d${index}`, verdict: "unknown", problems: [] }) as const,
  );
  assert.match(told(many)[0] ?? "", /: d0 unknown, d1 unknown, d2 unknown, d3 unknown, d4 unknown and 2 more - fix/);
});
