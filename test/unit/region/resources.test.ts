/** The shape of a region's resources, by Pulumi's mocks: names, parents, options, one command a device, secrets kept. */
import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import type { RegionOutputs } from "../../../components/index.ts";
import { type ArtifactsLock, loadInventory } from "../../../components/inventory/index.ts";
import { LOCK } from "../device/profile.ts";
import { FLEET, inventoryFolder } from "../inventory/folder.ts";

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
}

/** Marks a secret in what the mocks see (sdk/nodejs/runtime/rpc.ts, specialSecretSig). */
const SECRET_MARK = "1b47061264138c4ac30d75fd1eb44270";
const TOKEN = "0123456789abcdef0123456789abcdef";
const PASSWORD = "pass-of-the-mirror";
const KUBECONFIG = "clusters: [{name: hub-0000}]\nusers: [{user: {token: token-of-the-hub}}]\n";
const PINNED = ["1", "2", "3", "5", "6", "7"];

const REGION = `region: tokyo
network: {shape: lan}
devices:
  - {id: tokyo-1, host: 10.0.0.1, model: nuc-4g}
  - {id: tokyo-2, host: 10.0.0.2, model: nuc-4g, network: {shape: single}}
  - {id: tokyo-3, host: 10.0.0.3, model: nuc-4g, network: {shape: single}, registries: {docker.io: {endpoints: ["https://mirror.example.com"], username: edge, passwordSecret: mirror}}}
  - {id: tokyo-4, host: 10.0.0.4, model: nuc-4g, network: {shape: single}}
  - {id: tokyo-5, host: 10.0.0.5, model: nuc-4g, network: {shape: single}, state: removed, decommission: wipe}
  - {id: tokyo-6, host: 10.0.0.6, model: nuc-4g, joins: tokyo-1}
  - {id: tokyo-7, host: 10.0.0.7, model: nuc-4g, network: {shape: single}, k3s: {version: v1.36.9+k3s1}}
`;
const key = (number: string): string =>
  `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq3aTl0pY4aZ1CfMEiZlqkBv2f6dO0tSNUuKcTzJbZ${number}`;
const PINS = `devices:\n${PINNED.map((number) => `  tokyo-${number}: {hostKey: ${key(number)}}\n`).join("")}`;

const registered: Registered[] = [];
const optionsByName = new Map<string, pulumi.CustomResourceOptions>();
const resources = new Map<string, pulumi.Resource>();

/** What the state has: one device that was not reached in its fourth attempt. */
const STATE = {
  "urn:pulumi:tokyo::edge-fleet::edge-fleet:index:Region$command:local:Command::tokyo-2": {
    type: "command:local:Command",
    outputs: {
      environment: { EDGE_FLEET_DEVICE: "tokyo-2", EDGE_FLEET_ATTEMPT: "4" },
      stdin: "device: tokyo-2\n",
      stdout: JSON.stringify({ end: "ssh", text: "255 Connection refused" }),
    },
  },
};

function dialLine(inputs: Record<string, unknown>): string {
  const result = /^remove: /m.test(String(inputs.stdin)) ? "removed" : "applied";
  return JSON.stringify({ attempt: "1", end: "answer", text: "", version: "v1.36.2+k3s1", answer: { result } });
}

async function registerRegion(): Promise<RegionOutputs> {
  const inventory = loadInventory(
    inventoryFolder({ "tokyo.yaml": REGION, "tokyo.lock.yaml": PINS, "fleet.yaml": FLEET }),
  );
  process.chdir(mkdtempSync(join(tmpdir(), "edge-fleet-region-")));
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        registered.push({ type, name, inputs });
        const stdout = type.startsWith("command:") ? { stdout: dialLine(inputs) } : {};
        return { id: `${name}-id`, state: { ...inputs, ...stdout } };
      },
      call: ({ token }) => ({ outputs: token.endsWith("readStackResourceOutputs") ? STATE : { devices: {} } }),
    },
    "edge-fleet",
    "tokyo",
    false,
    "organization",
  );
  const { Region } = await import("../../../components/index.ts");
  const region = new Region(
    "tokyo",
    {
      inventory: { ...inventory, artifacts: LOCK as ArtifactsLock },
      secrets: { mirror: PASSWORD, "token-tokyo-1": TOKEN },
      hubKubeconfig: pulumi.secret(KUBECONFIG),
    },
    {
      transformations: [
        ({ name, opts, resource }) => {
          optionsByName.set(name, opts);
          resources.set(name, resource);
          return undefined;
        },
      ],
    },
  );
  return new Promise((resolve) => region.outputs.apply(resolve));
}

function urnOf(name: string): Promise<string> {
  return new Promise((resolve) => resources.get(name)?.urn.apply(resolve));
}

const outputs = await registerRegion();
await pulumi.runtime.disconnect();
const commands = registered.filter(({ type }) => type === "command:local:Command");

