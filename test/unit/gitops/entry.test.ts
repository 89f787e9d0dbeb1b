/** What devices read in Git and what they put on top of it: as reviewed, valid by Argo CD's schema, and built by the real kustomize. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { parseAllDocuments, stringify } from "yaml";
import { renderPull } from "../../../cli/pulls/pull.ts";
import { renderDeviceEntry } from "../../../components/gitops/device-entry.ts";
import { entryFolder, renderEntries } from "../../../components/gitops/entry.ts";
import type { Application, AppProject } from "../../../components/gitops/objects.ts";
import type { Pins, TreeDevice, TreeInput } from "../../../components/gitops/tree-input.ts";
import { windowGroup } from "../../../components/gitops/windows.ts";
import { formatObjects } from "../../../components/gitops/yaml.ts";
import { assertGolden } from "../../golden.ts";
import { arbitraryFleet, exampleOf, inFolder } from "./fleet.ts";
import { validate, writeArgoCdSchemas } from "./schemas.ts";
import { runTool } from "./tools.ts";

const FLEET: TreeInput = {
  ...exampleOf("argocd", "tokyo-0001", [
    { name: "ingress", type: "helm", path: "charts/ingress", namespace: "ingress", regions: ["tokyo"] },
    { name: "camera", path: "workloads/camera", namespace: "camera", labels: { camera: "yes" } },
  ]),
  projects: {
    vision: { kinds: ["rbac.authorization.k8s.io/ClusterRole", "ResourceQuota"], namespaces: ["kube-system"] },
  },
};
const DEVICE: TreeDevice = {
  ...device("tokyo-0001"),
  labels: { camera: "yes" },
  values: { coordinates: "35.68,139.77", note: `a "b" $&` },
};
const PINS = pinAll(FLEET, "a");

function device(id: string): TreeDevice {
  const found = FLEET.devices.find((candidate) => candidate.id === id);
  assert.ok(found);
  return found;
}

/** A revision for every workload and ring. */
function pinAll({ rings, workloads = [] }: TreeInput, digit: string): Pins {
  const names = ["workloads", ...workloads.map(({ name }) => name)];
  return new Map(names.map((name) => [name, new Map(rings.map((ring) => [ring, digit.repeat(40)]))]));
}

let schemas: string;
before(() => {
  schemas = mkdtempSync(join(tmpdir(), "edge-fleet-schemas-"));
  writeArgoCdSchemas(schemas);
});
after(() => rmSync(schemas, { recursive: true, force: true }));

test("the entry of a ring, region and model is the golden one, and valid by Argo CD's schema", () => {
  const folder = entryFolder(DEVICE, "argocd");
  const own = [...renderEntries(FLEET, PINS)].filter(([path]) => path.startsWith(`${folder}/`));
  assertGolden("gitops/entry.yaml", own.map(([path, content]) => `--- # ${path}\n${content}`).join(""));
  const applications = own.filter(([, content]) => content.includes("kind: Application"));
  assert.deepEqual(
    applications.map(([path]) => path.slice(folder.length + 1)),
    ["workloads.yaml", "telemetry.yaml", "ingress.yaml", "selected/camera/camera.yaml", "shop.yaml"],
  );
  for (const [, content] of applications) assert.match(validate(schemas, content), /Valid: 1, Invalid: 0/);
});

test("what a device gives its own Argo CD is the golden one, and valid by Argo CD's schema", () => {
  const objects = renderDeviceEntry(FLEET, DEVICE);
  const text = formatObjects(["What a device gives its own Argo CD."], objects);
  assertGolden("gitops/device-entry.yaml", text);
  assert.match(validate(schemas, text), new RegExp(`Valid: ${objects.length}, Invalid: 0, Errors: 0, Skipped: 0`));
});

test("the real kustomize makes of an entry and the device's patches what pulls prints", () => {
  for (const layout of ["live", "rendered"] as const) {
    const fleet = { ...FLEET, git: { ...FLEET.git, layout } };
    assert.deepEqual(byName(builtByRoot(fleet, DEVICE, PINS)), byName(children(fleet, DEVICE, PINS)), layout);
  }
  const names = builtByRoot(FLEET, DEVICE, PINS).map(({ metadata }) => metadata.name);
  assert.deepEqual(names.sort(), ["camera", "ingress", "shop", "telemetry", "workloads"]);
  const { labels: _, ...plain } = DEVICE;
  assert.deepEqual(
    builtByRoot(FLEET, plain, PINS)
      .map(({ metadata }) => metadata.name)
      .sort(),
    ["ingress", "shop", "telemetry", "workloads"],
  );
});

