/** `edge-fleet stacks`: the stacks of the fleet, or those that a change touches, for CI and for loops. */
import { posix } from "node:path";
import type { Command } from "commander";
import { hubOf } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { gitReason, runGit } from "../rollout/git.ts";
import { touchedStacks } from "../stacks/touched.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson } from "./options.ts";

interface StacksOptions {
  readonly inventory: string;
  readonly changedSince?: string;
  readonly json?: true;
}

/** Registers the command. */
export function registerStacks(program: Command): void {
  program
    .command("stacks")
    .description("list the stacks, the hub first, or those that a change touches: one a line")
    .option("--changed-since <commit>", "only those that files touch which differ between this commit and HEAD")
    .addOption(inventoryOption())
    .addOption(jsonOption())
    .action((options: StacksOptions) => listStacks(options));
}

async function listStacks(options: StacksOptions): Promise<void> {
  const inventory = inventoryOf(options);
  const hub = hubOf(inventory.fleet)?.stack;
  const regions = [...inventory.regions.keys()].sort();
  const stacks =
    options.changedSince === undefined
      ? [...(hub === undefined ? [] : [hub]), ...regions]
      : touchedStacks({
          files: await changedFiles(options.changedSince),
          hub,
          regions,
          inventory: posix.normalize(options.inventory).replace(/\/$/, ""),
        });
  if (options.json) printJson({ stacks, regions: stacks.filter((name) => name !== hub) });
  else process.stdout.write(stacks.map((name) => `${name}\n`).join(""));
}

/** @throws UsageError when Git does not know the commit, e.g. in a clone that is cut off before it */
async function changedFiles(commit: string): Promise<string[]> {
  const result = await runGit(".", ["diff", "--name-only", "-z", "--no-renames", "--relative", commit, "HEAD", "--"]);
  if (result.exitCode !== 0)
    throw new UsageError(
      `git cannot compare ${commit} with HEAD: ${gitReason(result)} - fetch it (CI: a deeper clone)`,
    );
  return result.stdout.split("\0").filter((file) => file !== "");
}
