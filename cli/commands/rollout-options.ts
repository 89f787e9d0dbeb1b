/** Options of the commands that change or show rings: where the fleet and the tree are, and how far a change is carried. */
import { type Command, Option } from "commander";
import type { RolloutOptions } from "../rollout/context.ts";
import type { SettleOptions } from "../rollout/settle.ts";
import { type StatusOptions, statusOptions } from "../rollout/status-source.ts";
import { inventoryOption, jsonOption } from "./options.ts";
import { treeOption } from "./tree-option.ts";

/** What these commands get. */
export interface RolloutCommandOptions extends RolloutOptions, SettleOptions {
  /** Print JSON instead of text. */
  readonly json?: true;
}

/**
 * Adds the options to a command.
 * @param perWorkload whether the command works on the rings of one workload. Default true
 * @returns the command
 */
export function addRolloutOptions(command: Command, perWorkload = true): Command {
  if (perWorkload) command.addOption(workloadOption());
  return command
    .addOption(
      new Option("--push", "commit on top of the remote branch and push; the checkout is not needed").conflicts(
        "commit",
      ),
    )
    .addOption(new Option("--remote <name>", "where to push").default("origin"))
    .option("--no-commit", "write the file only")
    .option("--dry-run", "show what would be done, change nothing")
    .addOption(inventoryOption())
    .addOption(treeOption())
    .addOption(jsonOption());
}

/** What the commands that show the health of rings or devices get. */
export interface HealthCommandOptions extends StatusOptions {
  readonly inventory: string;
  readonly tree: string;
  /** Name of a workload that has commits of its own. Default: the overlays. */
  readonly workload?: string;
  /** Print JSON instead of text. */
  readonly json?: true;
}

/** Adds the options to a command that shows health. @param json whether it can print JSON. Default true @returns the command */
export function addHealthOptions(command: Command, { json = true } = {}): Command {
  command.addOption(workloadOption());
  for (const option of statusOptions()) command.addOption(option);
  command.addOption(inventoryOption()).addOption(treeOption());
  return json ? command.addOption(jsonOption()) : command;
}

/** `--workload NAME`. */
function workloadOption(): Option {
  return new Option(
    "--workload <name>",
    "a workload of fleet.yaml that has commits of its own, instead of the overlays",
  );
}
