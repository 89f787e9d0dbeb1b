/** What devices with Flux read in Git and what they put on top of it: as reviewed, valid by Flux' schemas, and built by the real kustomize. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { parse, parseAllDocuments, stringify } from "yaml";
import { renderPull } from "../../../cli/pulls/pull.ts";
import { renderDeviceEntry } from "../../../components/gitops/device-entry.ts";
import { entryFolder, parseEntryPath, renderEntries } from "../../../components/gitops/entry.ts";
import { keepsEntry } from "../../../components/gitops/entry-guard.ts";
import type { FluxKustomization, GitRepository } from "../../../components/gitops/flux-objects.ts";
import { renderFluxRoot } from "../../../components/gitops/flux-root.ts";
import type { TreeDevice, TreeInput } from "../../../components/gitops/tree-input.ts";
import { formatObjects } from "../../../components/gitops/yaml.ts";
import { assertGolden } from "../../golden.ts";
import { exampleOf, inFolder } from "./fleet.ts";
import { validate, writeFluxSchemas, writeKubernetesSchemas } from "./schemas.ts";
import { runTool } from "./tools.ts";

type AnyObject = GitRepository | FluxKustomization;

const FLEET: TreeInput = exampleOf("flux", "tokyo-0003", [
  { name: "camera", path: "workloads/camera", namespace: "telemetry", labels: { camera: "yes" } },
]);
/** What Flux could take for a variable. */
const VARIABLE = `$${"{HOME}"}`;
const [FOUND] = FLEET.devices.filter(({ id }) => id === "tokyo-0003");
assert.ok(FOUND);
const DEVICE: TreeDevice = {
  ...FOUND,
  labels: { camera: "yes" },
  flux: { reconcileMinutes: 30, gitSecret: "edge-fleet-git-githubapp", gitHubApp: true },
  values: { coordinates: "35.68,139.77", note: `a "b" ${VARIABLE} $&` },
};
const NAMES = ["workloads", "telemetry", "vision", "camera", "shop", "old"];
const PINS = new Map(NAMES.map((name) => [name, new Map(FLEET.rings.map((ring) => [ring, "a".repeat(40)]))]));
const FOLDER = entryFolder(DEVICE, "flux");

let schemas: string;
before(() => {
  schemas = mkdtempSync(join(tmpdir(), "edge-fleet-schemas-"));
  writeFluxSchemas(schemas);
  writeKubernetesSchemas(schemas);
});
after(() => rmSync(schemas, { recursive: true, force: true }));

test("the entry for Flux is the golden one, and valid by Flux' schemas", () => {
  const own = [...renderEntries(FLEET, PINS)].filter(([path]) => path.startsWith(`${FOLDER}/`));
  assertGolden("gitops/flux-entry.yaml", own.map(([path, content]) => `--- # ${path}\n${content}`).join(""));
  const objects = own.filter(([path]) => !path.endsWith("kustomization.yaml"));
  for (const [, content] of objects) assert.match(validate(schemas, content), /Valid: 2, Invalid: 0/);
  const [first] = objects;
  assert.ok(first);
  assert.throws(() => validate(schemas, first[1].replace("  prune: true", "  pruned: true")), /is invalid|Invalid: 1/);
});

test("what a device gives its own Flux is the golden one, and valid by Flux' schemas", () => {
  const text = formatObjects(["What a device gives its own Flux."], renderDeviceEntry(FLEET, DEVICE));
  assertGolden("gitops/flux-root.yaml", text);
  const { length } = renderDeviceEntry(FLEET, DEVICE);
  assert.match(validate(schemas, text), new RegExp(`Valid: ${length}, Invalid: 0, Errors: 0, Skipped: 0`));
});

