import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { test } from "node:test";
import {
  hubOf,
  inventorySchemas,
  inventoryWarnings,
  loadInventory,
  resolveFleet,
} from "../../../components/inventory/index.ts";
import { FLEET, inventoryFolder, MODELS, problemsOf, REGION } from "./folder.ts";

const KEY_A = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq3aTl0pY4aZ1CfMEiZlqkBv2f6dO0tSNUuKcTzJbZH";
const OSAKA = `region: osaka\ndevices:\n  - {id: osaka-0001, host: 10.0.0.2, model: nuc-4g}\n`;

const CASES: readonly { name: string; files: Record<string, string>; problems: string[] }[] = [
  { name: "a valid inventory has no problem", files: {}, problems: [] },
  {
    name: "an unknown field is named with the field that was meant",
    files: { "tokyo.yaml": REGION.replace("host:", "hots:") },
    problems: [
      "tokyo.yaml:3:5 devices[0].host: is missing - write a string",
      "tokyo.yaml:4:5 devices[0].hots: is not a known field - did you mean host?",
    ],
  },
  {
    name: "an unknown field in a nested map is placed at its key",
    files: { "fleet.yaml": `${FLEET}  flannel: vxlan\n` },
    problems: ["fleet.yaml:10:3 k3s.flannel: is not a known field - did you mean flannelBackend?"],
  },
  {
    name: "an id that is no DNS-1123 label is refused",
    files: { "tokyo.yaml": REGION.replace("tokyo-0001", "Tokyo_1") },
    problems: [
      "tokyo.yaml:3:9 devices[0].id: is not a DNS-1123 label - use lower-case letters, digits and inner hyphens",
    ],
  },
  {
    name: "a wrong type says what was found and what to write",
    files: { "tokyo.yaml": `${REGION}    ssh: {port: "22"}\n` },
    problems: ["tokyo.yaml:6:17 devices[0].ssh.port: is a string - write a number"],
  },
  {
    name: "an unknown model is named with the model that was meant",
    files: { "tokyo.yaml": REGION.replace("nuc-4g", "nuc-4gb") },
    problems: ["tokyo.yaml:3:9 devices[0].model (tokyo-0001): nuc-4gb is not in models.yaml - did you mean nuc-4g?"],
  },
  {
    name: "an unknown ring lists the rings",
    files: { "tokyo.yaml": `${REGION}    ring: nightly\n` },
    problems: [
      "tokyo.yaml:3:9 devices[0].ring (tokyo-0001): nightly is not a ring of the fleet - use one of canary, broad",
    ],
  },
  {
    name: "a setting that no layer sets is asked for",
    files: { "fleet.yaml": FLEET.replace("k3s:\n  version: v1.36.2+k3s1\n", "") },
    problems: [
      "tokyo.yaml:3:9 devices[0] (tokyo-0001): k3s.version is set in no layer - set it in fleet.yaml, in the model, the region or the device",
    ],
  },
  {
    name: "an id may stand once in all regions",
    files: { "osaka.yaml": OSAKA.replace("osaka-0001", "tokyo-0001") },
    problems: [
      "tokyo.yaml:3:9 devices[0].id (tokyo-0001): is the same as that of device tokyo-0001 at osaka.yaml:3:10 - give one of them another id",
    ],
  },
  {
    name: "a host may stand once in all regions",
    files: { "osaka.yaml": OSAKA.replace("10.0.0.2", "10.0.0.1") },
    problems: [
      "tokyo.yaml:3:9 devices[0].host (tokyo-0001): is the same as that of device osaka-0001 at osaka.yaml:3:10 - one address is one device: correct the host or remove one entry",
    ],
  },
  {
    name: "devices behind one address are told apart by their ports",
    files: { "osaka.yaml": OSAKA.replace("host: 10.0.0.2", "host: 10.0.0.1, ssh: {port: 2222}") },
    problems: [],
  },
  {
    name: "a host key may stand once in all regions",
    files: {
      "osaka.yaml": OSAKA,
      "osaka.lock.yaml": `devices:\n  osaka-0001: {hostKey: ${KEY_A}}\n`,
      "tokyo.lock.yaml": `devices:\n  tokyo-0001: {hostKey: ${KEY_A}}\n`,
    },
    problems: [
      "tokyo.lock.yaml:2:25 devices.tokyo-0001.hostKey: is the same as that of device osaka-0001 at osaka.yaml:3:10 - the devices share one SSH host key, so they were cloned from one image: make new host keys and enroll again",
    ],
  },
  {
    name: "a device that others join is not removed from under them",
    files: {
      "tokyo.yaml": `${REGION}    state: removed\n  - {id: agent-1, host: 10.0.0.3, model: nuc-4g, joins: tokyo-0001}\n  - {id: agent-2, host: 10.0.0.4, model: nuc-4g, joins: tokyo-0001}\n`,
    },
    problems: [
      "tokyo.yaml:6:12 devices[0].state (tokyo-0001): is removed, but agent-1 and 1 more join its cluster - remove those too, or let them join another",
    ],
  },
  {
    name: "a server and its agents are removed together",
    files: {
      "tokyo.yaml": `state: removed\n${REGION}  - {id: agent-1, host: 10.0.0.3, model: nuc-4g, joins: tokyo-0001}\n`,
    },
    problems: [],
  },
  {
    name: "a state is one of three",
    files: { "tokyo.yaml": `${REGION}    state: gone\n` },
    problems: ["tokyo.yaml:6:12 devices[0].state: is not one of the allowed values - use present, removed, stolen"],
  },
  {
    name: "a hub is a map or none",
    files: { "fleet.yaml": FLEET.replace("hub:\n  argocd: {version: v3.2.0}", "hub: off") },
    problems: ["fleet.yaml:5:6 hub: is neither none nor a map - write `none`, or a map with argocd"],
  },
  {
    name: "a hub that is missing is asked for",
    files: { "fleet.yaml": FLEET.replace("hub:\n  argocd: {version: v3.2.0}\n", "") },
    problems: ["fleet.yaml:1:1 hub: is missing - write `none`, or a map with argocd"],
  },
  {
    name: "a mistake inside the hub's map is told at its place",
    files: { "fleet.yaml": FLEET.replace("argocd: {version: v3.2.0}", "argocd: {version: 3.2}\n  stak: hub") },
    problems: [
      "fleet.yaml:6:21 hub.argocd.version: is a number - put it in quotes",
      "fleet.yaml:7:3 hub.stak: is not a known field - did you mean stack?",
    ],
  },
  {
    name: "a region is not named as the hub's stack",
    files: { "osaka.yaml": OSAKA, "fleet.yaml": FLEET.replace("  argocd:", "  stack: osaka\n  argocd:") },
    problems: [
      "osaka.yaml:1:9 region: osaka is the name of the hub's stack - rename the region, or set hub.stack in fleet.yaml",
    ],
  },
  {
    name: "a region and its file share one name",
    files: { "tokyo.yaml": REGION.replace("region: tokyo", "region: kyoto") },
    problems: [
      "tokyo.yaml:1:9 region: is kyoto in a file named tokyo.yaml - rename one of them: the stack, the file and the region share one name",
    ],
  },
  {
    name: "a CSV cell is checked like a field",
    files: {
      "tokyo.yaml": "region: tokyo\ndevicesFrom: tokyo.csv\n",
      "tokyo.csv": "id,host,model,ssh.port\ntokyo-0001,10.0.0.1,nuc-4g,22\ntokyo-0002,10.0.0.2,nuc-4g,99999\n",
    },
    problems: ["tokyo.csv:3:28 row[1].ssh.port: is above the maximum - use 65535 or less"],
  },
  {
    name: "a CSV column that is no field is refused",
    files: {
      "tokyo.yaml": "region: tokyo\ndevicesFrom: tokyo.csv\n",
      "tokyo.csv": "id,host,modell\ntokyo-0001,10.0.0.1,nuc-4g\n",
    },
    problems: [
      "tokyo.csv:1:1 (header): has no column model - add it",
      "tokyo.csv:1:9 modell: is not a known field - did you mean model?",
    ],
  },
  {
    name: "problems of all files are reported at once",
    files: {
      "fleet.yaml": FLEET.replace("rings: [canary, broad]", "rings: []"),
      "models.yaml": MODELS.replace("4Gi", "4GB"),
    },
    problems: [
      "fleet.yaml:4:8 rings: is below the minimum - use 1 or more",
      "models.yaml:3:11 nuc-4g.memory: is not a memory size - write e.g. 2Gi or 512Mi",
    ],
  },
  {
    name: "a duplicate YAML key is refused",
    files: { "models.yaml": `${MODELS}nuc-4g:\n  architecture: arm64\n  memory: 2Gi\n` },
    problems: ["models.yaml:4:1 (yaml): Map keys must be unique - fix the syntax"],
  },
];

