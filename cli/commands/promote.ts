/** `edge-fleet promote`: pins a ring to a commit that exists and holds what the ring's devices deploy. */
import { join } from "node:path";
import type { Command } from "commander";
import { missingAtRevision, readRings, setRing } from "../../components/gitops/index.ts";
import type { Inventory } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { runProgram } from "../process.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson } from "./options.ts";
import { fleetTree, overlaysOfRing, treeOption } from "./tree-option.ts";

interface PromoteOptions {
  readonly inventory: string;
  readonly tree: string;
  readonly to?: string;
  readonly from?: string;
  readonly json?: true;
}

/** Git's own variables, set for its hooks, would override the folder. */
const NO_GIT_VARIABLES = { GIT_DIR: undefined, GIT_WORK_TREE: undefined, GIT_INDEX_FILE: undefined };

/** Registers the command. */
export function registerPromote(program: Command): void {
  program
    .command("promote")
    .description("pin a ring to a commit of the tree's repository")
    .argument("<ring>", "ring of the fleet, e.g. canary")
    .option("--to <commit>", "commit to deploy; a tag or a branch is resolved to its full SHA now")
    .option("--from <ring>", "the commit that another ring deploys")
    .addOption(inventoryOption())
    .addOption(treeOption())
    .addOption(jsonOption())
    .action((ring: string, options: PromoteOptions) => promote(ring, options));
}

async function promote(ring: string, options: PromoteOptions): Promise<void> {
  const inventory = inventoryOf(options);
  checkRing(inventory, ring);
  const wanted = wantedRevision(inventory, ring, options);
  const revision = await resolveCommit(options.tree, wanted);
  const missing = await missingAtRevision(options.tree, revision, overlaysOfRing(fleetTree(inventory), ring));
  if (missing.length > 0) {
    const list = missing.slice(0, 5).join(", ");
    throw new UsageError(
      `commit ${revision.slice(0, 12)} lacks ${missing.length} overlay(s) that devices of ring ${ring} deploy: ${list} - run edge-fleet render, commit, and promote that commit`,
    );
  }
  const previous = readRings(options.tree, inventory.fleet.rings).revisions.get(ring);
  const { path, written } = setRing(options.tree, ring, revision);
  const pushed = await isOnRemote(options.tree, revision);
  const file = join(options.tree, path);
  if (options.json) {
    printJson({ ring, revision, previous: previous ?? null, file, written, pushed });
    return;
  }
  process.stdout.write(
    written
      ? `${ring}: ${previous ?? "nothing"} -> ${revision}\n`
      : `${ring}: already at ${revision}, nothing to commit\n`,
  );
  if (!pushed)
    process.stderr.write(`warning: ${revision} is on no remote branch yet - push it, devices pull it from there\n`);
  if (written)
    process.stdout.write(
      `Next: git add ${file} && git commit -m 'Promote ${ring} to ${revision.slice(0, 12)}' && git push\n`,
    );
}

function checkRing(inventory: Inventory, ring: string): void {
  const { rings } = inventory.fleet;
  if (!rings.includes(ring))
    throw new UsageError(`ring ${ring} is not one of the fleet's - use one of ${rings.join(", ")}`);
}

function wantedRevision(inventory: Inventory, ring: string, options: PromoteOptions): string {
  const { to, from, tree } = options;
  if ((to === undefined) === (from === undefined))
    throw new UsageError("say which commit: either --to <commit> or --from <ring>");
  if (to !== undefined) return to;
  if (from === undefined || from === ring)
    throw new UsageError(`--from ${from} is the ring itself - use an earlier ring`);
  checkRing(inventory, from);
  const revision = readRings(tree, inventory.fleet.rings).revisions.get(from);
  if (revision === undefined)
    throw new UsageError(`ring ${from} deploys nothing yet - promote it first, or use --to <commit>`);
  return revision;
}

async function resolveCommit(tree: string, wanted: string): Promise<string> {
  const args = ["-C", tree, "rev-parse", "--verify", "--quiet", "--end-of-options", `${wanted}^{commit}`];
  const result = await runProgram("git", args, { timeoutMs: 60_000, environment: NO_GIT_VARIABLES });
  const revision = result.stdout.trim();
  if (/^[0-9a-f]{40}$/.test(revision)) return revision;
  throw new UsageError(
    `the repository of ${tree} has no commit ${wanted} - fetch it, or use a commit that git log shows`,
  );
}

async function isOnRemote(tree: string, revision: string): Promise<boolean> {
  const args = ["-C", tree, "branch", "--remotes", "--contains", revision];
  const { exitCode, stdout } = await runProgram("git", args, { timeoutMs: 60_000, environment: NO_GIT_VARIABLES });
  return exitCode === 0 && stdout.trim() !== "";
}
