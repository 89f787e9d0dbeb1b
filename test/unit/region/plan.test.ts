import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Reachability } from "../../../components/device/reachability.ts";
import { collectOutputs } from "../../../components/region/outputs.ts";
import { planRegion, type RegionPlanInput } from "../../../components/region/plan.ts";
import { buildProfile } from "../device/profile.ts";

const DARK: Reachability = { reachable: false, reason: "no answer within 3 s" };
const HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq3aTl0pY4aZ1CfMEiZlqkBv2f6dO0tSNUuKcTzJbZH";

const device = (id: string, enrolled = true) => buildProfile({ id, hostKey: enrolled ? HOST_KEY : undefined });

function plan(input: Partial<RegionPlanInput>) {
  return planRegion({
    region: "tokyo",
    profiles: [],
    fleet: input.profiles ?? [],
    previous: {},
    wipe: {},
    reachability: new Map(),
    maxRemovals: 1,
    servers: {},
    ...input,
  });
}

const CASES = [
  { name: "an enrolled device that answers is applied", enrolled: true, known: false, seen: undefined, list: "apply" },
  {
    name: "a device that answers again after it was held is applied",
    enrolled: true,
    known: true,
    seen: { reachable: true },
    list: "apply",
  },
  { name: "a known device that does not answer is held", enrolled: true, known: true, seen: DARK, list: "hold" },
  { name: "an unknown device that does not answer waits", enrolled: true, known: false, seen: DARK, list: "wait" },
  { name: "a device without a pinned host key waits", enrolled: false, known: false, seen: undefined, list: "wait" },
  { name: "a known device without a pinned key is held", enrolled: false, known: true, seen: undefined, list: "hold" },
] as const;

for (const { name, enrolled, known, seen, list } of CASES) {
  test(name, () => {
    const result = plan({
      profiles: [device("a", enrolled)],
      previous: known ? { a: "hash" } : {},
      reachability: seen === undefined ? new Map() : new Map([["a", seen]]),
    });
    const counts = { apply: result.apply.length, hold: result.hold.length, wait: result.wait.length };
    assert.deepEqual(counts, { apply: 0, hold: 0, wait: 0, [list]: 1 });
  });
}

const AGENTS: readonly {
  name: string;
  input: Partial<RegionPlanInput>;
  list: "apply" | "hold" | "wait";
  reason?: string;
}[] = [
  {
    name: "waits while its server does not answer",
    input: { reachability: new Map([["a", DARK]]), previous: { a: "new" } },
    list: "wait",
    reason: "its server a is pending: no answer within 3 s",
  },
  {
    name: "is held while its server does not answer, where it was applied before",
    input: { reachability: new Map([["a", DARK]]), previous: { a: "new", b: "hash" } },
    list: "hold",
    reason: "its server a is pending: no answer within 3 s",
  },
  {
    name: "waits until its server has applied what is wanted",
    input: { previous: { a: "old" } },
    list: "wait",
    reason: "its server a comes first - run up again after it",
  },
  { name: "is applied once its server has applied what is wanted", input: { previous: { a: "new" } }, list: "apply" },
];

for (const { name, input, list, reason } of AGENTS) {
  test(`an agent ${name}`, () => {
    const profiles = [{ ...device("b"), joins: "a" }, device("a")];
    const { apply, hold, wait } = plan({ profiles, servers: { a: "new" }, ...input });
    const found = { apply: apply.map((profile) => ({ profile, reason: undefined })), hold, wait }[list];
    assert.deepEqual(
      found.filter(({ profile }) => profile.id === "b").map((entry) => entry.reason),
      [reason],
    );
  });
}

test("a device that is not enrolled is told how to enroll, one that is dark what the probe saw", () => {
  const result = plan({ profiles: [device("a", false), device("b")], reachability: new Map([["b", DARK]]) });
  assert.deepEqual(
    result.wait.map(({ profile, reason }) => [profile.id, reason]),
    [
      ["a", `not enrolled - run edge-fleet enroll ${device("a").region}`],
      ["b", "no answer within 3 s"],
    ],
  );
});

