import assert from "node:assert/strict";
import { test } from "node:test";
import { type PulumiRequest, planCall } from "../../../cli/pulumi/call.ts";
import { countDevices, deviceRows, formatDevices } from "../../../cli/pulumi/report.ts";
import { chooseStacks } from "../../../cli/pulumi/stacks.ts";
import { loadInventory } from "../../../components/inventory/index.ts";
import { writeInventory } from "./inventory.ts";

const REQUEST: PulumiRequest = {
  ...{ operation: "up", stack: "tokyo", region: "tokyo", parallel: 64, devices: [], targets: [], flags: [] },
};
const COMMON = ["--stack", "tokyo", "--parallel", "64"];

const calls: { name: string; request: Partial<PulumiRequest>; args: string[]; skipsCheckpoints: boolean }[] = [
  { name: "up of a region", request: {}, args: ["up", ...COMMON], skipsCheckpoints: true },
  {
    name: "up with flags of pulumi",
    request: { flags: ["--yes", "--skip-preview"] },
    args: ["up", ...COMMON, "--yes", "--skip-preview"],
    skipsCheckpoints: true,
  },
  {
    name: "up of two devices and a target",
    request: { devices: ["a", "b"], targets: ["urn:x"] },
    args: [
      ...["up", ...COMMON, "--target", "**::edge-fleet:index:Region::*"],
      ...["--target", "**$command:local:Command::a", "--target", "**$command:local:Command::b"],
      ...["--target", "urn:x"],
    ],
    skipsCheckpoints: true,
  },
  {
    name: "up of the hub",
    request: { stack: "hub", region: undefined, parallel: 8 },
    args: ["up", "--stack", "hub", "--parallel", "8"],
    skipsCheckpoints: false,
  },
  {
    name: "preview of the hub",
    request: { stack: "acme/edge-fleet/hub", region: undefined, operation: "preview" },
    args: ["preview", "--stack", "acme/edge-fleet/hub", "--parallel", "64"],
    skipsCheckpoints: true,
  },
];

for (const { name, request, args, skipsCheckpoints } of calls) {
  test(`${name} ${skipsCheckpoints ? "skips" : "keeps"} checkpoints`, () => {
    const { args: planned, environment } = planCall({ ...REQUEST, ...request });
    assert.deepEqual(planned, args);
    assert.deepEqual(environment, {
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_CONTINUE_ON_ERROR: "true",
      PULUMI_DIY_BACKEND_ZSTD: "true",
      ...(skipsCheckpoints ? { PULUMI_SKIP_CHECKPOINTS: "true" } : {}),
    });
  });
}

const REGION = (name: string, id: string): string =>
  `region: ${name}\ndevices:\n  - { id: ${id}, host: 10.0.0.${id.length}, model: box }\n`;

const choices: { name: string; stacks: string[]; devices?: string[]; chosen: string[] | RegExp }[] = [
  { name: "none: all, the hub first", stacks: [], chosen: ["hub", "berlin", "tokyo"] },
  { name: "the hub comes first wherever it stands", stacks: ["tokyo", "hub"], chosen: ["hub", "tokyo"] },
  { name: "a name twice", stacks: ["tokyo", "tokyo"], chosen: ["tokyo"] },
  { name: "a name in full", stacks: ["acme/fleet/tokyo"], chosen: ["acme/fleet/tokyo"] },
  {
    name: "an unknown one",
    stacks: ["tokyo", "nosuch"],
    chosen: /^stack nosuch is neither .* - use hub, berlin, tokyo$/,
  },
  { name: "a device of a region", stacks: [], devices: ["aaa"], chosen: ["tokyo aaa"] },
  { name: "devices of two regions", stacks: [], devices: ["bb", "aaa"], chosen: ["berlin bb", "tokyo aaa"] },
  { name: "a device of its region", stacks: ["x/y/tokyo"], devices: ["aaa"], chosen: ["x/y/tokyo aaa"] },
  { name: "a device and a stack without it", stacks: ["hub"], devices: ["aaa"], chosen: /^stack hub has none of/ },
  {
    name: "a device of a stack not named",
    stacks: ["tokyo"],
    devices: ["aaa", "bb"],
    chosen: /^device bb is of region berlin/,
  },
  { name: "an unknown device", stacks: [], devices: ["c"], chosen: /^device c is in no region of / },
];

for (const { name, stacks, devices = [], chosen } of choices) {
  test(`stacks: ${name}`, (context) => {
    const files = { "tokyo.yaml": REGION("tokyo", "aaa"), "berlin.yaml": REGION("berlin", "bb") };
    const inventory = loadInventory(writeInventory(context, files));
    const choose = () =>
      chooseStacks(inventory, stacks, devices).map(({ stack, devices }) => [stack, ...devices].join(" "));
    if (Array.isArray(chosen)) assert.deepEqual(choose(), chosen);
    else assert.throws(choose, { message: chosen, name: "UsageError" });
  });
}

const OUTPUTS = {
  devices: { applied: 2, pending: 1, failed: 1, removed: 1 },
  applied: { c: "v1.36.2+k3s1", a: "v1.36.2+k3s1" },
  pending: { b: { code: "unreachable", reason: "no answer\u001b[31m\nfrom the host" } },
  failed: { d: { code: "sudo", reason: "sudo asks for a password - set ssh.user to root" } },
  removed: { e: "wiped" },
};

test("devices are read from the outputs, and shown without control characters", () => {
  const rows = deviceRows(OUTPUTS);
  assert.deepEqual(
    rows.map(({ id, state, code, reason, release }) => [id, state, code, reason, release]),
    [
      ["a", "applied", "", "", "v1.36.2+k3s1"],
      ["b", "pending", "unreachable", "no answer [31m from the host", ""],
      ["c", "applied", "", "", "v1.36.2+k3s1"],
      ["d", "failed", "sudo", "sudo asks for a password - set ssh.user to root", ""],
      ["e", "removed", "wiped", "", ""],
    ],
  );
  assert.deepEqual(countDevices(rows), { applied: 2, pending: 1, failed: 1, removed: 1 });
});

for (const odd of [undefined, null, [1], "x", {}, { pending: ["a"], failed: null, applied: 3 }]) {
  test(`outputs that are ${JSON.stringify(odd)} tell of no device`, () => assert.deepEqual(deviceRows(odd), []));
}

test("the table has what is not applied, the worst last; removals are counted where there are any", () => {
  assert.equal(
    formatDevices("tokyo", deviceRows(OUTPUTS), false),
    `DEVICE  STATE    CODE         REASON
e       removed  wiped
b       pending  unreachable  no answer [31m from the host
d       failed   sudo         sudo asks for a password - set ssh.user to root
tokyo: 2 applied, 1 pending, 1 failed, 1 removed
`,
  );
  const well = deviceRows({ applied: { a: "v1" } });
  assert.equal(formatDevices("tokyo", well, false), "tokyo: 1 applied, 0 pending, 0 failed\n");
});
