/** `edge-fleet exec`: one command on a device or on all devices of a region, bounded in number, time and output. */
import type { Command } from "commander";
import { countExec, formatExec, runExec, summarizeExec } from "../device/exec.ts";
import { selectDevices } from "../doctor/targets.ts";
import { type ExitCode, exitCodeOf, UsageError } from "../exit.ts";
import { withInterrupt } from "../interrupt.ts";
import { usesColour } from "../terminal.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson, wholeNumber } from "./options.ts";

interface ExecOptions {
  readonly inventory: string;
  readonly yes?: true;
  readonly root?: true;
  readonly parallel: number;
  readonly timeout: number;
  readonly json?: true;
}

const HELP = `
Words after -- are joined with blanks and run by /bin/sh of the device, without input, as the log-in user. A device that
is not reached is pending: nothing is tried twice. Devices with state: removed are left out.
Exit codes: 0 done everywhere, 1 the command or a device failed, 2 wrong usage or inventory, 3 only pending devices.`;

/** Registers the command. */
export function registerExec(program: Command): void {
  program
    .command("exec")
    .description("run one command on a device, or on every device of a region")
    .argument("<target>", "a device, or a region")
    .argument("<command...>", "after --: what is run")
    .addOption(inventoryOption())
    .option("-y, --yes", "run it on more than one device")
    .option("--root", "as root: over sudo -n where the log-in user is another")
    .option("--parallel <n>", "connections at a time", wholeNumber(1), 64)
    .option("--timeout <seconds>", "time for one device, all told", wholeNumber(1), 60)
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action(async (target: string, words: string[], options: ExecOptions) => {
      process.exitCode = await exec(target, words, options);
    });
}

async function exec(target: string, words: readonly string[], options: ExecOptions): Promise<ExitCode> {
  const { json, yes, root = false, parallel, timeout } = options;
  const profiles = selectDevices(inventoryOf(options), [target]).filter(({ state }) => state === "present");
  if (profiles.length > 1 && yes !== true)
    throw new UsageError(`this would run on ${profiles.length} devices of ${target} - add --yes`);
  const command = words.join(" ");
  const outcomes = await withInterrupt("interrupted: ending the connections and reporting what is known", (signal) =>
    runExec({ profiles, command, root, parallel, timeoutMs: timeout * 1000, signal }, (outcome) => {
      if (!json) process.stdout.write(formatExec(outcome));
    }),
  );
  const counts = countExec(outcomes);
  if (json) printJson({ counts, devices: outcomes });
  else if (profiles.length !== 1) process.stdout.write(summarizeExec(target, outcomes, usesColour(process.stdout)));
  return exitCodeOf(counts);
}
