/** `edge-fleet up`: `pulumi up` with the levers, bounded by a watchdog; then what became of each device. */
import type { Command } from "commander";
import { UsageError } from "../exit.ts";
import {
  type DeviceRow,
  deviceRows,
  formatDevices,
  onlyPending,
  upExitCode,
  withSupplyReasons,
} from "../pulumi/report.ts";
import { type PulumiResult, plainExitCode, runPulumi, stackOutputs, stallMessage } from "../pulumi/run.ts";
import { supplyRegion } from "../pulumi/supply.ts";
import { usesColour } from "../terminal.ts";
import { inventoryOf, jsonOption, printJson } from "./options.ts";
import { addPulumiArguments, type PulumiOptions, stackFacts } from "./pulumi-options.ts";

interface UpOptions extends PulumiOptions {
  readonly yes?: true;
  readonly json?: true;
}

const HELP = `
Before the engine starts, devices of a region that lack this release's device program, or artifacts that are pushed to
them, get them as by edge-fleet push; the others are not connected to.
A device that has left the inventory is wiped or retained, as its decommission said at the last up before. One that is to
be wiped and does not answer is pending until it does; put back into the inventory it is applied again and never wiped.
Exit codes: 0 all applied, 1 something failed, 2 wrong usage or inventory, 3 nothing failed but devices are pending.`;

/** Registers the command. */
export function registerUp(program: Command): void {
  addPulumiArguments(program.command("up").description("apply a stack and say what became of each device"))
    .option("-y, --yes", "without preview and without asking")
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action(async (stack: string, extra: string[], options: UpOptions) => {
      process.exitCode = await up(stack, extra, options);
    });
}

async function up(stack: string, extra: readonly string[], options: UpOptions): Promise<number> {
  if (options.yes !== true && !process.stdin.isTTY)
    throw new UsageError("nobody can confirm here (no terminal) - use --yes after a reviewed preview");
  const run = {
    operation: "up" as const,
    stack,
    ...stackFacts(stack, options),
    parallel: options.parallel,
    yes: options.yes === true,
    stdout: options.json ? ("stderr" as const) : ("stdout" as const),
    extra,
  };
  const unsupplied = run.isHub ? new Map<string, string>() : await supply(stack, options);
  const result = await runPulumi(run);
  if (result.stalled !== undefined) process.stderr.write(`${stallMessage(run, result.stalled)}\n`);
  if (run.isHub || result.stalled !== undefined) return plainExitCode(result);
  return reportRegion(stack, result, unsupplied, options);
}

/** Says what it brought. @returns why devices could not be supplied, by id; they fail or are pending in the run itself */
async function supply(stack: string, options: UpOptions): Promise<Map<string, string>> {
  const inventory = inventoryOf(options);
  const region = stack.split("/").at(-1) ?? stack;
  const unsupplied = new Map<string, string>();
  if (!inventory.regions.has(region)) return unsupplied;
  const outcomes = await supplyRegion(inventory, stack, region);
  const brought = outcomes.filter(({ state }) => state === "pushed").length;
  if (outcomes.length > 0) process.stderr.write(`${region}: supplied ${brought} of ${outcomes.length} devices\n`);
  for (const { id, state, message } of outcomes) {
    if (state !== "failed" && state !== "pending") continue;
    unsupplied.set(id, message);
    process.stderr.write(`${id}: ${message}\n`);
  }
  return unsupplied;
}

async function reportRegion(
  stack: string,
  { exitCode, errors }: PulumiResult,
  unsupplied: ReadonlyMap<string, string>,
  options: UpOptions,
): Promise<number> {
  let rows: DeviceRow[] = [];
  try {
    rows = withSupplyReasons(deviceRows(await stackOutputs(stack)), unsupplied);
  } catch (error) {
    if (exitCode === 0) throw error;
  }
  // Where the program itself failed, the outputs are those of an earlier run, and so are the removals that they tell.
  if (errors.has("")) rows = rows.filter(({ state }) => state !== "wiped" && state !== "retained");
  if (options.json) printJson({ stack, devices: rows });
  else process.stdout.write(formatDevices(stack, rows, usesColour(process.stdout)));
  return upExitCode(rows, exitCode !== 0 && !onlyPending(errors, rows));
}
