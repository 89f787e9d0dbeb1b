import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseAllDocuments } from "yaml";
import { workloadSize } from "../../../components/gitops/kustomize.ts";
import { renderManifest } from "../../../components/gitops/manifest.ts";
import { listLeaves, renderTree, treeInput } from "../../../components/gitops/tree.ts";
import { regionFacts } from "../../../components/gitops/tree-facts.ts";
import type { TreeInput } from "../../../components/gitops/tree-input.ts";
import type { Inventory } from "../../../components/inventory/types.ts";
import { assertGolden } from "../../golden.ts";
import { buildProfile, gitopsOf } from "../device/profile.ts";
import { arbitraryFleet, EXAMPLE, FULL_EXAMPLE } from "./fleet.ts";

const overlaysOf = (fleet: TreeInput) => [...renderTree(fleet).keys()].filter((path) => path.startsWith("overlays/"));

test("the example fleet renders to the golden tree", () => {
  const tree = renderTree(EXAMPLE);
  for (const [path, { content }] of tree) assertGolden(`tree/${path}`, content);
  assertGolden("tree/.fleet-manifest.json", renderManifest(tree));
  assertGolden("tree/FILES.txt", [...tree].map(([path, { owner }]) => `${owner.padEnd(8)} ${path}\n`).join(""));
});

test("what the full example adds to the tree is the golden difference", () => {
  const plain = renderTree(EXAMPLE);
  const added = [...renderTree(FULL_EXAMPLE)].filter(([path, file]) => plain.get(path)?.content !== file.content);
  const shown = added.filter(([path]) => !path.startsWith("applicationsets/"));
  assertGolden("gitops/full-example.yaml", shown.map(([path, { content }]) => `# ${path}\n${content}---\n`).join(""));
});

test("only pairs of region and model that have devices get a leaf", () => {
  assert.deepEqual(overlaysOf(EXAMPLE), [
    "overlays/osaka/n100-8g/kustomization.yaml",
    "overlays/osaka/rpi4-4g/kustomization.yaml",
    "overlays/tokyo/n100-8g/kustomization.yaml",
    "overlays/tokyo/rpi4-2g/kustomization.yaml",
    "overlays/tokyo/rpi4-4g/kustomization.yaml",
  ]);
});

