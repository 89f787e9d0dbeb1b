/**
 * The Git tree of a fleet: the bytes of every file that edge-fleet emits or scaffolds. Leaves are pairs of region and
 * model; a device is a label and never a folder, so 5,000 devices cost as many files as 50. Ring files are not part of
 * it: `edge-fleet promote` owns them.
 */
import type { Inventory, Profile } from "../inventory/types.ts";
import { MANIFESTS_FILE, sourceFolder } from "./application.ts";
import { renderApplicationSets } from "./applicationset.ts";
import { renderEntries } from "./entry.ts";
import {
  emittedHeader,
  renderModelComponent,
  renderOverlay,
  renderRegionComponent,
  renderRenderedLeaf,
  renderTeamComponent,
  renderWorkloadOverlay,
} from "./kustomize.ts";
import { leafRuntimes, modelRuntimes } from "./runtimes.ts";
import { renderBase } from "./scaffold.ts";
import { renderWasmSample } from "./scaffold-wasm.ts";
import { takesPlace } from "./select.ts";
import { checkTree } from "./tree-check.ts";
import { regionFacts, treeDevice } from "./tree-facts.ts";
import type { Pins, TreeDevice, TreeInput, TreeWorkload } from "./tree-input.ts";
import { formatObjects } from "./yaml.ts";

/** One file of the tree. */
export interface TreeFile {
  readonly content: string;
  /**
   * `emitted`: edge-fleet keeps it as it is. `scaffold`: written where absent, then the team's. `built`: emitted too, but
   * its content comes from Kustomize (cli/manifests/build.ts) and is empty here; a write of the tree alone leaves it as it is.
   */
  readonly owner: "emitted" | "scaffold" | "built";
}

/** Path below the tree's folder, with `/`, in sorted order -> file. */
export type Tree = ReadonlyMap<string, TreeFile>;

/**
 * Takes the tree's input from the inventory.
 * @param profiles the resolved devices of the whole fleet: a tree of one region would delete the others
 */
export function treeInput({ fleet }: Inventory, all: readonly Profile[]): TreeInput {
  const profiles = all.filter(({ state }) => state === "present");
  const { url, branch = "main", path = "fleet", layout = "live" } = fleet.git;
  return {
    fleetName: fleet.fleet,
    git: { url, branch, path, layout },
    rings: fleet.rings,
    models: Object.fromEntries(
      profiles.map(({ model, architecture, memoryMiB }) => [model, { architecture, memoryMiB }]),
    ),
    // An agent is a node of its server's cluster, not a cluster that could be deployed to.
    devices: profiles.filter(({ joins }) => joins === undefined).map(treeDevice),
    regions: regionFacts(profiles),
    workloads: fleet.workloads ?? [],
    patches: fleet.patches ?? [],
    projects: fleet.projects ?? {},
  };
}

/**
 * Renders the tree. The same fleet gives the same bytes, in whatever order its devices come.
 * @param pins what the rings deploy, see rings.ts. Default: nothing
 * @throws Error naming the device that is listed twice, or whose ring or model the fleet does not have, the workload that
 *   cannot be deployed as it is written, or the region that is too large
 */
