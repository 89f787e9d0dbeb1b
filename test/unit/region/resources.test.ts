/** The shape of a region's resources, by Pulumi's mocks: names, parents, options, one command a device, secrets kept. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks.js";
import { deviceProgram } from "../../../components/device/program.ts";
import { renderApplicationSets, treeInput } from "../../../components/gitops/index.ts";
import type { Profile } from "../../../components/inventory/index.ts";
import { planRegion } from "../../../components/region/plan.ts";
import { ERASURE_ORDERED } from "../../../components/region/removal.ts";
import { buildProfile, LOCK } from "../device/profile.ts";

interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
}

/** Marks a secret in what the mocks see (sdk/nodejs/runtime/rpc.ts, specialSecretSig). */
const SECRET_MARK = "1b47061264138c4ac30d75fd1eb44270";
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq3aTl0pY4aZ1CfMEiZlqkBv2f6dO0tSNUuKcTzJbZH";
const TOKEN = "0123456789abcdef0123456789abcdef";
const LAN = { ...buildProfile().network, shape: "lan" } as const;
const MIRROR = { endpoints: ["https://mirror.example.com"], username: "edge", passwordSecret: "mirror" };
const DARK = { reachable: false, reason: "no answer within 3 s" } as const;

// The SDK's mock monitor knows resource hooks but no error hooks (sdk/nodejs/runtime/mocks.ts, 3.270).
Object.assign(MockMonitor.prototype, {
  registerErrorHook: (_request: unknown, done: (error: null, answer: object) => void) => done(null, {}),
});

const registered: Registered[] = [];
const optionsByName = new Map<string, pulumi.CustomResourceOptions>();
const resources = new Map<string, pulumi.Resource>();

function answer(device: string, result: string, hash: string): string {
  return JSON.stringify({ device, result, hash, version: "v1.36.2+k3s1", reason: "" });
}