for (const { name, files, problems } of CASES) {
  test(name, () => assert.deepEqual(problemsOf(files), problems));
}

test("a missing file is named with the fix", () => {
  assert.throws(() => loadInventory("/nonexistent"), /fleet.yaml:1:1 \(file\): does not exist - create it/);
});

test("inline devices and CSV devices make one region", () => {
  const directory = inventoryFolder({
    "tokyo.yaml": `${REGION}devicesFrom: tokyo.csv\n`,
    "tokyo.csv": "id,host,model,ring,labels.example.com/site\ntokyo-0002,10.0.0.2,nuc-4g,canary,ueno\n",
  });
  const profiles = resolveFleet(loadInventory(directory));
  assert.deepEqual(
    profiles.map(({ id, ring, labels }) => ({ id, ring, labels })),
    [
      { id: "tokyo-0001", ring: "broad", labels: {} },
      { id: "tokyo-0002", ring: "canary", labels: { "example.com/site": "ueno" } },
    ],
  );
});

test("the example fleet is valid", () => {
  const inventory = loadInventory(join(import.meta.dirname, "../../../stacks"));
  assert.deepEqual([...inventory.regions.keys()], ["frankfurt", "tokyo"]);
  assert.deepEqual(inventory.fleet.rings, ["canary", "early", "broad"]);
  assert.deepEqual(Object.keys(inventory.models).sort(), ["iot-2g", "nuc-4g", "rpi4-4g"]);
});

