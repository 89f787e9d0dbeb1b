/** What `preview` and `up` share on the command line, and the runs that come of it. */
import { type Command, Option } from "commander";
import { UsageError } from "../exit.ts";
import type { ForegroundOutput } from "../process.ts";
import { type PulumiEnd, runPulumi } from "../pulumi/run.ts";
import { chooseStacks, type StackChoice } from "../pulumi/stacks.ts";
import { devicesOption, inventoryOf, inventoryOption, wholeNumber } from "./options.ts";

/** Their common options. */
export interface PulumiOptions {
  readonly inventory: string;
  readonly device: readonly string[];
  readonly parallel: number;
  readonly target: readonly string[];
  /** Absent: pulumi's own way, as for the two below. */
  readonly diff?: true;
  /** Absent: the state counts as it is. */
  readonly refresh?: true;
  /** Absent: changes are no failure. */
  readonly expectNoChanges?: true;
}

const HELP = `
Without a stack: all of them, the hub first, each region after it. Arguments after -- go to pulumi as they are.`;

/** Adds them. */
export function addPulumiArguments(command: Command): Command {
  return command
    .argument("[stacks...]", "the hub's stack or regions'; after --: arguments for pulumi")
    .addOption(inventoryOption())
    .addOption(devicesOption("only these devices: --target of their resources"))
    .option("--parallel <n>", "resource operations at a time: devices are waited for", wholeNumber(1), 64)
    .addOption(new Option("--target <urn>", "as pulumi's").argParser(collect).default([], "all"))
    .option("--diff", "as pulumi's: each change as a diff")
    .option("-r, --refresh", "as pulumi's")
    .option("--expect-no-changes", "as pulumi's")
    .addHelpText("after", HELP);
}

/** One run of the command. */
export interface StackRuns {
  readonly operation: "preview" | "up";
  /** What stood on the command line beside the options. */
  readonly words: readonly string[];
  readonly options: PulumiOptions;
  /** Flags of the operation, for pulumi. */
  readonly flags: readonly string[];
  /** Where pulumi's stdout goes; by the stack. */
  readonly stdout: (stack: string) => ForegroundOutput;
  /** Called with each region's stack that was not cancelled. Default: nothing is done. */
  readonly after?: (choice: StackChoice, end: PulumiEnd["end"]) => Promise<void>;
}

/**
 * Runs pulumi for one stack after the other. A hub that fails ends the run, since regions register on it; a region that
 * fails stops no other.
 * @returns the ends, as many as there were runs
 * @throws UsageError before anything runs, see {@link chooseStacks}
 */
export async function runStacks({ operation, words, options, flags, stdout, after }: StackRuns): Promise<PulumiEnd[]> {
  const { stacks, passed } = splitWords(words);
  const choices = chooseStacks(inventoryOf(options), stacks, options.device);
  const { parallel, target: targets } = options;
  const all = [...sharedFlags(options), ...flags, ...passed];
  const ends: PulumiEnd[] = [];
  for (const choice of choices) {
    const run = await runPulumi({ ...choice, operation, parallel, targets, flags: all }, stdout(choice.stack));
    ends.push(run);
    if (run.end === "cancelled" || (run.end === "failed" && choice.region === undefined)) break;
    if (choice.region !== undefined) await after?.(choice, run.end);
  }
  return ends;
}

function sharedFlags({ diff, refresh, expectNoChanges }: PulumiOptions): string[] {
  const flags = { "--diff": diff, "--refresh": refresh, "--expect-no-changes": expectNoChanges };
  return Object.entries(flags).flatMap(([flag, set]) => (set === true ? [flag] : []));
}

/**
 * Names of stacks, and what is pulumi's. Commander drops the `--` between them, after which comes an option.
 * @throws UsageError for an empty word, which pulumi would take for no stack
 */
function splitWords(words: readonly string[]): { readonly stacks: string[]; readonly passed: string[] } {
  const first = words.findIndex((word) => word.startsWith("-"));
  const stacks = first < 0 ? [...words] : words.slice(0, first);
  if (stacks.includes("")) throw new UsageError("a stack's name is empty - write one, or leave it out");
  return { stacks, passed: first < 0 ? [] : words.slice(first) };
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}
