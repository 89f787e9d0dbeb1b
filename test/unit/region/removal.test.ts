/** What becomes of devices that have left the inventory, and that one which is put back is never erased. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { DeviceOutcome } from "../../../components/device/index.ts";
import type { Reachability } from "../../../components/device/reachability.ts";
import type { Profile } from "../../../components/inventory/index.ts";
import { collectOutputs, type PreviousOutputs } from "../../../components/region/outputs.ts";
import { planRegion, type RegionPlanInput } from "../../../components/region/plan.ts";
import { ERASURE_ORDERED, erasureTargets, wipeTarget } from "../../../components/region/removal.ts";
import { buildProfile } from "../device/profile.ts";

const DARK: Reachability = { reachable: false, reason: "no answer within 3 s" };
const HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq3aTl0pY4aZ1CfMEiZlqkBv2f6dO0tSNUuKcTzJbZH";
const PROXY = { host: "jump.example.com", port: 22, user: "edge", hostKey: HOST_KEY };

const device = (id: string, changes: Partial<Profile> = {}) =>
  buildProfile({ id, host: `${id}.example.com`, hostKey: HOST_KEY, decommission: "wipe", ...changes });
const gone = device("gone");
const wipe = { gone: wipeTarget(gone) };

function plan(input: Partial<RegionPlanInput>) {
  const { profiles = [] } = input;
  const known = { previous: { gone: "hash" }, wipe, reachability: new Map(), servers: {} };
  return planRegion({ region: "tokyo", profiles, fleet: profiles, maxRemovals: 9, ...known, ...input });
}

const CASES: readonly {
  name: string;
  input: Partial<RegionPlanInput>;
  expected: { erase?: string[]; overdue?: string[]; drop?: string[] };
}[] = [
  { name: "one to be wiped that answers is erased", input: {}, expected: { erase: ["gone"] } },
  {
    name: "one to be wiped that does not answer is kept for later",
    input: { reachability: new Map([["gone", DARK]]) },
    expected: { overdue: ["no answer within 3 s"] },
  },
  { name: "one to be retained is dropped", input: { wipe: {} }, expected: { drop: [""] } },
  {
    name: "one that moved to another region is left as it is",
    input: { fleet: [device("gone", { region: "osaka" })] },
    expected: { drop: ["region osaka has it now"] },
  },
  {
    name: "one whose address another device has now is left as it is",
    input: { fleet: [device("renamed", { host: "GONE.example.com" })] },
    expected: { drop: ["renamed has its address now"] },
  },
  {
    name: "the same address behind another jump host is another device",
    input: { fleet: [device("other", { host: gone.host, ssh: { ...gone.ssh, proxy: PROXY } })] },
    expected: { erase: ["gone"] },
  },
  { name: "one that never was applied is nobody's", input: { previous: {} }, expected: {} },
];

for (const { name, input, expected } of CASES) {
  test(`of devices that have left, ${name}`, () => {
    const { erase, overdue, drop } = plan(input);
    const reasons = (list: readonly { reason: string }[]) => list.map(({ reason }) => reason);
    assert.deepEqual(
      { erase, overdue: reasons(overdue), drop: reasons(drop) },
      { erase: [], overdue: [], drop: [], ...expected },
    );
  });
}

test("an erasure that is outstanding does not count against the guard again", () => {
  const previous = { gone: ERASURE_ORDERED, other: "hash" };
  assert.deepEqual(plan({ previous, maxRemovals: 1 }).erase, ["gone"]);
  assert.throws(() => plan({ previous: { ...previous, third: "hash" }, maxRemovals: 1 }), /other, third/);
});

test("only devices that have left are probed for their erasure", () => {
  assert.deepEqual(erasureTargets([device("stays")], { ...wipe, stays: wipeTarget(device("stays")) }), [
    { id: "gone", host: "gone.example.com", port: gone.ssh.port, proxy: gone.ssh.proxy },
  ]);
});

const BEFORE: PreviousOutputs = { devices: { gone: "hash" }, programs: { gone: "p" }, pushed: { gone: "a" }, wipe };
const REMOVED: DeviceOutcome = { applied: { device: "gone", result: "removed", hash: "", version: "", reason: "" } };
const OUTSTANDING = { devices: { gone: ERASURE_ORDERED }, wipe };

const OUTCOMES: readonly {
  name: string;
  outcome: DeviceOutcome;
  input?: Partial<RegionPlanInput>;
  expected: Partial<ReturnType<typeof collectOutputs>>;
}[] = [
  { name: "wiped", outcome: REMOVED, expected: { removed: { gone: "wiped" } } },
  {
    name: "failed with the device's own reason and mend",
    outcome: { failed: "failed: remove: k3s could not be erased - read the log, then run again" },
    expected: {
      ...OUTSTANDING,
      failed: { gone: "wipe failed: remove: k3s could not be erased - read the log, then run again" },
    },
  },
  {
    name: "failed with a next step where the reason has none",
    outcome: { failed: "no answer" },
    expected: { ...OUTSTANDING, failed: { gone: "wipe failed: no answer - run up again" } },
  },
  {
    name: "failed where the answer is not that of a removal",
    outcome: { applied: { device: "gone", result: "applied", hash: "hash", version: "", reason: "" } },
    expected: { ...OUTSTANDING, failed: { gone: "wipe failed: it did not say so - run up again" } },
  },
  {
    name: "pending while it is dark",
    outcome: { applied: { device: "gone", result: "applied", hash: "hash", version: "", reason: "" } },
    input: { reachability: new Map([["gone", DARK]]) },
    expected: {
      ...OUTSTANDING,
      pending: { gone: "to be wiped: no answer within 3 s - run up again once it answers" },
    },
  },
  {
    name: "retained",
    outcome: REMOVED,
    input: { wipe: {} },
    expected: { removed: { gone: "retained" } },
  },
  {
    name: "retained with the reason where others have it now",
    outcome: REMOVED,
    input: { fleet: [device("gone", { region: "osaka" })] },
    expected: { removed: { gone: "retained: region osaka has it now" } },
  },
];

for (const { name, outcome, input = {}, expected } of OUTCOMES) {
  test(`a removal is told: ${name}`, () => {
    const nothing = { devices: {}, programs: {}, pushed: {}, pending: {}, failed: {}, wipe: {}, removed: {} };
    assert.deepEqual(collectOutputs(plan(input), BEFORE, {}, { gone: outcome }), { ...nothing, ...expected });
  });
}

test("a device that is put back while its erasure is outstanding is applied anew or held, and never erased", () => {
  const back = [
    { profile: gone, list: "apply" },
    { profile: device("gone", { hostKey: undefined }), list: "hold" },
    { profile: device("gone", { joins: "missing" }), list: "hold" },
    { profile: gone, seen: DARK, list: "hold" },
  ] as const;
  for (const { profile, list, ...rest } of back) {
    const reachability = new Map("seen" in rest ? [["gone", rest.seen]] : []);
    const result = plan({ profiles: [profile], previous: { gone: ERASURE_ORDERED }, reachability });
    const counts = { apply: result.apply.length, hold: result.hold.length, wait: result.wait.length };
    assert.deepEqual(counts, { apply: 0, hold: 0, wait: 0, [list]: 1 });
    assert.deepEqual([result.erase, result.overdue, result.drop], [[], [], []]);
    const before = { ...BEFORE, devices: { gone: ERASURE_ORDERED } };
    const held = collectOutputs(result, before, {}, { gone: { failed: "no answer" } });
    assert.deepEqual(held.devices, { gone: ERASURE_ORDERED }, "until it has been applied it stays so");
  }
});

test("what a device is to be when it leaves follows the inventory, also while it is dark", () => {
  const reachability = new Map([["gone", DARK]]);
  const outcome: DeviceOutcome = {
    applied: { device: "gone", result: "applied", hash: "hash", version: "", reason: "" },
  };
  for (const [decommission, expected] of [
    ["wipe", wipe],
    ["retain", {}],
  ] as const) {
    const result = plan({ profiles: [device("gone", { decommission })], reachability });
    assert.deepEqual(collectOutputs(result, BEFORE, {}, { gone: outcome }).wipe, expected);
  }
});

test("nothing that the fleet has is ever erased, whatever was left behind", () => {
  const ids = fc.subarray(["a", "b", "c", "d"]);
  const hash = fc.constantFrom("hash", ERASURE_ORDERED);
  fc.assert(
    fc.property(ids, ids, ids, ids, hash, (region, elsewhere, applied, toWipe, value) => {
      const profiles = region.map((id) => device(id));
      const others = elsewhere.filter((id) => !region.includes(id)).map((id) => device(id, { region: "osaka" }));
      const { erase, overdue, drop } = plan({
        profiles,
        fleet: [...profiles, ...others],
        previous: Object.fromEntries(applied.map((id) => [id, value])),
        wipe: Object.fromEntries(toWipe.map((id) => [id, wipeTarget(device(id))])),
      });
      const has = [...region, ...elsewhere];
      assert.ok([...erase, ...overdue.map(({ id }) => id)].every((id) => !has.includes(id) && toWipe.includes(id)));
      assert.deepEqual(
        [...erase, ...overdue.map(({ id }) => id), ...drop.map(({ id }) => id)].sort(),
        applied.filter((id) => !region.includes(id)).sort(),
      );
    }),
  );
});