export function renderTree(fleet: TreeInput, pins: Pins = new Map()): Tree {
  checkTree(fleet);
  const leaves = listLeaves(fleet.devices);
  const files = new Map<string, TreeFile>();
  const emit = (path: string, content: string) => files.set(path, { content, owner: "emitted" });
  const scaffold = (path: string, content: string) => files.set(path, { content, owner: "scaffold" });
  const scaffoldAll = (rendered: ReadonlyMap<string, string>) => {
    for (const [path, content] of rendered) scaffold(path, content);
  };

  scaffoldAll(renderBase());
  for (const region of new Set(leaves.map((leaf) => leaf.region))) {
    const folder = `components/region/${region}`;
    const facts = fleet.regions?.[region] ?? {};
    emit(`${folder}/kustomization.yaml`, renderRegionComponent(fleet.fleetName, region, facts));
    scaffold(`${folder}/team/kustomization.yaml`, renderTeamComponent(`region ${region}`));
    emit(`applicationsets/${region}.yaml`, renderApplicationSetFile(region, fleet));
  }
  const runtimes = modelRuntimes(fleet.devices);
  for (const model of new Set(leaves.map((leaf) => leaf.model))) {
    const facts = fleet.models[model];
    const own = runtimes.get(model) ?? { some: [], all: [] };
    if (facts === undefined) continue;
    emit(`components/model/${model}/kustomization.yaml`, renderModelComponent(model, facts, own));
    scaffold(`components/model/${model}/team/kustomization.yaml`, renderTeamComponent(`model ${model}`));
    for (const runtime of own.all) scaffoldAll(renderWasmSample(runtime));
  }
  for (const { region, model } of leaves) {
    const own = leafRuntimes(fleet.devices, region, model, runtimes.get(model)?.all ?? []);
    emit(`overlays/${region}/${model}/kustomization.yaml`, renderOverlay(region, model, own));
    for (const runtime of own) scaffoldAll(renderWasmSample(runtime));
  }
  for (const { workload, region, model } of listWorkloadLeaves(fleet)) {
    const { path } = workload;
    emit(`${path}/overlays/${region}/${model}/kustomization.yaml`, renderWorkloadOverlay(workload, region, model));
    scaffold(`${path}/region/${region}/kustomization.yaml`, renderTeamComponent(`region ${region}`));
    scaffold(`${path}/model/${model}/kustomization.yaml`, renderTeamComponent(`model ${model}`));
  }
  for (const [path, content] of renderEntries(fleet, pins)) emit(path, content);
  for (const { source, target } of listBuilds(fleet)) {
    emit(`${target}/kustomization.yaml`, renderRenderedLeaf(source));
    files.set(`${target}/${MANIFESTS_FILE}`, { content: "", owner: "built" });
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A folder that Kustomize renders and where the result goes, both below the tree's folder. */
export interface Build {
  readonly source: string;
  readonly target: string;
}

/** What is to be rendered: nothing in the layout `live`, else every leaf and every workload of its own, by target. */
export function listBuilds(fleet: TreeInput): Build[] {
  const { git, devices, workloads = [] } = fleet;
  if (git.layout !== "rendered") return [];
  const folders = (region: string, model: string, workload?: TreeWorkload): Build => ({
    source: sourceFolder("live", { region, model }, workload),
    target: sourceFolder("rendered", { region, model }, workload),
  });
  const whole = workloads.filter(({ state, type }) => state !== "removed" && type !== "overlays");
  return [
    ...listLeaves(devices).map(({ region, model }) => folders(region, model)),
    ...listWorkloadLeaves(fleet).map(({ region, model, workload }) => folders(region, model, workload)),
    ...whole.map((workload) => folders("", "", workload)),
  ].sort((a, b) => (a.target < b.target ? -1 : 1));
}

/** The leaves of every workload of the type `overlays`: those with a device that it may be meant for, whatever its ring. */
export function listWorkloadLeaves({
  devices,
  workloads = [],
}: Pick<TreeInput, "devices" | "workloads">): (Leaf & { readonly workload: TreeWorkload })[] {
  const leaves = listLeaves(devices);
  return workloads
    .filter(({ type }) => type === "overlays")
    .flatMap(({ rings: _, ...workload }) => {
      const taken = leaves.filter((leaf) => takesPlace({ ...leaf, ring: "" }, workload));
      return taken.map((leaf) => ({ ...leaf, workload }));
    });
}

/** A pair of region and model that has devices. */
export interface Leaf {
  readonly region: string;
  readonly model: string;
  /** How many devices deploy this leaf. */
  readonly devices: number;
}

/** The leaves of a fleet, by region and model. */
export function listLeaves(devices: readonly Pick<TreeDevice, "region" | "model">[]): Leaf[] {
  const counts = new Map<string, Leaf>();
  for (const { region, model } of devices) {
    const key = `${region}/${model}`;
    counts.set(key, { region, model, devices: (counts.get(key)?.devices ?? 0) + 1 });
  }
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, leaf]) => leaf);
}

/** One document per set. The comment stands on top once. */
function renderApplicationSetFile(region: string, fleet: TreeInput): string {
  const header = emittedHeader("the inventory", `base/ or components/region/${region}/team/`);
  const comment = [...header, "For review only: the region's stack applies these objects on the hub."];
  return formatObjects(comment, renderApplicationSets(region, fleet));
}