async function registerRegion(): Promise<{ devices: unknown; pending: unknown; failed: unknown }> {
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs }) => {
        registered.push({ type, name, inputs });
        const result = "update" in inputs ? "removed" : "applied";
        const stdout = type.startsWith("command:") ? { stdout: answer(name, result, `hash-of-${name}`) } : {};
        return { id: `${name}-id`, state: { ...inputs, ...stdout } };
      },
      call: () => ({}),
    },
    "edge-fleet",
    "tokyo",
    false,
  );
  const { Region } = await import("../../../components/region/index.ts");
  const enrolled = (id: string, changes: Partial<Profile> = {}) => buildProfile({ id, hostKey: KEY, ...changes });
  const proxy = { host: "jump.example.com", port: 22, user: "edge", hostKey: KEY };
  const profiles = [
    enrolled("tokyo-0001", { network: LAN }),
    enrolled("tokyo-0002", { ssh: { user: "edge", port: 2222, proxy } }),
    enrolled("tokyo-0003", { registries: { "docker.io": MIRROR } }),
    buildProfile({ id: "tokyo-0004" }),
    enrolled("tokyo-0005", { decommission: "wipe" }),
    enrolled("tokyo-0006", { joins: "tokyo-0001", network: LAN }),
  ];
  const devices = { "tokyo-0003": "hash-before", "tokyo-0007": "hash-before", "tokyo-0008": ERASURE_ORDERED };
  const gone = (host: string) => ({ host, port: 22, proxy: undefined });
  const wipe = { "tokyo-0007": gone("left.example.com"), "tokyo-0008": gone("dark.example.com") };
  const reachability = new Map([
    ["tokyo-0003", DARK],
    ["tokyo-0008", DARK],
  ]);
  const known = { previous: devices, wipe, reachability, servers: {} };
  const plan = planRegion({ region: "tokyo", profiles, fleet: profiles, maxRemovals: 1, ...known });
  const fleet = { fleet: { fleet: "acme", git: { url: "https://git.example.com/x.git" }, rings: ["canary"] } };
  const region = new Region(
    "tokyo",
    {
      plan,
      artifacts: LOCK,
      previous: { devices, programs: { "tokyo-0003": "program-before" }, pushed: {}, wipe },
      profiles,
      secrets: { mirror: "pass-of-the-mirror", "token-tokyo-0001": TOKEN },
      applicationSets: renderApplicationSets("tokyo", treeInput(fleet as never, profiles)),
      hubKubeconfig: pulumi.secret("kubeconfig-with-token"),
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
  return new Promise((resolve) => region.outputs.apply((outputs) => resolve(outputs)));
}

function urnOf(name: string): Promise<string> {
  return new Promise((resolve) => resources.get(name)?.urn.apply(resolve));
}

const outputs = await registerRegion();
await new Promise((resolve) => setTimeout(resolve, 50));
/** Commands of the devices that have left the inventory. */
const LEFT = ["tokyo-0007-apply", "tokyo-0008-apply"];
const commands = registered.filter(({ type }) => type === "command:remote:Command");

test("each registered device has one component and one command, named after it", () => {
  const components = registered.filter(({ type }) => type === "edge-fleet:index:Device").map(({ name }) => name);
  const known = ["0001", "0002", "0003", "0005", "0006", "0007", "0008"].map((number) => `tokyo-${number}`);
  assert.deepEqual(components.sort(), known);
  assert.deepEqual(
    commands.map(({ name }) => name).sort(),
    components.map((id) => `${id}-apply`),
  );
});

test("a device that was never applied and cannot be now has no resource", () => {
  assert.equal(
    registered.some(({ name }) => name.includes("tokyo-0004")),
    false,
  );
});

test("children carry their parent's name and sit below it", async () => {
  for (const [name, opts] of optionsByName) {
    const parent = (opts.parent as unknown as { __name?: string } | undefined)?.__name;
    if (name !== "tokyo")
      assert.ok(
        parent !== undefined && name.startsWith(parent.replace(/-registration$/, "")),
        `${name} under ${parent}`,
      );
  }
  assert.match(await urnOf("tokyo-0001-apply"), /Device\$command:remote:Command::tokyo-0001-apply$/);
});

test("a command never triggers a replacement, never logs, and no removal of a resource ever runs anything", () => {
  for (const { name, inputs } of commands) {
    const payload = LEFT.includes(name) ? "update" : "stdin";
    const fields = ["addPreviousOutputInEnv", "connection", "create", "logging", payload];
    assert.deepEqual(Object.keys(inputs).sort(), fields.sort());
    assert.equal(inputs.logging, "none");
    assert.equal(inputs.addPreviousOutputInEnv, false);
    assert.equal(optionsByName.get(name)?.retainOnDelete, true);
  }
});

test("a device that has left is erased by an update over the connection in the state, and by nothing else", () => {
  for (const { name, inputs } of commands) {
    assert.equal("update" in inputs, LEFT.includes(name), name);
    if (!LEFT.includes(name)) continue;
    assert.match(String(inputs.update), new RegExp(`edge-fleet-device remove ${name.replace("-apply", "")}\n$`));
    const { connection } = inputs as { connection: { value: { host: string; hostKey: string } } };
    assert.deepEqual(
      [connection.value.host, connection.value.hostKey],
      ["left-the-inventory.invalid", "no-host-key-is-pinned"],
    );
  }
});

test("an agent is a device of the stack and no cluster on the hub", () => {
  assert.ok(registered.some(({ name }) => name === "tokyo-0006-apply"));
  const secrets = registered.filter(({ type }) => type === "kubernetes:core/v1:Secret").map(({ name }) => name);
  assert.ok(
    secrets.some((name) => name.endsWith("tokyo-0001")),
    secrets.join(", "),
  );
  assert.ok(!secrets.some((name) => name.endsWith("tokyo-0006")), secrets.join(", "));
});

test("only a held device, and one that has left, ignore changes", () => {
  const ignoring = commands.flatMap(({ name }) => {
    const { ignoreChanges = [] } = optionsByName.get(name) ?? {};
    return ignoreChanges.length === 0 ? [] : [[name, ignoreChanges]];
  });
  assert.deepEqual(ignoring.sort(), [
    ["tokyo-0003-apply", ["*"]],
    ["tokyo-0007-apply", ["connection", "create"]],
    ["tokyo-0008-apply", ["*"]],
  ]);
});

test("every connection pins the host key and is bounded, also through a jump host", () => {
  const connection = (name: string) => {
    const inputs = commands.find((command) => command.name === `${name}-apply`)?.inputs as {
      connection: { value: Record<string, unknown> };
    };
    assert.equal(JSON.stringify(inputs.connection).includes(SECRET_MARK), true, "the connection is secret");
    return inputs.connection.value;
  };
  const dial = { dialErrorLimit: 0, perDialTimeout: 5, hostKey: KEY };
  assert.deepEqual(connection("tokyo-0001"), { host: "edge-0001.example.com", port: 22, user: "root", ...dial });
  assert.deepEqual(connection("tokyo-0002"), {
    ...{ host: "edge-0001.example.com", port: 2222, user: "edge", ...dial },
    proxy: { host: "jump.example.com", port: 22, user: "edge", ...dial },
  });
});

test("the kubeconfig of the region's account stays secret", () => {
  const provider = registered.find(({ type }) => type === "pulumi:providers:kubernetes");
  const text = JSON.stringify(provider?.inputs);
  assert.ok(text.includes(SECRET_MARK) && text.includes("kubeconfig-with-token"));
  const elsewhere = registered.filter(({ type }) => type !== "pulumi:providers:kubernetes");
  assert.equal(JSON.stringify(elsewhere).includes("kubeconfig-with-token"), false);
});

test("a payload is secret where it holds a password or a token, and nowhere else", () => {
  const secret = commands.filter(({ inputs }) => JSON.stringify(inputs.stdin ?? "").includes(SECRET_MARK));
  assert.deepEqual(secret.map(({ name }) => name).sort(), ["tokyo-0001-apply", "tokyo-0003-apply", "tokyo-0006-apply"]);
});

test("each registered cluster has one Secret, the region one ApplicationSet", () => {
  const secrets = registered.filter(({ type }) => type === "kubernetes:core/v1:Secret");
  assert.deepEqual(secrets.map(({ inputs }) => (inputs.metadata as { name: string }).name).sort(), [
    "cluster-tokyo-0001",
    "cluster-tokyo-0002",
    "cluster-tokyo-0003",
    "cluster-tokyo-0005",
  ]);
  assert.equal(registered.filter(({ type }) => type === "kubernetes:argoproj.io/v1alpha1:ApplicationSet").length, 1);
});

test("outputs tell applied from pending", () => {
  assert.deepEqual(outputs, {
    devices: {
      "tokyo-0001": "hash-of-tokyo-0001-apply",
      "tokyo-0002": "hash-of-tokyo-0002-apply",
      "tokyo-0003": "hash-of-tokyo-0003-apply",
      "tokyo-0005": "hash-of-tokyo-0005-apply",
      "tokyo-0006": "hash-of-tokyo-0006-apply",
      "tokyo-0008": ERASURE_ORDERED,
    },
    programs: {
      "tokyo-0001": deviceProgram().sha256,
      "tokyo-0002": deviceProgram().sha256,
      "tokyo-0003": "program-before",
      "tokyo-0005": deviceProgram().sha256,
      "tokyo-0006": deviceProgram().sha256,
    },
    pushed: {},
    pending: {
      "tokyo-0003": "no answer within 3 s",
      "tokyo-0004": "not enrolled - run edge-fleet enroll tokyo",
      "tokyo-0008": "to be wiped: no answer within 3 s - run up again once it answers",
    },
    failed: {},
    wipe: {
      "tokyo-0005": { host: "edge-0001.example.com", port: 22, proxy: undefined },
      "tokyo-0008": { host: "dark.example.com", port: 22, proxy: undefined },
    },
    removed: { "tokyo-0007": "wiped" },
  });
});
