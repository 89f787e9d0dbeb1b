/** Rules, durations, blast radius, freezes and messages of a rollout. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { devicesIn } from "../../../../cli/rollout/context.ts";
import {
  freezeOf,
  NO_FREEZES,
  parseFreezes,
  renderFreezes,
  withFreeze,
  withoutFreeze,
} from "../../../../cli/rollout/freeze.ts";
import { freezeMessage, rolloutMessage } from "../../../../cli/rollout/message.ts";
import { blastRadius, formatDuration, parseDuration, ringsOf, rolloutRules } from "../../../../cli/rollout/rules.ts";
import { RolloutFileError } from "../../../../components/gitops/rings.ts";
import { EXAMPLE } from "../../gitops/fleet.ts";

const SHA = "0123456789abcdef0123456789abcdef01234567";
const WORKLOAD = { name: "telemetry", path: "workloads/telemetry", namespace: "telemetry" };

test("a fleet that says nothing gets a soak of 2h, 95% and 2 failures", () => {
  const hours = 3_600_000;
  assert.deepEqual(rolloutRules({}), {
    soakMs: 2 * hours,
    minHealthyPercent: 95,
    minHealthyPerModelPercent: 50,
    maxFailures: 2,
    signedCommits: false,
  });
  assert.deepEqual(
    rolloutRules({
      rollout: { soak: "1d", minHealthy: "0%", minHealthyPerModel: "0%", maxFailures: 0, signedCommits: true },
    }),
    {
      soakMs: 24 * hours,
      minHealthyPercent: 0,
      minHealthyPerModelPercent: 0,
      maxFailures: 0,
      signedCommits: true,
    },
  );
});

test("a workload's own rules go before the fleet's, one by one, but for signatures", () => {
  const fleet = { rollout: { soak: "1d", minHealthy: "90%", maxFailures: 0, signedCommits: true } };
  const rules = rolloutRules(fleet, { rollout: { soak: "30m", minHealthyPerModel: "10%" } });
  assert.deepEqual(rules, { ...rolloutRules(fleet), soakMs: 1_800_000, minHealthyPerModelPercent: 10 });
});

for (const [text, minutes] of [
  ["0m", 0],
  ["90m", 90],
  ["2h", 120],
  ["1d", 1440],
] as const) {
  test(`${text} are ${minutes} minutes`, () => assert.equal(parseDuration(text), minutes * 60_000));
}

for (const text of ["", "2", "h", "-1h", "1.5h", "2 h", "2w", "1h30m"]) {
  test(`${JSON.stringify(text)} is no duration`, () => {
    assert.throws(() => parseDuration(text), /is not a duration - use e\.g\. 90m/);
  });
}

test("a duration is shown in at most two units, what is left never too short and what has passed never too long", () => {
  const cases: [number, string][] = [
    [-1, "0m"],
    [0, "0m"],
    [1, "1m"],
    [59 * 60_000 + 1, "1h"],
    [90 * 60_000, "1h 30m"],
    [(24 * 60 + 61) * 60_000, "1d 1h"],
  ];
  for (const [milliseconds, text] of cases) assert.equal(formatDuration(milliseconds), text);
  assert.equal(formatDuration(59 * 60_000 + 1, "down"), "59m");
  assert.equal(formatDuration(1, "down"), "0m");
});

test("a workload passes through its own rings, in its own order, and reaches its own models", () => {
  const workload = { ...WORKLOAD, rings: ["broad", "canary"], models: ["rpi4-4g"] };
  assert.deepEqual(ringsOf(EXAMPLE.rings, workload), ["broad", "canary"]);
  assert.deepEqual(ringsOf(EXAMPLE.rings, undefined), EXAMPLE.rings);
  const ids = (ring: string, of?: typeof workload) =>
    devicesIn({ devices: EXAMPLE.devices, workload: of }, ring).map(({ id }) => id);
  assert.deepEqual(ids("broad"), ["osaka-0002", "osaka-0003", "tokyo-0004"]);
  assert.deepEqual(ids("broad", workload), ["osaka-0002", "tokyo-0004"]);
});

test("the blast radius counts every device once, the largest group first", () => {
  const place = fc.record({ region: fc.constantFrom("osaka", "tokyo"), model: fc.constantFrom("a", "b", "c") });
  fc.assert(
    fc.property(fc.array(place), (devices) => {
      const blast = blastRadius(devices);
      assert.equal(
        blast.reduce((sum, row) => sum + row.devices, 0),
        devices.length,
      );
      for (const [index, row] of blast.entries())
        assert.ok(index === 0 || (blast[index - 1]?.devices ?? 0) >= row.devices);
    }),
  );
});

test("freezes are read back as they were written; nothing frozen is no file", () => {
  const ring = fc.constantFrom("canary", "early", "broad", "no", "12");
  const freeze = fc.record(
    { reason: fc.string({ minLength: 1 }), since: fc.constant("2026-05-01T08:00:00Z") },
    { requiredKeys: ["since"], noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.dictionary(ring, freeze), fc.option(freeze, { nil: undefined }), (rings, fleet) => {
      const text = renderFreezes({ fleet, rings });
      assert.equal(text === undefined, fleet === undefined && Object.keys(rings).length === 0);
      if (text === undefined) return;
      const read = parseFreezes("freeze.yaml", text);
      assert.deepEqual([read.fleet, { ...read.rings }], [fleet, { ...rings }]);
    }),
  );
});

test("a freeze of the fleet holds for every ring, one of a ring for that ring; a second one keeps the date", () => {
  const since = "2026-05-01T08:00:00Z";
  const one = withFreeze(NO_FREEZES, "broad", { since, reason: "holidays" });
  assert.deepEqual(freezeOf(one, "broad"), { since, reason: "holidays" });
  assert.equal(freezeOf(one, "early"), undefined);
  assert.equal(freezeOf(one, "constructor"), undefined);
  const later = { since: "2026-06-01T08:00:00Z", reason: "still" };
  assert.deepEqual(freezeOf(withFreeze(one, "broad", later), "broad"), { since, reason: "still" });
  const all = withFreeze(one, undefined, later);
  assert.deepEqual(freezeOf(all, "early"), later);
  assert.equal(renderFreezes(withoutFreeze(one, "broad")), undefined);
  assert.equal(renderFreezes(withoutFreeze(all, undefined)), undefined);
});

for (const [text, problem] of [
  ["rings: { broad: { reason: x } }\n", /^f\.yaml:1:\d+ rings\.broad\.since: is missing/],
  ["rings: { broad: { since: soon } }\n", /since: is not a date - write RFC 3339/],
  ["frozen: true\n", /^f\.yaml:1:1 frozen: is not a known field/],
  ["<<<<<<< HEAD\n", /^f\.yaml:1:1 /],
] as const) {
  test(`a freeze file of ${JSON.stringify(text)} is refused: it must not read as not frozen`, () => {
    assert.throws(
      () => parseFreezes("f.yaml", text),
      (error: unknown) => error instanceof RolloutFileError && problem.test(error.message),
    );
  });
}

test("the commit says what programs need in trailers that git itself finds", () => {
  const message = rolloutMessage({
    verb: "Promote",
    ring: "early",
    workload: "telemetry",
    revision: SHA,
    previous: undefined,
    devices: 12,
    reason: "the shop\nopens: at nine",
  });
  assert.equal(message.split("\n", 1)[0], "Promote telemetry in early to 0123456789ab");
  const { stdout } = spawnSync("git", ["interpret-trailers", "--parse"], { input: message, encoding: "utf8" });
  assert.deepEqual(stdout.trim().split("\n"), [
    "Ring: early",
    "Workload: telemetry",
    `Revision: ${SHA}`,
    "Previous: none",
    "Devices: 12",
    "Reason: the shop opens: at nine",
  ]);
});

test("freezing and lifting say so in the subject", () => {
  const subject = (ring: string | undefined, off: boolean) => freezeMessage(ring, off, undefined).split("\n", 1)[0];
  assert.deepEqual(
    [subject("early", false), subject(undefined, false), subject("early", true), subject(undefined, true)],
    ["Freeze early", "Freeze the whole fleet", "Lift the freeze of early", "Lift every freeze"],
  );
});
