import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { DeviceOutcome } from "../../../components/device/result.ts";
import type { DialledDevice } from "../../../components/device/state.ts";
import type { Profile } from "../../../components/inventory/index.ts";
import type { DevicePlan, Refusal } from "../../../components/plan/device.ts";
import { type DeviceRun, planRuns } from "../../../components/region/plan.ts";
import { buildProfile } from "../device/profile.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq3aTl0pY4aZ1CfMEiZlqkBv2f6dO0tSNUuKcTzJbZH";
const OUTCOMES: Readonly<Record<DeviceOutcome["state"], DeviceOutcome>> = {
  applied: { state: "applied", code: "", reason: "", release: "v1" },
  pending: { state: "pending", code: "unreachable", reason: "no answer from the host", release: "" },
  failed: { state: "failed", code: "host-key", reason: "another key - find out why", release: "" },
  removed: { state: "removed", code: "wiped", reason: "", release: "" },
};

const device = (id: string, changes: Partial<Profile> = {}): Profile =>
  buildProfile({ id, host: `${id}.example.com`, hostKey: KEY, ...changes });

function planned(id: string, text = `device: ${id}\n`, secretFiles = ""): DevicePlan {
  const payload = { digest: "0".repeat(64), body: "" };
  return { id, text, payload, secretFiles, pushed: [], warnings: [] };
}

function dialled(
  id: string,
  state: DeviceOutcome["state"] | undefined,
  attempt = "3",
  secrets?: string,
): DialledDevice {
  const environment = { EDGE_FLEET_DEVICE: id, EDGE_FLEET_ATTEMPT: attempt };
  return {
    ...{ id, urn: `urn::${id}`, text: `device: ${id}\n` },
    environment: secrets === undefined ? environment : { ...environment, EDGE_FLEET_SECRETS: secrets },
    outcome: state === undefined ? undefined : OUTCOMES[state],
  };
}

function runOf(
  profile: Profile,
  plan: DevicePlan | Refusal,
  previous?: DialledDevice,
  others: Profile[] = [],
): DeviceRun {
  const known = new Map(previous === undefined ? [] : [[previous.id, previous]]);
  const fleet = [profile, ...others];
  const [run] = planRuns({ region: "tokyo", profiles: [profile], plans: [plan], fleet, previous: known });
  assert.ok(run);
  return run;
}

const DIALS: readonly {
  readonly name: string;
  readonly plan?: DevicePlan;
  readonly previous?: DialledDevice;
  readonly attempt: string;
  readonly changed: boolean;
}[] = [
  { name: "a new device is dialled", attempt: "1", changed: true },
  { name: "one that is as wanted is left alone", previous: dialled("a", "applied"), attempt: "3", changed: false },
  { name: "one that was not reached is tried again", previous: dialled("a", "pending"), attempt: "4", changed: true },
  { name: "one that failed is tried again", previous: dialled("a", "failed"), attempt: "4", changed: true },
  {
    name: "one whose dial was cut short is tried again",
    previous: dialled("a", undefined),
    attempt: "4",
    changed: true,
  },
  {
    name: "another plan is a dial of the same attempt",
    plan: planned("a", "device: a\nlabels.tier: gold\n"),
    previous: dialled("a", "applied"),
    attempt: "3",
    changed: true,
  },
  {
    name: "another secret is a dial",
    plan: planned("a", undefined, "new"),
    previous: dialled("a", "applied", "3", "old"),
    attempt: "3",
    changed: true,
  },
];

for (const { name, plan = planned("a"), previous, attempt, changed } of DIALS) {
  test(name, () => {
    const { dial, held } = runOf(device("a"), plan, previous);
    assert.deepEqual([dial?.attempt, dial?.changed, held], [attempt, changed, undefined]);
  });
}

