/** `edge-fleet up`: `pulumi up` of one stack after the other, then what became of each device. */
import type { Command } from "commander";
import { type ExitCode, exitCodeOf } from "../exit.ts";
import {
  countDevices,
  type DeviceCounts,
  type DeviceRow,
  deviceRows,
  formatDevices,
  nextStep,
} from "../pulumi/report.ts";
import { type PulumiEnd, stackOutputs } from "../pulumi/run.ts";
import { usesColour } from "../terminal.ts";
import { jsonOption, printJson } from "./options.ts";
import { addPulumiArguments, type PulumiOptions, runStacks, type StackRuns } from "./pulumi-options.ts";

interface UpOptions extends PulumiOptions {
  readonly yes?: true;
  readonly skipPreview?: true;
  readonly json?: true;
}

/** What one stack came to. */
interface StackReport {
  readonly stack: string;
  /** How pulumi ended. */
  readonly pulumi: PulumiEnd["end"];
  /** Both absent for the hub, and where the run was cancelled. */
  readonly counts?: DeviceCounts;
  readonly devices?: readonly DeviceRow[];
}

const HELP = `
Exit codes: 0 all applied, 1 pulumi or a device failed, 2 wrong usage or inventory, 3 nothing failed but devices are pending.`;

/** Registers the command. */
export function registerUp(program: Command): void {
  addPulumiArguments(program.command("up").description("apply stacks and say what became of each device"))
    .option("-y, --yes", "as pulumi's: without asking")
    .option("-f, --skip-preview", "as pulumi's: without a preview")
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action(async (words: string[], options: UpOptions) => {
      process.exitCode = await up(words, options);
    });
}

async function up(words: readonly string[], options: UpOptions): Promise<ExitCode> {
  const flags = [...(options.yes ? ["--yes"] : []), ...(options.skipPreview ? ["--skip-preview"] : [])];
  const regions = new Map<string, readonly DeviceRow[]>();
  const after: StackRuns["after"] = async ({ stack }, end) => {
    const rows = await readDevices(stack, end);
    regions.set(stack, rows);
    if (!options.json) process.stdout.write(describe(stack, rows, end));
  };
  const stdout = (): "stdout" | "stderr" => (options.json ? "stderr" : "stdout");
  const ends = await runStacks({ operation: "up", words, options, flags, stdout, after });
  const reports = ends.map(({ stack, end }): StackReport => {
    const devices = regions.get(stack);
    return { stack, pulumi: end, ...(devices === undefined ? {} : { counts: countDevices(devices), devices }) };
  });
  if (options.json) printJson({ stacks: reports });
  else if (ends.every(({ end }) => end !== "cancelled"))
    process.stdout.write(
      `${nextStep(
        regions,
        reports.every(({ pulumi }) => pulumi === "succeeded"),
      )}\n`,
    );
  return upExitCode(reports);
}

function describe(stack: string, rows: readonly DeviceRow[], end: PulumiEnd["end"]): string {
  const table = formatDevices(stack, rows, usesColour(process.stdout));
  const explained = end !== "failed" || rows.some(({ state }) => state === "failed");
  const note = `${stack}: pulumi failed for another reason than a device, see its messages above: this table may be of an earlier run\n`;
  return explained ? table : table + note;
}

/** A stack that failed may have no outputs yet. @throws Error where one that succeeded does not tell them */
async function readDevices(stack: string, end: PulumiEnd["end"]): Promise<DeviceRow[]> {
  try {
    return deviceRows(await stackOutputs(stack));
  } catch (error) {
    if (end === "succeeded") throw error;
    return [];
  }
}

function upExitCode(reports: readonly StackReport[]): ExitCode {
  const sum = (state: "failed" | "pending"): number =>
    reports.reduce((total, { counts }) => total + (counts?.[state] ?? 0), 0);
  const failed = reports.filter(({ pulumi }) => pulumi !== "succeeded").length;
  return exitCodeOf({ failed: failed + sum("failed"), pending: sum("pending") });
}
