/** Findings of plans at the place in the inventory where each setting is written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { loadInventory, resolveFleet } from "../../../components/inventory/index.ts";
import { planFindings } from "../../../components/plan/findings.ts";
import { FLEET, inventoryFolder, MODELS, REGION } from "../inventory/folder.ts";

const OLD = "v1.30.1+k3s1";
const SAYS = `${OLD} is not supported - use v1.33.0+k3s1 or later`;

/** Findings of a folder, without the folder's name. */
function findingsOf(files: Readonly<Record<string, string>>) {
  const directory = inventoryFolder(files);
  const inventory = loadInventory(directory);
  const short = (line: string) => line.replaceAll(`${directory}/`, "");
  const { errors, warnings, refused } = planFindings(inventory, resolveFleet(inventory));
  return {
    errors: errors.map(short),
    warnings: warnings.map(short),
    refused: new Map([...refused].map(([id, reason]) => [id, short(reason)])),
  };
}

const device = (id: string, more = "") => `  - {id: ${id}, host: ${id}.example.com, model: nuc-4g${more}}\n`;
const region = (...devices: string[]) => `region: tokyo\ndevices:\n${devices.join("")}`;
const version = `k3s:\n  version: ${OLD}\n`;
const NO_VERSION = FLEET.replace(/k3s:\n.*\n/, "");

const LAYERS: readonly { name: string; files: Record<string, string>; errors: string[] }[] = [
  { name: "no error where all is well", files: {}, errors: [] },
  {
    name: "the fleet's layer",
    files: { "fleet.yaml": `${NO_VERSION}${version}` },
    errors: [`fleet.yaml:9:12 k3s.version: ${SAYS} (device tokyo-0001)`],
  },
  {
    name: "the model's layer",
    files: { "models.yaml": `${MODELS}  k3s: {version: ${OLD}}\n` },
    errors: [`models.yaml:4:18 nuc-4g.k3s.version: ${SAYS} (device tokyo-0001)`],
  },
  {
    name: "the region's layer",
    files: { "tokyo.yaml": `${REGION}${version}` },
    errors: [`tokyo.yaml:7:12 k3s.version: ${SAYS} (device tokyo-0001)`],
  },
  {
    name: "the device's entry",
    files: { "tokyo.yaml": `${REGION}    k3s: {version: ${OLD}}\n` },
    errors: [`tokyo.yaml:6:20 devices[0].k3s.version (tokyo-0001): ${SAYS}`],
  },
  {
    name: "the cell of a CSV file",
    files: {
      "tokyo.yaml": "region: tokyo\ndevicesFrom: tokyo.csv\n",
      "tokyo.csv": `id,host,model,k3s.version\na,a.example.com,nuc-4g,\nb,b.example.com,nuc-4g,${OLD}\n`,
    },
    errors: [`tokyo.csv:3:24 row[1].k3s.version (b): ${SAYS}`],
  },
  {
    name: "a field that only an entry has",
    files: { "tokyo.yaml": REGION.replace("10.0.0.1", "10.42.0.1") },
    errors: [
      "tokyo.yaml:4:11 devices[0].host (tokyo-0001): 10.42.0.1 lies inside k3s.clusterCidr 10.42.0.0/16 - renumber the cluster's networks or the site",
    ],
  },
  {
    name: "a field that only a model has",
    files: { "models.yaml": MODELS.replace("4Gi", "512Mi") },
    errors: [
      "models.yaml:3:11 nuc-4g.memory: 512 MiB of memory is not enough for a K3s server - use a model with at least 1Gi (device tokyo-0001)",
    ],
  },
  {
    name: "a default: the entry of the device",
    files: { "tokyo.yaml": `${REGION}    k3s: {clusterCidr: 10.43.0.0/16}\n` },
    errors: [
      "tokyo.yaml:6:10 devices[0].k3s.serviceCidr (tokyo-0001): 10.43.0.0/16 overlaps k3s.clusterCidr 10.43.0.0/16 - use two separate networks",
    ],
  },
  {
    name: "a field that is missing in the map of a name with dots: the layer that has the map",
    files: { "fleet.yaml": `${FLEET}registries:\n  ghcr.io: {endpoints: ["https://m"], username: edge}\n` },
    errors: [
      "fleet.yaml:11:12 registries.ghcr.io.passwordSecret: is missing beside username - set both or neither (device tokyo-0001)",
    ],
  },
  {
    name: "a field of a name with dots",
    files: {
      "fleet.yaml": `${FLEET}registries:\n  ghcr.io: {endpoints: ["https://m"], username: "a:b", passwordSecret: x}\n`,
    },
    errors: [
      "fleet.yaml:11:49 registries.ghcr.io.username: has a colon, which HTTP cannot carry in a user's name - use another account (device tokyo-0001)",
    ],
  },
  {
    name: "several errors of a device, in the order of the files",
    files: {
      "models.yaml": `${MODELS}  k3s: {version: ${OLD}}\n`,
      "tokyo.yaml": `${REGION}    joins: nobody\n    network: {shape: lan, nodeIp: 10.0.0.1}\n`,
    },
    errors: [
      `models.yaml:4:18 nuc-4g.k3s.version: ${SAYS} (device tokyo-0001)`,
      "tokyo.yaml:6:12 devices[0].joins (tokyo-0001): nobody is not known here - use the id of a device of region tokyo",
    ],
  },
  {
    name: "a finding that two devices cause together",
    files: { "tokyo.yaml": region(device("a"), device("b", ", joins: a, network: {shape: lan, nodeIp: 10.0.0.1}")) },
    errors: [
      "tokyo.yaml:3:5 devices[0].network.shape (a): is single, but other devices join this one - use lan or multi-site for all of them",
      "tokyo.yaml:4:76 devices[1].network.shape (b): is lan, but a has single - use one shape for both",
      "tokyo.yaml:4:5 devices[1].k3s.flannelBackend (b): is vxlan, but a has host-gw - set it once, in the region",
    ],
  },
];

