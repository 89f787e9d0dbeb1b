/** Finds leaves that the commit of a ring lacks, and says so at the ring's file. */
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { OVERLAY_WORKLOAD, ringPath, treeInput } from "../../components/gitops/index.ts";
import { readPins } from "../../components/gitops/rings.ts";
import { type Inventory, resolveFleet } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import type { TreeProblem } from "../manifests/objects.ts";
import { missingFolders } from "../rollout/decide.ts";
import { openRepository, type Repository, runGit } from "../rollout/git.ts";

/**
 * Problems of all rings. A tree outside of a repository, and a commit that this clone does not have, are not looked into.
 * @param directory the tree's folder
 * @throws RolloutFileError when a ring file cannot be read
 */
export async function checkRingLeaves(directory: string, inventory: Inventory): Promise<TreeProblem[]> {
  const repository = await repositoryOf(directory);
  if (repository === undefined) return [];
  const { devices, workloads = [] } = treeInput(inventory, resolveFleet(inventory));
  const problems: TreeProblem[] = [];
  for (const [name, revisions] of readPins(directory, workloads)) {
    const workload = workloads.find((candidate) => candidate.name === name);
    for (const [ring, revision] of revisions) {
      if ((await runGit(repository.folder, ["cat-file", "-e", revision])).exitCode !== 0) continue;
      const missing = await missingFolders({ repository, inventory, workload, devices }, ring, revision);
      if (missing.length > 0) problems.push(problemOf(directory, name, ring, revision, missing));
    }
  }
  return problems;
}

async function repositoryOf(directory: string): Promise<Repository | undefined> {
  try {
    return await openRepository(directory);
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

function problemOf(
  directory: string,
  name: string,
  ring: string,
  revision: string,
  missing: readonly string[],
): TreeProblem {
  const workload = name === OVERLAY_WORKLOAD ? undefined : name;
  const path = ringPath(ring, workload);
  const lines = readFileSync(join(directory, path), "utf8").split("\n");
  const option = workload === undefined ? "" : ` --workload ${workload}`;
  const more = missing.length === 1 ? "" : ` and ${missing.length - 1} more`;
  return {
    rule: "leaf",
    file: posix.join(directory, path),
    line: lines.findIndex((line) => line.startsWith("revision:")) + 1,
    column: "revision: ".length + 1,
    where: "revision",
    message: `${revision.slice(0, 12)} lacks ${missing[0]}${more}, which devices of ring ${ring} deploy - run edge-fleet promote ${ring}${option} --new-leaves`,
  };
}
