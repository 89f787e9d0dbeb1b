import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  DEFAULT_SETTINGS,
  explainDevice,
  loadInventory,
  resolveProfile,
  resolveRegion,
} from "../../../components/inventory/index.ts";
import { mergeLayers, mergeValues } from "../../../components/inventory/layers.ts";
import { type Settings, SettingsSchema } from "../../../components/inventory/schema.ts";
import { FLEET, inventoryFolder, MODELS, REGION } from "./folder.ts";

/** Any settings object that the schema's shape allows, sparse. */
const settings: fc.Arbitrary<Settings> = fc.record(
  {
    ring: fc.constantFrom("canary", "early", "broad"),
    labels: fc.dictionary(fc.constantFrom("site", "floor", "owner"), fc.constantFrom("a", "b", "c"), {
      noNullPrototype: true,
    }),
    ssh: fc.record(
      { user: fc.constantFrom("root", "edge"), port: fc.integer({ min: 1, max: 65535 }) },
      { requiredKeys: [], noNullPrototype: true },
    ),
    k3s: fc.record(
      {
        version: fc.constantFrom("v1.36.2+k3s1", "v1.35.6+k3s1"),
        disable: fc.array(fc.constantFrom("traefik" as const, "servicelb" as const)),
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
  },
  { requiredKeys: [], noNullPrototype: true },
);

test("merging is associative: grouping of layers does not matter", () => {
  fc.assert(
    fc.property(settings, settings, settings, (a, b, c) => {
      const left = mergeValues(mergeValues(a, b), c);
      const right = mergeValues(a, mergeValues(b, c));
      assert.deepEqual(left, right);
    }),
  );
});

test("an empty layer changes nothing", () => {
  fc.assert(fc.property(settings, (a) => assert.deepEqual([mergeValues(a, {}), mergeValues({}, a)], [a, a])));
});

test("each value comes from the nearest layer that sets it", () => {
  const layers = ["default", "fleet", "model", "region", "device"] as const;
  fc.assert(
    fc.property(fc.tuple(settings, settings, settings, settings, settings), (values) => {
      const merged = mergeLayers(values.map((value, index) => ({ layer: layers[index] ?? "device", values: value })));
      const last = values.findLastIndex((value) => value.ring !== undefined);
      assert.equal(merged.settings.ring, values[last]?.ring);
      assert.equal(merged.origins.ring, last < 0 ? undefined : layers[last]);
    }),
  );
});

test("a profile keeps the layer of each value", () => {
  const directory = inventoryFolder({
    "fleet.yaml": `${FLEET}labels: {owner: shops}\n`,
    "models.yaml": `${MODELS}  k3s: {disable: [traefik]}\n`,
    "tokyo.yaml": `${REGION}    ring: canary\nssh: {user: edge}\n`,
  });
  const inventory = loadInventory(directory);
  const profile = resolveProfile(inventory, "tokyo-0001");
  assert.equal(profile.ring, "canary");
  assert.equal(profile.memoryMiB, 4096);
  assert.deepEqual(profile.k3s.disable, ["traefik"]);
  const layers = Object.fromEntries(explainDevice(inventory, "tokyo-0001").map(({ path, layer }) => [path, layer]));
  assert.deepEqual(
    {
      ring: layers.ring,
      version: layers["k3s.version"],
      disable: layers["k3s.disable"],
      user: layers["ssh.user"],
      port: layers["ssh.port"],
      owner: layers["labels.owner"],
    },
    { ring: "device", version: "fleet", disable: "model", user: "region", port: "default", owner: "fleet" },
  );
});

test("an unknown device is refused by name", () => {
  const inventory = loadInventory(inventoryFolder());
  assert.throws(() => resolveProfile(inventory, "osaka-1"), /device osaka-1 is in no region .* - use one of the ids/);
});

/** Leaves of a tree by their path. */
function leaves(value: unknown, prefix = ""): [string, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [[prefix, value]];
  return Object.entries(value).flatMap(([key, child]) => leaves(child, prefix === "" ? key : `${prefix}.${key}`));
}

test("a setting that no layer sets has the schema's default, and its origin says so", () => {
  const inventory = loadInventory(inventoryFolder());
  const explained = new Map(explainDevice(inventory, "tokyo-0001").map(({ path, ...rest }) => [path, rest]));
  const defaults = leaves(DEFAULT_SETTINGS);
  assert.ok(defaults.length > 20);
  for (const [path, value] of defaults) assert.deepEqual(explained.get(path), { value, layer: "default" }, path);
});

test("a profile has no setting that the schema does not have, nor lacks one", () => {
  const profile = resolveProfile(loadInventory(inventoryFolder()), "tokyo-0001");
  const own = [
    "id",
    "region",
    "model",
    "state",
    "stolen",
    "architecture",
    "memoryMiB",
    "host",
    "hostKey",
    "identityKey",
    "sealing",
    "joins",
  ];
  const settingNames = Object.keys(profile).filter((name) => ![...own, "origins"].includes(name));
  const known = Object.keys(SettingsSchema.shape);
  assert.deepEqual(settingNames.sort(), known.sort());
});

test("a device is removed where its entry says so, or its region", () => {
  const states = (files: Readonly<Record<string, string>>) => {
    const inventory = loadInventory(inventoryFolder(files));
    return resolveRegion(inventory, "tokyo").map(({ state, origins }) => [state, origins.state]);
  };
  const two = `${REGION}  - {id: tokyo-0002, host: 10.0.0.2, model: nuc-4g, state: removed}\n`;
  assert.deepEqual(states({ "tokyo.yaml": two }), [
    ["present", "default"],
    ["removed", "device"],
  ]);
  assert.deepEqual(states({ "tokyo.yaml": `state: removed\n${two}` }), [
    ["removed", "region"],
    ["removed", "region"],
  ]);
  assert.deepEqual(
    states({
      "tokyo.yaml": "region: tokyo\ndevicesFrom: tokyo.csv\n",
      "tokyo.csv": "id,host,model,state\na,h1,nuc-4g,\nb,h2,nuc-4g,removed\nc,h3,nuc-4g,present\n",
    }),
    [
      ["present", "default"],
      ["removed", "device"],
      ["present", "device"],
    ],
  );
});

for (const [what, files, engine] of [
  ["without an address of a principal", {}, "argocd"],
  ["of 4 GiB with one", { "fleet.yaml": `${FLEET}gitops: { agent: { address: hub.example.com } }\n` }, "argocd-agent"],
  [
    "whose region alone names it",
    { "tokyo.yaml": `${REGION}gitops: { agent: { address: hub.example.com } }\n` },
    "argocd-agent",
  ],
  [
    "of 2 GiB with one",
    {
      "fleet.yaml": `${FLEET}gitops: { agent: { address: hub.example.com } }\n`,
      "models.yaml": MODELS.replace("4Gi", "2Gi"),
    },
    "argocd",
  ],
  [
    "of a fleet without a hub",
    {
      "fleet.yaml": `${FLEET.replace("hub:\n  argocd: {version: v3.2.0}", "hub: none")}gitops: { agent: { address: hub.example.com } }\n`,
    },
    "argocd",
  ],
  [
    "that names an engine",
    { "fleet.yaml": `${FLEET}gitops: { engine: flux, agent: { address: hub.example.com } }\n` },
    "flux",
  ],
] as const)
  test(`the engine of a device ${what} is ${engine}`, () => {
    const { gitops, origins } = resolveProfile(loadInventory(inventoryFolder(files)), "tokyo-0001");
    assert.equal(gitops.engine, engine);
    assert.equal(origins["gitops.engine"], engine === "flux" ? "fleet" : "default");
  });