test("a leaf with devices of both engines has an entry for each, and neither reads the other's", () => {
  const devices: TreeDevice[] = [DEVICE, { ...DEVICE, id: "tokyo-0099", engine: "argocd" }];
  const paths = [...renderEntries({ ...FLEET, devices }, PINS).keys()].filter((path) => path.includes("/early/"));
  const own = paths.map((path) => [parseEntryPath(path)?.engine, parseEntryPath(path)?.name].join(" "));
  for (const name of ["workloads", "telemetry", "camera", "shop"])
    for (const engine of ["argocd", "flux"]) assert.ok(own.includes(`${engine} ${name}`), `${engine} ${name}`);
  const files = renderEntries({ ...FLEET, devices }, PINS);
  const { resources } = parse(files.get(`${entryFolder(DEVICE, "argocd")}/kustomization.yaml`) ?? "");
  assert.deepEqual(resources, ["shop.yaml", "telemetry.yaml", "workloads.yaml"]);
});

test("the real kustomize makes of an entry and the device's patches what pulls prints", () => {
  assert.deepEqual(sorted(builtByRoot(DEVICE)), sorted(children(DEVICE)));
  const names = (objects: readonly AnyObject[]) =>
    objects.flatMap(({ kind, metadata }) => (kind === "Kustomization" ? [metadata.name] : [])).sort();
  assert.deepEqual(names(builtByRoot(DEVICE)), ["camera", "shop", "telemetry", "workloads"]);
  const { labels: _, ...plain } = DEVICE;
  assert.deepEqual(names(builtByRoot(plain)), ["shop", "telemetry", "workloads"]);
});

test("nothing substitutes variables, a root leaves what it has made, and a workload takes its own along", () => {
  const [, root] = renderFluxRoot(FLEET, DEVICE);
  assert.equal(root.spec.deletionPolicy, "Orphan");
  for (const object of children(DEVICE)) {
    if (object.kind !== "Kustomization") continue;
    assert.ok(!("postBuild" in object.spec) && object.spec.prune && object.spec.deletionPolicy === undefined);
    assert.ok(JSON.stringify(object.spec.patches).includes(VARIABLE));
    assert.ok(JSON.stringify(object.spec.patches).includes("kustomize.toolkit.fluxcd.io/prune"));
  }
});

test("a workload leaves the entry only as fleet.yaml says, the last one too, and a namespace's file goes freely", () => {
  const before = renderEntries(FLEET, PINS);
  const { workloads = [] } = FLEET;
  const removed = workloads.map((workload) => ({ ...workload, state: "removed" as const }));
  const after = renderEntries({ ...FLEET, workloads: removed }, new Map([["workloads", new Map()]]));
  const path = `${FOLDER}/telemetry.yaml`;
  assert.ok(before.has(path) && !after.has(path));
  assert.equal(keepsEntry({ workloads: removed }, path, after), undefined);
  assert.match(keepsEntry({ workloads }, path, after)?.reason ?? "", /because rings\/telemetry\/early.yaml is gone/);
  assert.match(keepsEntry({ workloads: [] }, path, after)?.reason ?? "", /which fleet.yaml no longer names/);
  assert.equal(keepsEntry({ workloads: [] }, `${FOLDER}/namespaces/telemetry.yaml`, after), undefined);
});

/** What the device's Flux makes of the entry: the kustomization with what the root adds (fluxcd/pkg/kustomize, generator). */
function builtByRoot(own: TreeDevice): AnyObject[] {
  const [, { spec }] = renderFluxRoot(FLEET, own);
  let output = "";
  inFolder((directory) => {
    for (const [path, content] of renderEntries(FLEET, PINS)) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), content);
    }
    const folder = join(directory, spec.path.slice(`./${FLEET.git.path}/`.length));
    const file = join(folder, "kustomization.yaml");
    const { patches = [], components: listed = [] } = spec;
    const components = listed.filter((path) => existsSync(join(folder, path)));
    writeFileSync(file, stringify({ ...parse(runTool("cat", [file])), patches, components }));
    output = runTool("kustomize", ["build", folder]);
  });
  return parseAllDocuments(output).map((document) => document.toJS() as AnyObject);
}

function children(own: TreeDevice): AnyObject[] {
  return renderPull(own, FLEET, PINS).objects.slice(renderDeviceEntry(FLEET, own).length) as AnyObject[];
}

function sorted(objects: readonly AnyObject[]): AnyObject[] {
  const key = ({ kind, metadata }: AnyObject) => `${kind}/${metadata.namespace}/${metadata.name}`;
  return objects.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}