test("in any fleet, the real kustomize agrees with pulls for a device of every leaf", () => {
  fc.assert(
    fc.property(arbitraryFleet, ({ devices, ...fleet }) => {
      const [first] = devices;
      if (first === undefined) return;
      const own: TreeDevice = { ...first, engine: "argocd" };
      const input: TreeInput = { ...fleet, devices: [own] };
      const pins = pinAll(input, "b");
      assert.deepEqual(byName(builtByRoot(input, own, pins)), byName(children(input, own, pins)));
    }),
    { numRuns: 8 },
  );
});

test("a ring that pins nothing has entries without Applications, and a fleet without such devices has none", () => {
  const files = renderEntries(FLEET, new Map());
  assert.equal(files.size, 3 * 5);
  for (const [path, content] of files) {
    assert.match(path, /\/kustomization\.yaml$/);
    assert.match(content, /^resources: \[\]$/m);
  }
  assert.deepEqual(builtByRoot(FLEET, DEVICE, new Map()), []);
  const devices = FLEET.devices.map((one): TreeDevice => ({ ...one, engine: "argocd-agent" }));
  assert.equal(renderEntries({ ...FLEET, devices }, PINS).size, 0);
});

test("the root Application may make Applications beside itself and nothing else, and has no finalizer", () => {
  const objects = renderDeviceEntry(FLEET, DEVICE);
  const [byDefault, root] = objects as AppProject[];
  assert.deepEqual(byDefault?.spec.destinations, []);
  assert.deepEqual(root?.spec.namespaceResourceWhitelist, [{ group: "argoproj.io", kind: "Application" }]);
  assert.deepEqual(root?.spec.clusterResourceWhitelist, []);
  const application = objects.at(-1) as Application;
  assert.equal(application.metadata.finalizers, undefined);
  assert.equal(application.spec.source.targetRevision, "main");
});

for (const [what, windows, expected] of [
  ["no window", [], undefined],
  [
    "one over midnight",
    [{ days: ["sat"], start: "22:30", durationMinutes: 300 }],
    ["30 22 * * 6 90m", "0 0 * * 0 210m"],
  ],
  ["one every day", [{ start: "01:30", durationMinutes: 120 }], ["30 1 * * * 120m"]],
  ["a whole day", [{ days: ["mon", "wed"], start: "00:00", durationMinutes: 1440 }], ["0 0 * * 1,3 1440m"]],
] as const) {
  test(`maintenance windows hold back the root Application alone: ${what}`, () => {
    const group = windowGroup(windows as Parameters<typeof windowGroup>[0], "Asia/Tokyo");
    const projects = renderDeviceEntry(FLEET, { ...DEVICE, windows: group }) as AppProject[];
    const found = projects.filter(({ spec }) => spec.syncWindows !== undefined);
    assert.deepEqual(
      found.map(({ metadata }) => metadata.name),
      expected === undefined ? [] : ["edge-root"],
    );
    const open = found[0]?.spec.syncWindows?.map((window) => {
      assert.deepEqual([window.timeZone, window.applications], ["Asia/Tokyo", ["edge-root"]]);
      return `${window.schedule} ${window.duration}`;
    });
    assert.deepEqual(open?.sort(), expected?.toSorted());
  });
}

/** What the device's Argo CD makes of the entry: the kustomization with what the root adds, as Build of util/kustomize/kustomize.go does it. */
function builtByRoot(fleet: TreeInput, own: TreeDevice, pins: Pins): Application[] {
  const { source } = (renderDeviceEntry(fleet, own).at(-1) as Application).spec;
  let output = "";
  inFolder((directory) => {
    for (const [path, content] of renderEntries(fleet, pins)) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), content);
    }
    const folder = join(directory, source.path.slice(fleet.git.path.length + 1));
    const file = join(folder, "kustomization.yaml");
    const [document] = parseAllDocuments(runTool("cat", [file]));
    const { patches = [], components: listed = [], ignoreMissingComponents = false } = source.kustomize ?? {};
    const components = listed.filter((path) => !ignoreMissingComponents || existsSync(join(folder, path)));
    writeFileSync(file, stringify({ ...(document?.toJS() as object), patches, components }));
    output = runTool("kustomize", ["build", folder]);
  });
  return parseAllDocuments(output).flatMap((one) => (one.toJS() === null ? [] : [one.toJS() as Application]));
}

function children(fleet: TreeInput, own: TreeDevice, pins: Pins): Application[] {
  const objects = renderPull(own, fleet, pins).objects as Application[];
  return objects.filter(({ kind, metadata }) => kind === "Application" && metadata.name !== "edge-root");
}

function byName(applications: readonly Application[]): Application[] {
  return applications.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}