test("editor schemas refuse unknown fields as the loader does", () => {
  for (const [name, text] of Object.entries(inventorySchemas())) {
    const schema = JSON.parse(text) as { additionalProperties: unknown };
    if (name !== "models.schema.json") assert.equal(schema.additionalProperties, false, name);
  }
});

test("a CSV cell becomes what its field holds", () => {
  const directory = inventoryFolder({
    "tokyo.yaml": "region: tokyo\ndevicesFrom: tokyo.csv\n",
    "tokyo.csv":
      "id,host,model,ssh.port,kubelet.maxPods,wasm,network.dummyRoute,values.floor\nt-1,10.0.0.1,nuc-4g,2222,40,spin wasmtime,false,3\n",
  });
  const [record] = loadInventory(directory).regions.get("tokyo")?.devices ?? [];
  assert.deepEqual(record?.entry, {
    id: "t-1",
    host: "10.0.0.1",
    model: "nuc-4g",
    ssh: { port: 2222 },
    kubelet: { maxPods: 40 },
    wasm: ["spin", "wasmtime"],
    network: { dummyRoute: false },
    values: { floor: "3" },
  });
});

test("a file with too many aliases is refused and named", () => {
  const devices = Array.from(
    { length: 120 },
    (_, index) => `  - {id: t-${index}, host: 10.0.0.${index}, model: nuc-4g, labels: *l}\n`,
  );
  const [problem = ""] = problemsOf({
    "tokyo.yaml": `region: tokyo\nlabels: &l {site: a}\ndevices:\n${devices.join("")}`,
  });
  assert.match(problem, /^tokyo\.yaml:1:1 \(yaml\): Excessive alias count.* - write the values out$/);
});

test("the hub is none, or complete with its defaults", () => {
  const hub = (text: string) => hubOf(loadInventory(inventoryFolder({ "fleet.yaml": text })).fleet);
  assert.equal(hub(FLEET.replace("hub:\n  argocd: {version: v3.2.0}", "hub: none")), undefined);
  assert.deepEqual(hub(FLEET), {
    stack: "hub",
    argocd: { version: "v3.2.0" },
    definitions: "install",
    highAvailability: false,
    principal: { service: "LoadBalancer", annotations: {}, sourceRanges: [] },
  });
});

test("a lock is merged into the devices of its region, and points to its own file", () => {
  const directory = inventoryFolder({
    "tokyo.lock.yaml": `devices:\n  tokyo-0001:\n    hostKey: ${KEY_A}\n    facts: {os: Debian}\n`,
  });
  const [record] = loadInventory(directory).regions.get("tokyo")?.devices ?? [];
  assert.deepEqual([record?.entry.hostKey, record?.entry.facts], [KEY_A, { os: "Debian" }]);
  const place = (field: string) => {
    const { file, line, column } = record?.locate([field]) ?? { file: "", line: 0, column: 0 };
    return `${relative(directory, file)}:${line}:${column}`;
  };
  assert.deepEqual([place("hostKey"), place("host")], ["tokyo.lock.yaml:3:14", "tokyo.yaml:4:11"]);
});

test("entries of a lock whose device is gone, or of another region, are warned of", () => {
  const lock = ["gone", "osaka-0001", "tokyo-0001"].map((id) => {
    const blob = Buffer.from(`key of ${id}`).toString("base64");
    return `  ${id}: {hostKey: "ssh-ed25519 ${blob}"}\n`;
  });
  const directory = inventoryFolder({
    "osaka.yaml": OSAKA,
    "tokyo.lock.yaml": `devices:\n${lock.join("")}`,
  });
  assert.deepEqual(
    inventoryWarnings(loadInventory(directory)).map((line) => line.replaceAll(`${directory}/`, "")),
    [
      "tokyo.lock.yaml:2:9 devices.gone: the inventory has no such device - run edge-fleet enroll tokyo, which drops it",
      "tokyo.lock.yaml:3:15 devices.osaka-0001: the device is of region osaka - move the entry to osaka.lock.yaml, or run edge-fleet enroll osaka and remove it here",
    ],
  );
});