test("every device is in exactly one list, whatever the order of the inventory", () => {
  const state = fc.record({ enrolled: fc.boolean(), known: fc.boolean(), reachable: fc.boolean() });
  fc.assert(
    fc.property(fc.array(state, { maxLength: 30 }), fc.nat(), (states, rotation) => {
      const profiles = states.map(({ enrolled }, index) => device(`d-${index}`, enrolled));
      const input = {
        profiles,
        previous: Object.fromEntries(states.flatMap(({ known }, index) => (known ? [[`d-${index}`, "hash"]] : []))),
        reachability: new Map(
          states.map(({ reachable }, i) => [`d-${i}`, reachable ? ({ reachable } as const) : DARK]),
        ),
      };
      const result = plan(input);
      const ids = [...result.apply, ...[...result.hold, ...result.wait].map(({ profile }) => profile)].map(
        ({ id }) => id,
      );
      assert.deepEqual([...ids].sort(), profiles.map(({ id }) => id).sort());
      const at = profiles.length === 0 ? 0 : rotation % profiles.length;
      assert.deepEqual(plan({ ...input, profiles: [...profiles.slice(at), ...profiles.slice(0, at)] }), result);
    }),
  );
});

test("a removal within the guard leaves the state, one beyond it is refused with the list and the way out", () => {
  const previous = { a: "1", b: "2", c: "3" };
  assert.deepEqual(plan({ profiles: [device("a"), device("b")], previous }).drop, [{ id: "c", reason: "" }]);
  assert.throws(
    () => plan({ profiles: [device("b")], previous }),
    /2 applied devices of region tokyo .* at most 1 .*: a, c - put them back, or allow it with: pulumi config set edge-fleet:allowRemovals 2/,
  );
});

test("outputs: applied devices report their hash, failed and held ones keep what they had before", () => {
  const profiles = ["ok", "broken", "new", "gone"].map((id) => device(id));
  const previous = { ok: "old", broken: "old", gone: "old" };
  const result = plan({
    profiles: [...profiles, device("waiting", false)],
    previous,
    reachability: new Map([["gone", DARK]]),
  });
  const applied = (hash: string) => ({
    applied: { device: "", result: "applied", hash, version: "", reason: "" } as const,
  });
  const before = {
    devices: previous,
    programs: { ok: "p1", broken: "p1", gone: "p1" },
    pushed: { gone: "a1" },
    wipe: {},
  };
  const spec = { program: "p2", pushed: "" };
  const specs = { ok: { program: "p2", pushed: "a2" }, broken: spec, new: spec, gone: spec };
  const outputs = collectOutputs(result, before, specs, {
    ok: applied("1"),
    broken: { failed: "rolled-back: not-ready" },
    new: { failed: "no answer" },
    gone: applied("old"),
  });
  assert.deepEqual(outputs, {
    devices: { broken: "old", gone: "old", ok: "1" },
    programs: { broken: "p1", gone: "p1", ok: "p2" },
    pushed: { gone: "a1", ok: "a2" },
    failed: { broken: "rolled-back: not-ready", new: "no answer" },
    wipe: {},
    removed: {},
    pending: { gone: "no answer within 3 s", waiting: `not enrolled - run edge-fleet enroll ${device("a").region}` },
  });
});

test("a device that lacks the program or what is pushed is remembered as lacking it, until it has been applied", () => {
  const result = plan({ profiles: ["stale", "bare", "damaged"].map((id) => device(id)) });
  const before = {
    devices: {},
    programs: { stale: "p2", bare: "p2" },
    pushed: { bare: "a2", damaged: "a2" },
    wipe: {},
  };
  const spec = { program: "p2", pushed: "a2" };
  const specs = { stale: spec, bare: spec, damaged: spec };
  const { programs, pushed } = collectOutputs(result, before, specs, {
    stale: { failed: "failed: program: it is not that of this release - run edge-fleet push tokyo" },
    bare: { failed: "failed: artifact-missing: the binary of v1 is not there - run edge-fleet push tokyo" },
    damaged: { failed: "failed: checksum: the pushed binary of v1 is damaged - run edge-fleet push tokyo" },
  });
  assert.deepEqual(
    [programs, pushed],
    [
      { bare: "p2", stale: "outdated" },
      { bare: "outdated", damaged: "outdated" },
    ],
  );
});

test("a device that reboots and goes on by itself is pending, and keeps what it had", () => {
  const result = plan({ profiles: [device("a"), device("b")] });
  const reason = "rebooting: to turn the memory cgroup on, once - run again in a minute: it goes on by itself";
  const before = { devices: { a: "old" }, programs: { a: "p1" }, pushed: {}, wipe: {} };
  const outputs = collectOutputs(
    result,
    before,
    {},
    { a: { failed: `failed: ${reason}` }, b: { failed: "no answer" } },
  );
  assert.deepEqual(outputs, {
    devices: { a: "old" },
    programs: { a: "p1" },
    pushed: {},
    pending: { a: reason },
    failed: { b: "no answer" },
    wipe: {},
    removed: {},
  });
});