for (const { name, files, errors } of LAYERS) {
  test(`an error is told at its place: ${name}`, () => {
    const found = findingsOf(files);
    assert.deepEqual([...found.errors].sort(), [...errors].sort());
  });
}

test("500 devices with one error of their model are one line with their number, and each has its reason", () => {
  const ids = Array.from({ length: 500 }, (_, index) => `tokyo-${String(index + 1).padStart(4, "0")}`);
  const { errors, refused } = findingsOf({
    "models.yaml": `${MODELS}  k3s: {version: ${OLD}}\n`,
    "tokyo.yaml": region(...ids.map((id) => device(id))),
  });
  assert.deepEqual(errors, [`models.yaml:4:18 nuc-4g.k3s.version: ${SAYS} (device tokyo-0001 and 499 more devices)`]);
  assert.deepEqual([...refused.keys()], ids);
  assert.deepEqual(new Set(refused.values()), new Set([`models.yaml:4:18 nuc-4g.k3s.version: ${SAYS}`]));
});

test("devices that share a default's error are one line at the first of them", () => {
  const { errors } = findingsOf({
    "fleet.yaml": FLEET.replace(/\n$/, "\n  clusterCidr: 10.43.0.0/16\n"),
    "tokyo.yaml": region(device("a"), device("b"), device("c")),
  });
  assert.deepEqual(errors, [
    "tokyo.yaml:3:5 devices[0].k3s.serviceCidr (a): 10.43.0.0/16 overlaps k3s.clusterCidr 10.43.0.0/16 - use two separate networks (and 2 more devices)",
  ]);
});

test("a warning is told in the same way and refuses nobody", () => {
  const small = `${MODELS.replace("4Gi", "1Gi")}  gitops: {engine: none}\n`;
  const { errors, warnings, refused } = findingsOf({ "models.yaml": small });
  assert.deepEqual([errors, refused.size], [[], 0]);
  assert.match(
    warnings.join("\n"),
    /^models\.yaml:3:11 nuc-4g\.memory: 1024 MiB is less than [^\n]* \(device tokyo-0001\)$/,
  );
});

test("devices that are not asked for are not checked, but known to those that join them", () => {
  const files = { "tokyo.yaml": region(device("a", `, k3s: {version: ${OLD}}`), device("b")) };
  const inventory = loadInventory(inventoryFolder(files));
  const only = (wanted: string) => planFindings(inventory, resolveFleet(inventory), ({ id }) => id === wanted).errors;
  assert.deepEqual([only("a").length, only("b").length], [1, 0]);
});

test("whichever layers set a value, the line points at the nearest one, at the value itself", () => {
  const layers = ["fleet", "model", "region", "device"] as const;
  fc.assert(
    fc.property(fc.subarray([...layers], { minLength: 1 }), (setting) => {
      const own = (layer: (typeof layers)[number], indent: string) =>
        setting.includes(layer) ? `${indent}k3s:\n${indent}  version: v1.30.${layers.indexOf(layer)}+k3s1\n` : "";
      const texts: Record<string, string> = {
        "fleet.yaml": `${NO_VERSION}${own("fleet", "")}`,
        "models.yaml": `${MODELS}${own("model", "  ")}`,
        "tokyo.yaml": `${REGION}${own("device", "    ")}${own("region", "")}`,
      };
      const nearest = setting.at(-1);
      assert.ok(nearest);
      const value = `v1.30.${layers.indexOf(nearest)}+k3s1`;
      const { errors } = findingsOf(texts);
      assert.equal(errors.length, 1);
      const [, file = "", line, column] = /^(\S+):(\d+):(\d+) /.exec(errors[0] ?? "") ?? [];
      const there = (texts[file] ?? "").split("\n")[Number(line) - 1]?.slice(Number(column) - 1);
      assert.equal(there, value, errors.join());
    }),
    { numRuns: 30 },
  );
});
