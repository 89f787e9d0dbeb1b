/**
 * Compares what leaves render to at two commits, and groups the leaves that share a change. Each kustomization is built
 * at most once per commit, and not at all where nothing that it is made of differs; of what is built only the
 * difference is kept.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../exit.ts";
import { type BuiltFolder, buildFolder, hasKustomize } from "../manifests/kustomize.ts";
import { mapBounded } from "../parallel.ts";
import type { Repository } from "../rollout/git.ts";
import { contentHash, extractTree, isFolder, leavesBelow, type TreeSnapshot } from "./extract.ts";
import { type DiffedLeaf, diffManifests, groupDifferences, type LeafDifference } from "./manifests.ts";
import type { DiffReport } from "./report.ts";

/** What is compared. */
export interface DiffRequest {
  readonly repository: Repository;
  /** What the operator calls the commit, and its full SHA. */
  readonly base: { readonly name: string; readonly commit: string };
  readonly head: { readonly name: string; readonly commit: string };
  /** Devices by folder below the tree. */
  readonly devices: ReadonlyMap<string, number>;
  /** Folder whose grandchildren are leaves, compared too even where they have no device; undefined: only {@link devices}. */
  readonly root: string | undefined;
}

/** A comparison that takes longer than this is ended, in milliseconds. */
const DEADLINE_MS = 10 * 60_000;

/**
 * Compares.
 * @throws UsageError when kustomize is not on PATH
 * @throws Error when git fails, or the comparison takes over ten minutes
 */
export async function runDiff(request: DiffRequest): Promise<DiffReport> {
  if (!(await hasKustomize()))
    throw new UsageError("kustomize is not on PATH and renders what devices get - install kustomize v5");
  const scratch = mkdtempSync(join(tmpdir(), "edge-fleet-diff-"));
  try {
    const { repository, base, head, devices, root } = request;
    const before = await extractTree(repository, base.commit, join(scratch, "base"));
    const after = await extractTree(repository, head.commit, join(scratch, "head"));
    const found = root === undefined ? [] : [before, after].flatMap((snapshot) => leavesBelow(snapshot, root));
    const folders = [...new Set([...devices.keys(), ...found])].sort();
    const leaves: DiffedLeaf[] = [];
    const deadline = Date.now() + DEADLINE_MS;
    await mapBounded(folders, availableParallelism(), async (path) => {
      if (Date.now() > deadline)
        throw new Error(`the comparison took over ${DEADLINE_MS / 60_000} minutes - compare fewer leaves at a time`);
      const difference = await compareFolder(before, after, path);
      if (difference !== undefined) leaves.push({ path, devices: devices.get(path) ?? 0, difference });
    });
    const unchanged = leaves.filter(({ difference }) => difference.kind === "unchanged").length;
    return { base, head, groups: groupDifferences(leaves), unchanged };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Undefined for a folder that is in neither commit. */
async function compareFolder(
  before: TreeSnapshot,
  after: TreeSnapshot,
  path: string,
): Promise<LeafDifference | undefined> {
  const [old, young] = [isFolder(before, path), isFolder(after, path)];
  if (!old && !young) return undefined;
  if (old && young && contentHash(before, path) === contentHash(after, path)) return { kind: "unchanged" };
  const base = old ? await buildFolder(before.folder, path) : undefined;
  const head = young ? await buildFolder(after.folder, path) : undefined;
  const failed = failureOf("head", head, after) ?? failureOf("base", base, before);
  return failed ?? diffManifests(textOf(base), textOf(head));
}

function textOf(build: BuiltFolder | undefined): string | undefined {
  return build !== undefined && "text" in build ? build.text : undefined;
}

/** The scratch folder's path differs from run to run and leaf to leaf: it is no part of the reason. */
function failureOf(
  at: "base" | "head",
  build: BuiltFolder | undefined,
  { folder }: TreeSnapshot,
): LeafDifference | undefined {
  if (build === undefined || "text" in build) return undefined;
  return { kind: "failed", at, message: build.failure.replaceAll(`${folder}/`, "") };
}
