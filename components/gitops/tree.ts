/**
 * The Git tree of a fleet: from its regions, models and devices to the bytes of every file that edge-fleet emits or
 * scaffolds. Leaves are pairs of region and model; a device is a label and never a folder, so 5,000 devices cost as many
 * files as 50. Ring files are not part of it: `edge-fleet promote` owns them.
 */
import type { Inventory, Profile } from "../inventory/types.ts";
import { renderApplicationSet } from "./applicationset.ts";
import {
  emittedHeader,
  renderModelComponent,
  renderOverlay,
  renderRegionComponent,
  renderTeamComponent,
  type TreeModel,
} from "./kustomize.ts";
import { renderBase } from "./scaffold.ts";
import { formatYaml } from "./yaml.ts";

/** Where the tree lives in Git. */
export interface TreeGit {
  /** URL of the repository as the devices reach it. */
  readonly url: string;
  /** Branch whose ring files the hub follows. */
  readonly branch: string;
  /** Folder of the tree inside the repository. */
  readonly path: string;
}

/** A device as the tree sees it. */
export interface TreeDevice {
  readonly id: string;
  readonly region: string;
  readonly model: string;
  readonly ring: string;
  /** What pulls on the device; bounds the size of a region. */
  readonly engine: Profile["gitops"]["engine"];
}

/** Everything that the tree is computed from. */
export interface TreeInput {
  readonly fleetName: string;
  readonly git: TreeGit;
  /** In the order in which a change passes through them. */
  readonly rings: readonly string[];
  readonly models: Readonly<Record<string, TreeModel>>;
  readonly devices: readonly TreeDevice[];
}

/** One file of the tree. */
export interface TreeFile {
  readonly content: string;
  /** `emitted`: edge-fleet keeps it as it is. `scaffold`: written where absent, then the team's. */
  readonly owner: "emitted" | "scaffold";
}

/** Path below the tree's folder, with `/`, in sorted order -> file. */
export type Tree = ReadonlyMap<string, TreeFile>;

/**
 * Takes the tree's input from the inventory.
 * @param profiles the resolved devices of the whole fleet: a tree of one region would delete the others
 */
export function treeInput({ fleet }: Inventory, profiles: readonly Profile[]): TreeInput {
  return {
    fleetName: fleet.fleet,
    git: { url: fleet.git.url, branch: fleet.git.branch ?? "main", path: fleet.git.path ?? "fleet" },
    rings: fleet.rings,
    models: Object.fromEntries(
      profiles.map(({ model, architecture, memoryMiB }) => [model, { architecture, memoryMiB }]),
    ),
    devices: profiles.map(({ id, region, model, ring, gitops }) => ({
      id,
      region,
      model,
      ring,
      engine: gitops.engine,
    })),
  };
}

/**
 * Renders the tree. The same fleet gives the same bytes, in whatever order its devices come.
 * @throws Error naming the device that is listed twice, or whose ring or model the fleet does not have, or the region
 *   that is too large for one ApplicationSet
 */
export function renderTree(fleet: TreeInput): Tree {
  checkDevices(fleet);
  const leaves = listLeaves(fleet.devices);
  const files = new Map<string, TreeFile>();
  const emit = (path: string, content: string) => files.set(path, { content, owner: "emitted" });
  const scaffold = (path: string, content: string) => files.set(path, { content, owner: "scaffold" });

  for (const [path, content] of renderBase()) scaffold(path, content);
  for (const region of new Set(leaves.map((leaf) => leaf.region))) {
    const folder = `components/region/${region}`;
    emit(`${folder}/kustomization.yaml`, renderRegionComponent(fleet.fleetName, region));
    scaffold(`${folder}/team/kustomization.yaml`, renderTeamComponent(`region ${region}`));
    emit(`applicationsets/${region}.yaml`, renderApplicationSetFile(region, fleet));
  }
  for (const model of new Set(leaves.map((leaf) => leaf.model))) {
    const facts = fleet.models[model];
    if (facts === undefined) continue;
    emit(`components/model/${model}/kustomization.yaml`, renderModelComponent(model, facts));
    scaffold(`components/model/${model}/team/kustomization.yaml`, renderTeamComponent(`model ${model}`));
  }
  for (const { region, model } of leaves)
    emit(`overlays/${region}/${model}/kustomization.yaml`, renderOverlay(region, model));
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A pair of region and model that has devices. */
export interface Leaf {
  readonly region: string;
  readonly model: string;
  /** How many devices deploy this leaf. */
  readonly devices: number;
}

/** The leaves of a fleet, by region and model. */
export function listLeaves(devices: readonly TreeDevice[]): Leaf[] {
  const counts = new Map<string, Leaf>();
  for (const { region, model } of devices) {
    const key = `${region}/${model}`;
    counts.set(key, { region, model, devices: (counts.get(key)?.devices ?? 0) + 1 });
  }
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, leaf]) => leaf);
}

function checkDevices({ devices, rings, models }: TreeInput): void {
  const seen = new Set<string>();
  for (const { id, ring, model } of devices) {
    if (seen.has(id)) throw new Error(`device ${id} is listed twice - give each device an id of its own`);
    if (!rings.includes(ring))
      throw new Error(`device ${id}: ring ${ring} is not one of the fleet's - use one of ${rings.join(", ")}`);
    if (!Object.hasOwn(models, model))
      throw new Error(`device ${id}: model ${model} is unknown - use one of ${Object.keys(models).join(", ")}`);
    seen.add(id);
  }
}

function renderApplicationSetFile(region: string, fleet: TreeInput): string {
  const header = emittedHeader("the inventory", `base/ or components/region/${region}/team/`);
  return formatYaml(
    [...header, "For review only: the region's stack applies this object on the hub."],
    renderApplicationSet(region, fleet),
  );
}