test("no path of the tree names a device, and none but an entry a ring", () => {
  const names = new Set([...EXAMPLE.devices.map(({ id }) => id), ...EXAMPLE.rings]);
  const segments = [...renderTree(EXAMPLE).keys()].flatMap((path) => path.replace(/^entry\/\w+\//, "").split(/[/.]/));
  assert.deepEqual(
    segments.filter((segment) => names.has(segment)),
    [],
  );
});

test("every device is in exactly one overlay and one ring, and the leaves add up to all devices", () => {
  fc.assert(
    fc.property(arbitraryFleet, (fleet) => {
      const paths = overlaysOf(fleet);
      for (const { region, model, ring } of fleet.devices) {
        const own = paths.filter((path) => path === `overlays/${region}/${model}/kustomization.yaml`);
        assert.equal(own.length, 1);
        assert.equal(fleet.rings.filter((name) => name === ring).length, 1);
      }
      const leaves = listLeaves(fleet.devices);
      assert.equal(
        leaves.reduce((sum, leaf) => sum + leaf.devices, 0),
        fleet.devices.length,
      );
      assert.deepEqual(
        leaves.map(({ region, model }) => `overlays/${region}/${model}/kustomization.yaml`).sort(),
        paths,
      );
    }),
  );
});

test("the bytes do not depend on the order of devices or models", () => {
  const shuffled = arbitraryFleet.chain((fleet) =>
    fc
      .tuple(
        fc.shuffledSubarray([...fleet.devices], { minLength: fleet.devices.length }),
        fc.shuffledSubarray(Object.entries(fleet.models), { minLength: Object.keys(fleet.models).length }),
      )
      .map(([devices, models]) => [fleet, { ...fleet, devices, models: Object.fromEntries(models) }] as const),
  );
  fc.assert(
    fc.property(shuffled, ([fleet, other]) => {
      assert.deepEqual([...renderTree(other)], [...renderTree(fleet)]);
    }),
  );
});

test("every file is valid YAML under both versions with the same strings, LF only and no duplicate key", () => {
  fc.assert(
    fc.property(arbitraryFleet, (fleet) => {
      for (const [path, { content, owner }] of renderTree(fleet)) {
        if (owner === "built") continue;
        const documents = (version: "1.1" | "1.2") =>
          parseAllDocuments(content, { version, uniqueKeys: true }).map((document) => {
            assert.deepEqual(document.errors, [], path);
            return document.toJS() as unknown;
          });
        assert.deepEqual(documents("1.1"), documents("1.2"), path);
        assert.match(content, /^[^\r]*\n$/, path);
        assert.match(content, /^# (Emitted by edge-fleet|Written once by edge-fleet)/, path);
      }
    }),
    { numRuns: 30 },
  );
});

test("every emitted header names a place for the team's own changes that is in the tree", () => {
  const tree = renderTree(EXAMPLE);
  const folders = new Set([...tree.keys()].map((path) => path.slice(0, path.lastIndexOf("/") + 1)));
  for (const [path, { content, owner }] of tree) {
    if (owner === "scaffold") continue;
    const named = /Your own resources and patches go to (.*)\.\n/.exec(content)?.[1] ?? "";
    for (const folder of named.split(/, | or /)) assert.ok(folders.has(folder), `${path} sends to ${folder}`);
  }
});

const first = EXAMPLE.devices.slice(0, 1);
for (const [what, change, message] of [
  ["a device listed twice", { devices: [...first, ...first] }, /^device osaka-0001 is listed twice - /],
  [
    "an unknown ring",
    { rings: ["early"] },
    /^device osaka-0001: ring canary is not one of the fleet's - use one of early$/,
  ],
  ["an unknown model", { models: {} }, /^device osaka-0001: model rpi4-4g is unknown - /],
] as const) {
  test(`refuses ${what}`, () => {
    assert.throws(() => renderTree({ ...EXAMPLE, ...change }), { message });
  });
}

for (const [memoryMiB, limitMiB, replicas] of [
  [512, 64, 1],
  [1024, 64, 1],
  [2048, 128, 1],
  [3900, 224, 1],
  [4096, 256, 1],
  [8192, 512, 2],
  [65536, 512, 2],
] as const) {
  test(`a sized workload on ${memoryMiB} MiB is limited to ${limitMiB} MiB with ${replicas} replica(s)`, () => {
    assert.deepEqual(workloadSize(memoryMiB), { limitMiB, requestMiB: limitMiB / 2, replicas });
  });
}

test("the input is taken from the inventory with Git's defaults and the resolved profiles", () => {
  const own = { model: "rpi4-4g", architecture: "arm64", gitops: gitopsOf("flux"), wasm: ["spin"] } as const;
  const profile = buildProfile({ id: "tokyo-0001", labels: { site: "shibuya" }, values: { lane: "3" }, ...own });
  const git = { url: "https://x.example/f.git" };
  const inventory = { fleet: { fleet: "acme", git, rings: ["canary"] } } as unknown as Inventory;
  assert.deepEqual(treeInput(inventory, [profile]), {
    fleetName: "acme",
    git: { ...git, branch: "main", path: "fleet", layout: "live" },
    rings: ["canary"],
    models: { "rpi4-4g": { architecture: "arm64", memoryMiB: 4096 } },
    devices: [
      {
        id: "tokyo-0001",
        region: "tokyo",
        model: "rpi4-4g",
        ring: "canary",
        engine: "flux",
        flux: { reconcileMinutes: 10 },
        wasm: ["spin"],
        values: { site: "shibuya", lane: "3" },
        labels: { site: "shibuya" },
        windows: { name: "always", zone: "UTC", spans: [] },
      },
    ],
    regions: { tokyo: { timeZone: "UTC", networkShape: "single" } },
    workloads: [],
    patches: [],
    projects: {},
  });
});

test("a fact that differs between two devices is none of the region's, and no password becomes one", () => {
  const mirror = { endpoints: ["https://mirror.example.com"], username: "edge", passwordSecret: "mirror" };
  const registries = { "docker.io": mirror };
  const tokyo = { zone: "Asia/Tokyo", ntpServers: ["ntp.example.com"] };
  const profiles = [
    buildProfile({ id: "a", registries, time: tokyo }),
    buildProfile({ id: "b", registries, time: { ...tokyo, zone: "UTC" } }),
  ];
  assert.deepEqual(regionFacts(profiles), {
    tokyo: {
      networkShape: "single",
      ntpServers: ["ntp.example.com"],
      registryMirrors: { "docker.io": ["https://mirror.example.com"] },
    },
  });
});

test("the tree of 5,000 devices in 13 regions has 104 leaves and as many files as one of 500", () => {
  const fleetOf = (count: number): TreeInput => ({
    ...EXAMPLE,
    models: Object.fromEntries(
      Array.from({ length: 8 }, (_, model) => [`model-${model}`, { architecture: "arm64", memoryMiB: 4096 }]),
    ),
    devices: Array.from({ length: count }, (_, index) => ({
      id: `device-${index}`,
      region: `region-${index % 13}`,
      model: `model-${Math.floor(index / 13) % 8}`,
      ring: "broad",
      engine: "argocd-agent",
    })),
  });
  assert.equal(overlaysOf(fleetOf(5000)).length, 13 * 8);
  assert.deepEqual([...renderTree(fleetOf(5000)).keys()], [...renderTree(fleetOf(500)).keys()]);
});
