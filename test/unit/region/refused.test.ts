/** Devices whose plan cannot be made, by Pulumi's mocks: each fails alone, with its reason, and stays in the state. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks.js";
import type { Profile } from "../../../components/inventory/index.ts";
import { planRegion } from "../../../components/region/plan.ts";
import { buildProfile, LOCK } from "../device/profile.ts";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq3aTl0pY4aZ1CfMEiZlqkBv2f6dO0tSNUuKcTzJbZH";
const REASON = "stacks/models.yaml:4:18 nuc-4g.k3s.version: v1.30.1+k3s1 is not supported - use v1.33.0+k3s1 or later";

// The SDK's mock monitor knows resource hooks but no error hooks (sdk/nodejs/runtime/mocks.ts, 3.270).
Object.assign(MockMonitor.prototype, {
  registerErrorHook: (_request: unknown, done: (error: null, answer: object) => void) => done(null, {}),
});

const commands = new Map<string, Record<string, unknown>>();
const ignored = new Map<string, unknown>();
const names: string[] = [];

interface Outputs {
  readonly devices: Record<string, string>;
  readonly failed: Record<string, string>;
  readonly pending: Record<string, string>;
}

async function registerRegion(): Promise<Outputs> {
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        names.push(name);
        if (!type.startsWith("command:")) return { id: `${name}-id`, state: inputs };
        commands.set(name, inputs);
        const answer = { device: name, result: "applied", hash: `hash-of-${name}`, version: "v1", reason: "" };
        return { id: `${name}-id`, state: { ...inputs, stdout: JSON.stringify(answer) } };
      },
      call: () => ({}),
    },
    "edge-fleet",
    "tokyo",
    false,
  );
  const { Region } = await import("../../../components/region/index.ts");
  const device = (id: string, changes: Partial<Profile> = {}) => buildProfile({ id, hostKey: KEY, ...changes });
  const { k3s } = buildProfile();
  const mirror = { endpoints: ["https://mirror.example.com"], username: "edge", passwordSecret: "mirror" };
  const profiles = [
    device("good"),
    device("known"),
    device("new"),
    device("unlocked", { k3s: { ...k3s, version: "v1.36.9+k3s1" } }),
    device("secretless", { registries: { "docker.io": mirror } }),
  ];
  const previous = { devices: { known: "hash-before" }, programs: {}, pushed: {}, wipe: {} };
  const known = { previous: previous.devices, wipe: {}, reachability: new Map(), servers: {} };
  const plan = planRegion({ region: "tokyo", profiles, fleet: profiles, maxRemovals: 1, ...known });
  const region = new Region(
    "tokyo",
    {
      plan,
      artifacts: LOCK,
      previous,
      profiles,
      refused: new Map([
        ["known", REASON],
        ["new", REASON],
      ]),
      secrets: {},
      applicationSets: [],
      hubKubeconfig: "kubeconfig",
    },
    {
      transformations: [
        ({ name, opts }) => {
          ignored.set(name, opts.ignoreChanges);
          return undefined;
        },
      ],
    },
  );
  return new Promise((resolve) => region.outputs.apply((outputs) => resolve(outputs)));
}

const outputs = await registerRegion();
await new Promise((resolve) => setTimeout(resolve, 50));

test("the others are applied", () => {
  assert.equal(outputs.devices.good, "hash-of-good-apply");
  assert.ok(commands.has("good-apply"));
});

test("each device that cannot be planned fails with the place or the thing to mend", () => {
  assert.deepEqual(outputs.failed, {
    known: REASON,
    new: REASON,
    secretless:
      "registries.docker.io.passwordSecret: the stack has no secret mirror - run pulumi config set --secret edge-fleet:mirror",
    unlocked: "artifacts.lock.yaml: k3s.v1.36.9+k3s1.amd64 is missing, device unlocked needs it - run edge-fleet lock",
  });
  assert.deepEqual(outputs.pending, {});
});

test("one that was applied before stays in the state as it is, and counts as what it has", () => {
  assert.deepEqual(ignored.get("known-apply"), ["*"]);
  assert.equal(outputs.devices.known, "hash-before");
});

test("one that was never applied is not registered, neither as a device nor on the hub", () => {
  for (const id of ["new", "unlocked", "secretless"])
    assert.deepEqual(
      names.filter((name) => name.includes(id)),
      [],
    );
  assert.ok(names.some((name) => name.includes("known") && !name.includes("apply")));
});