test("a device that is not enrolled is registered and not dialled, and no run counts another attempt", () => {
  const profile = device("a", { hostKey: undefined });
  const first = runOf(profile, planned("a"));
  assert.deepEqual([first.dial?.attempt, first.held?.code, first.held?.state], ["1", "not-enrolled", "pending"]);
  const second = runOf(profile, planned("a"), dialled("a", "pending", "1"));
  assert.deepEqual([second.dial?.attempt, second.dial?.changed], ["1", false]);
});

test("a device without a plan stays in the state as it is, and fails alone", () => {
  const refused = { id: "a", refused: "stacks/tokyo.yaml:4:7 k3s.version: is unknown - use another" };
  const run = runOf(device("a"), refused, dialled("a", "applied", "7", "secret"));
  assert.deepEqual(run.dial, { text: "device: a\n", secretFiles: "secret", attempt: "7", changed: false });
  assert.deepEqual([run.held?.state, run.held?.code], ["failed", "refused"]);
  assert.equal(runOf(device("a"), refused).dial, undefined);
});

test("a device that is to be wiped is not, while another one has its address", () => {
  const leaving = device("a", { state: "removed", decommission: "wipe", host: "10.0.0.7" });
  const heir = device("b", { host: "10.0.0.7" });
  const [refused, retained, done] = [
    runOf(leaving, planned("a"), dialled("a", "applied"), [heir]),
    runOf({ ...leaving, decommission: "retain" }, planned("a"), dialled("a", "applied"), [heir]),
    runOf(leaving, planned("a"), dialled("a", "removed"), [heir]),
  ];
  assert.match(refused?.held?.reason ?? "", /^b has its address now, so it is not wiped - /);
  assert.deepEqual([retained?.held, done?.held], [undefined, undefined]);
});

const VANISHED =
  /^(.*): (is|are) in the stack tokyo and no longer in its inventory - put (it|them) back; to let (it|them) go, write state: removed/;

test("devices that merely are no longer in the inventory stop the run, and are named", () => {
  const previous = new Map(
    [dialled("a", "applied"), dialled("b", "pending"), dialled("c", "removed")].map((d) => [d.id, d]),
  );
  const input = { region: "tokyo", profiles: [], plans: [], fleet: [], previous };
  assert.throws(() => planRuns(input), { message: VANISHED });
  assert.throws(() => planRuns(input), /^Error: a, b: are/);
});

const STATES = ["applied", "pending", "failed", undefined] as const;

test("property: whatever the state, each device of the inventory is registered, and none is wiped that does not say so", () => {
  const entry = fc.record({
    known: fc.option(fc.constantFrom(...STATES, "removed" as const), { nil: null }),
    enrolled: fc.boolean(),
    state: fc.constantFrom("present" as const, "removed" as const),
    decommission: fc.constantFrom("wipe" as const, "retain" as const),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 8 }), (entries) => {
      const profiles = entries.map(({ enrolled, state, decommission }, index) =>
        device(`d${index}`, { hostKey: enrolled ? KEY : undefined, state, decommission }),
      );
      const plans = profiles.map(({ id, state, decommission }) =>
        state === "removed"
          ? { ...planned(id, `device: ${id}\nremove: ${decommission}\n`), payload: undefined }
          : planned(id),
      );
      const previous = new Map<string, DialledDevice>(
        entries.flatMap(({ known }, index) =>
          known === null ? [] : [[`d${index}`, dialled(`d${index}`, known)] as const],
        ),
      );
      const runs = planRuns({ region: "tokyo", profiles, plans, fleet: profiles, previous });
      assert.deepEqual(
        runs.map(({ id }) => id),
        profiles.map(({ id }) => id),
      );
      for (const { dial, profile, held } of runs) {
        assert.ok(dial, "it is registered");
        assert.equal(/^remove: wipe$/m.test(dial.text), profile.state === "removed" && profile.decommission === "wipe");
        assert.equal(
          held !== undefined,
          profile.hostKey === undefined &&
            !(
              profile.state === "removed" &&
              (profile.decommission === "retain" || previous.get(profile.id)?.outcome?.state === "removed")
            ),
        );
      }
    }),
  );
});
