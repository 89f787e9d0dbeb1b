/**
 * `edge-fleet status`: how each device is, from the stacks at once, and from the hub and the devices themselves where they
 * answer. Changes nothing.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type Command, Option } from "commander";
import { hubOf, type Inventory } from "../../components/inventory/index.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { withInterrupt } from "../interrupt.ts";
import { dialOption } from "../rollout/status-source.ts";
import { endOfMove } from "../status/agents.ts";
import { formatStatus, summarizeStatus } from "../status/layout.ts";
import { isFailed, isPending, type StatusRow, statusReport } from "../status/model.ts";
import { readStatus, type StatusAnswer } from "../status/read.ts";
import { terminalWidth, usesColour } from "../terminal.ts";
import { inventoryOf, printJson, wholeNumber } from "./options.ts";
import { addHealthOptions, type HealthCommandOptions } from "./rollout-options.ts";

interface StatusCommandOptions extends HealthCommandOptions {
  readonly ring?: string;
  readonly failed?: true;
  readonly pending?: true;
  readonly watch?: number | true;
}

const HELP = `
STATE, RELEASE and REASON are those of the last run, out of the stack of the region. COMMIT, SINCE, HEALTH and CONTACT come
from the devices: over SSH with --dial, else as they last answered; from the hub for those with an agent (--kubeconfig, or
where KUBECONFIG names its file); or all from the file of --status. SINCE is how long a device runs its COMMIT, CONTACT when
it was last heard of. An answer older than --max-status-age, or none, makes a device unknown, never healthy. While a region is
moved to another argocd-agent, a line counts the devices that are to be on each release, and that are. With --json: an
object by device, which --status of promote and rings reads as well.
Exit codes: 0 told, 1 nothing could be read, 2 wrong usage or inventory.`;

/** Registers the command. */
export function registerStatus(program: Command): void {
  const command = program
    .command("status")
    .description("show how each device is, by the stacks, by itself and by the hub")
    .argument("[target]", "a region or a device. Default: the fleet")
    .option("--ring <ring>", "only the devices of this ring")
    .option("--failed", "only devices that need a person")
    .option("--pending", "only devices that a next run or time brings further; with --failed: both")
    .addOption(
      new Option("-w, --watch [seconds]", "again and again, until Ctrl-C. Default: every 10 s")
        .argParser(wholeNumber(1))
        .conflicts("json"),
    );
  addHealthOptions(command.addOption(dialOption()))
    .addHelpText("after", HELP)
    .action(async (target: string | undefined, options: StatusCommandOptions) => {
      process.exitCode = await (options.watch === undefined ? status(target, options) : watch(target, options));
    });
}

async function watch(target: string | undefined, options: StatusCommandOptions): Promise<ExitCode> {
  const seconds = options.watch === true || options.watch === undefined ? 10 : options.watch;
  return withInterrupt("", async (signal) => {
    while (!signal.aborted) {
      const text = await describe(target, options);
      process.stdout.write(process.stdout.isTTY ? `\u001b[H\u001b[J${text}` : `${new Date().toISOString()}\n${text}`);
      await delay(seconds * 1000, undefined, { signal }).catch(() => {});
    }
    return EXIT.ok;
  });
}

async function status(target: string | undefined, options: StatusCommandOptions): Promise<ExitCode> {
  if (!options.json) process.stdout.write(await describe(target, options));
  else {
    const { shown, problems } = await ask(target, options);
    for (const problem of problems) process.stderr.write(`${problem}\n`);
    printJson(statusReport(shown));
  }
  return EXIT.ok;
}

/** The table, the counts and what to do next. */
async function describe(target: string | undefined, options: StatusCommandOptions): Promise<string> {
  const { rows, shown, stacks, profiles, whole, inventory, problems } = await ask(target, options);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  const layout = { width: terminalWidth(process.stdout), colour: usesColour(process.stdout), now: Date.now() };
  const { stack = "" } = hubOf(inventory.fleet) ?? {};
  const next = nextStep(rows) || (whole ? endOfMove(rows, profiles, stack) : "");
  return `${formatStatus(shown, stacks, layout)}${summarizeStatus(rows, stacks, layout)}\n${next === "" ? "" : `${next}\n`}`;
}

interface Status extends StatusAnswer {
  /** Rows that are shown: those of --failed and --pending. */
  readonly shown: readonly StatusRow[];
  readonly inventory: Inventory;
}

async function ask(target: string | undefined, options: StatusCommandOptions): Promise<Status> {
  const inventory = inventoryOf(options);
  const answer = await readStatus({ inventory, target, ring: options.ring, health: options });
  const { failed = false, pending = false } = options;
  const shown = (row: StatusRow) => (!failed && !pending) || (failed && isFailed(row)) || (pending && isPending(row));
  return { ...answer, shown: answer.rows.filter(shown), inventory };
}

/** Empty where nothing is to be done. */
function nextStep(rows: readonly StatusRow[]): string {
  const failed = rows.find(({ state }) => state === "failed");
  if (failed !== undefined) return `Next: edge-fleet logs ${failed.id}, fix it, and edge-fleet up ${failed.region}`;
  const waiting = rows.find(({ state }) => state === "pending" || state === "new");
  return waiting === undefined ? "" : `Next: edge-fleet up ${waiting.region}`;
}
