/**
 * What every command of a rollout works on: the fleet, the repository, and the commit that decisions are made on;
 * and what the history of a ring's file says.
 */
import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { readsEntry } from "../../components/gitops/entry.ts";
import {
  ringPath,
  sourceFolder,
  type TreeDevice,
  type TreeInput,
  type TreeWorkload,
  takesWorkload,
  treeInput,
} from "../../components/gitops/index.ts";
import { renderRing } from "../../components/gitops/rings.ts";
import { type Inventory, loadInventory, resolveFleet } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import type { FileChange } from "./commit.ts";
import { entryFiles } from "./entry.ts";
import { FREEZE_FILE, type Freezes, NO_FREEZES, parseFreezes } from "./freeze.ts";
import { openRepository, type Repository, readAt, resolveCommit, ringCommits } from "./git.ts";
import { currentPeriod, type RingPeriod, ringPeriods } from "./history.ts";
import { fetchBranch, type PushTarget } from "./push.ts";
import { type RolloutRules, ringsOf, rolloutRules } from "./rules.ts";
import type { TreeSource } from "./tree-source.ts";

/** Options that these commands share. */
export interface RolloutOptions {
  readonly inventory: string;
  readonly tree: string;
  /** Name of a workload that has commits of its own. Default: the overlays. */
  readonly workload?: string;
  /** Decide on the remote branch, and push to it. */
  readonly push?: true;
  /** Default `origin`. */
  readonly remote?: string;
}

/** What is worked on. */
export interface RolloutContext {
  readonly inventory: Inventory;
  readonly repository: Repository;
  readonly rules: RolloutRules;
  /** Undefined: the overlays. */
  readonly workload: TreeWorkload | undefined;
  /** Rings that the workload passes through, in their order. */
  readonly rings: readonly string[];
  readonly fleet: TreeInput;
  /** Devices of the fleet that deploy anything: neither machines of another one's cluster nor those without an engine. */
  readonly devices: readonly TreeDevice[];
  /** Full SHA of the commit whose ring files and freezes count. */
  readonly ref: string;
  /** Where to push; undefined without `--push`. */
  readonly target: PushTarget | undefined;
}

/** What a ring runs, by its history. */
export interface RingState {
  readonly ring: string;
  readonly periods: readonly RingPeriod[];
  /** Undefined: the ring deploys nothing. */
  readonly current: RingPeriod | undefined;
}

/**
 * Opens what a command works on.
 * @throws UsageError when the workload, the repository or the remote branch is not there
 */
export async function openContext(options: RolloutOptions): Promise<RolloutContext> {
  const inventory = loadInventory(options.inventory);
  const { fleet } = inventory;
  const workload = requireWorkload(inventory, options.workload);
  const repository = await openRepository(options.tree);
  const target = options.push ? { remote: options.remote ?? "origin", branch: fleet.git.branch ?? "main" } : undefined;
  const ref = target === undefined ? await resolveCommit(repository, "HEAD") : await fetchBranch(repository, target);
  const input = treeInput(inventory, resolveFleet(inventory));
  return {
    inventory,
    repository,
    rules: rolloutRules(fleet, workload),
    workload,
    rings: ringsOf(fleet.rings, workload),
    fleet: input,
    devices: input.devices.filter(({ engine }) => engine !== "none"),
    ref,
    target,
  };
}

/** @throws UsageError when the ring is none of the fleet's, or none of the workload's */
export function requireRing({ rings, workload }: Pick<RolloutContext, "rings" | "workload">, ring: string): void {
  if (rings.includes(ring)) return;
  const whose = workload === undefined ? "the fleet's" : `those of workload ${workload.name}`;
  throw new UsageError(`ring ${ring} is not one of ${whose} - use one of ${rings.join(", ")}`);
}

/** The devices that a ring file steers. */
export function devicesIn(
  { devices, workload }: Pick<RolloutContext, "devices" | "workload">,
  ring: string,
): TreeDevice[] {
  return devices.filter((device) => device.ring === ring && takesWorkload(device, workload));
}

/** Path of a ring's file below the tree. */
export function fileOfRing({ workload }: Pick<RolloutContext, "workload">, ring: string): string {
  return ringPath(ring, workload?.name);
}

/**
 * The change that pins a ring: its file, and in the same commit what devices read of it.
 * @param message of the commit
 */
export function ringChange(context: RolloutContext, ring: string, revision: string, message: string): FileChange {
  const { fleet, workload } = context;
  const entries = fleet.devices.some(({ engine }) => readsEntry(engine));
  return {
    path: fileOfRing(context, ring),
    content: renderRing(ring, revision, workload?.name),
    message,
    ...(entries ? { follows: (tree: TreeSource) => entryFiles(fleet, { ring, revision, workload }, tree) } : {}),
  };
}

/** Reads a ring's history up to the commit that counts. */
export async function readRing(context: RolloutContext, ring: string): Promise<RingState> {
  const { repository, ref, workload } = context;
  const path = `${repository.prefix}${fileOfRing(context, ring)}`;
  const periods = ringPeriods(await ringCommits(repository, ref, path, workload?.name));
  return { ring, periods, current: currentPeriod(periods) };
}

/** The freezes that count: those of the commit, and those on disk that nobody has committed yet. */
export async function readFreezes({ repository, ref }: RolloutContext): Promise<Freezes> {
  const file = join(repository.tree, FREEZE_FILE);
  const read = (text: string | undefined): Freezes => (text === undefined ? NO_FREEZES : parseFreezes(file, text));
  const committed = read(await readAt(repository, ref, `${repository.prefix}${FREEZE_FILE}`));
  const disk = read(existsSync(file) ? readFileSync(file, "utf8") : undefined);
  return { fleet: committed.fleet ?? disk.fleet, rings: { ...disk.rings, ...committed.rings } };
}

/** Folders below the tree that devices deploy. */
export function foldersOf(
  { inventory, workload }: Pick<RolloutContext, "inventory" | "workload">,
  devices: readonly TreeDevice[],
): Map<string, number> {
  const layout = inventory.fleet.git.layout ?? "live";
  const counts = new Map<string, number>();
  for (const device of devices) {
    const folder = posix.normalize(sourceFolder(layout, device, workload));
    counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return new Map([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function requireWorkload({ fleet }: Inventory, name: string | undefined): TreeWorkload | undefined {
  if (name === undefined) return undefined;
  const workloads = fleet.workloads ?? [];
  const workload = workloads.find((candidate) => candidate.name === name);
  if (workload?.state === "removed")
    throw new UsageError(`workload ${name} is removed in fleet.yaml, so no ring deploys it - set it to present first`);
  if (workload !== undefined) return workload;
  const known = workloads.map((candidate) => candidate.name).join(", ") || "none yet";
  throw new UsageError(`workload ${name} is not one of fleet.yaml's - use one of ${known}`);
}
