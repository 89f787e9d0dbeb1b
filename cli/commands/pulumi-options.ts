/** What `preview` and `up` share on the command line. */
import { type Command, InvalidArgumentError } from "commander";
import { hubOf, resolveRegion } from "../../components/inventory/index.ts";
import { inventoryOf, inventoryOption, wholeNumber } from "./options.ts";

/** Their common options. */
export interface PulumiOptions {
  readonly inventory: string;
  readonly parallel: number;
  /** Default: what the inventory makes likely, see {@link StackFacts}. */
  readonly stallMinutes?: number;
}

const HELP = `
Arguments after -- go to pulumi as they are, e.g. -- --diff --target 'urn…'.
A run is ended when the engine reports nothing for --stall-minutes: a device that turns silent after it was dialled
would hang it for ever. Default 15, and for a region never less than the longest apply that its devices may take
(readiness.timeoutSeconds and 15 minutes for the download).`;

/** Adds them. */
export function addPulumiArguments(command: Command): Command {
  return command
    .argument("<stack>", "the hub's stack or a region's")
    .argument("[arguments...]", "after --: for pulumi")
    .addOption(inventoryOption())
    .option("--parallel <n>", "resource operations at a time", wholeNumber(1), 64)
    .option(
      "--stall-minutes <n>",
      "minutes without an engine event after which pulumi is ended (default: see below)",
      minutes,
    )
    .addHelpText("after", HELP);
}

/** What the inventory says about a stack. */
export interface StackFacts {
  readonly isHub: boolean;
  /** Milliseconds without an engine event that count as a stall. */
  readonly stallMs: number;
}

/** Minutes that one apply may take for its download, before the health gate begins. */
const DOWNLOAD_MINUTES = 15;

/** Reads them. @throws InventoryError */
export function stackFacts(stack: string, options: PulumiOptions): StackFacts {
  const inventory = inventoryOf(options);
  const name = stack.split("/").at(-1) ?? stack;
  const readiness = inventory.regions.has(name)
    ? resolveRegion(inventory, name).map((profile) => profile.readiness.timeoutSeconds / 60 + DOWNLOAD_MINUTES + 1)
    : [];
  const byDefault = readiness.reduce((longest, own) => Math.max(longest, own), 15);
  return {
    isHub: name === hubOf(inventory.fleet)?.stack,
    stallMs: (options.stallMinutes ?? byDefault) * 60_000,
  };
}

function minutes(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError("Use a number of minutes above 0.");
  return value;
}