/** The environment of one that holds a secret is a secret as a whole. */
function environmentOf({ inputs }: Registered): { secret: boolean; variables: Readonly<Record<string, string>> } {
  const environment = inputs.environment as Readonly<Record<string, unknown>>;
  const secret = Object.values(environment).includes(SECRET_MARK);
  return { secret, variables: (secret ? environment.value : environment) as Readonly<Record<string, string>> };
}

function commandOf(id: string): Registered {
  const command = commands.find(({ name }) => name === id);
  assert.ok(command, id);
  return command;
}

test("each device has one command, named after it, below its region", async () => {
  const names = commands.map(({ name }) => name).sort();
  assert.deepEqual(names, ["tokyo-1", "tokyo-2", "tokyo-3", "tokyo-4", "tokyo-5", "tokyo-6"]);
  assert.match(await urnOf("tokyo-1"), /edge-fleet:index:Region\$command:local:Command::tokyo-1$/);
});

test("a command never triggers a replacement, never logs, and no removal of a resource ever runs anything", () => {
  for (const { inputs, name } of commands) {
    assert.deepEqual(Object.keys(inputs).sort(), [
      "addPreviousOutputInEnv",
      "create",
      "environment",
      "logging",
      "stdin",
    ]);
    assert.equal(inputs.create, "exec sh .edge-fleet/tokyo/dial.sh");
    assert.equal(inputs.logging, "none");
    assert.equal(optionsByName.get(name)?.ignoreChanges, undefined);
  }
});

test("what is not declared removed is protected, on the hub too", () => {
  const open = [...optionsByName].filter(([, { protect }]) => protect === false).map(([name]) => name);
  assert.deepEqual(open.sort(), ["tokyo-5", "tokyo-registration-applications", "tokyo-registration-tokyo-5"]);
  for (const { name } of commands) assert.equal(optionsByName.get(name)?.protect, name !== "tokyo-5", name);
});

test("a device that was not reached is dialled anew by its next attempt", () => {
  assert.equal(environmentOf(commandOf("tokyo-2")).variables.EDGE_FLEET_ATTEMPT, "5");
  assert.equal(environmentOf(commandOf("tokyo-1")).variables.EDGE_FLEET_ATTEMPT, "1");
});

test("an agent is a device of the stack that comes after its server, and no cluster on the hub", () => {
  const { dependsOn } = optionsByName.get("tokyo-6") ?? {};
  assert.deepEqual(dependsOn, [resources.get("tokyo-1")]);
  const secrets = registered.filter(({ type }) => type === "kubernetes:core/v1:Secret");
  assert.deepEqual(secrets.map(({ inputs }) => (inputs.metadata as { name: string }).name).sort(), [
    ...["cluster-tokyo-1", "cluster-tokyo-2", "cluster-tokyo-3", "cluster-tokyo-4", "cluster-tokyo-5"],
  ]);
  assert.equal(registered.filter(({ type }) => type === "kubernetes:argoproj.io/v1alpha1:ApplicationSet").length, 1);
});

test("secrets travel in one secret variable of those that have any, and stand nowhere else", () => {
  const holders = commands.filter((command) => environmentOf(command).secret).map(({ name }) => name);
  assert.deepEqual(holders.sort(), ["tokyo-1", "tokyo-3", "tokyo-6"]);
  for (const command of commands) {
    const { environment, ...open } = command.inputs;
    const readable = environmentOf(command).secret ? open : { ...open, environment };
    for (const secret of [TOKEN, PASSWORD]) assert.equal(JSON.stringify(readable).includes(secret), false);
  }
  const kubeconfigs = registered.filter(({ inputs }) => JSON.stringify(inputs).includes("token-of-the-hub"));
  assert.deepEqual(
    kubeconfigs.map(({ type }) => type),
    ["pulumi:providers:kubernetes"],
  );
});

test("a plan is lines that a person can review, without an address", () => {
  const stdin = String(commandOf("tokyo-2").inputs.stdin);
  assert.match(stdin, /^device: tokyo-2\n/);
  assert.match(stdin, /^k3s\.version: v1\.36\.2\+k3s1$/m);
  assert.match(stdin, /^payload: [0-9a-f]{64}$/m);
  assert.equal(stdin.includes("10.0.0.2"), false);
  assert.match(String(commandOf("tokyo-5").inputs.stdin), /^device: tokyo-5\nprogram: [0-9a-f]{64}\nremove: wipe\n$/);
});

test("outputs tell what became of each device", () => {
  const { failed, ...rest } = outputs;
  assert.deepEqual(rest, {
    devices: { applied: 4, pending: 1, failed: 1, removed: 1 },
    applied: Object.fromEntries(["tokyo-1", "tokyo-2", "tokyo-3", "tokyo-6"].map((id) => [id, "v1.36.2+k3s1"])),
    waiting: {},
    agents: {},
    pending: {
      "tokyo-4": { code: "not-enrolled", reason: "no host key is pinned - run edge-fleet enroll tokyo" },
    },
    removed: { "tokyo-5": "wiped" },
  });
  assert.equal(failed["tokyo-7"]?.code, "refused");
  assert.match(failed["tokyo-7"]?.reason ?? "", /v1\.36\.9\+k3s1/);
  process.exitCode = 0;
});
