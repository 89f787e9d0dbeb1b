/** `edge-fleet doctor`: asks devices what is wrong with them, before and after they are enrolled, and changes nothing. */
import type { Command } from "commander";
import { doctorExitCode, doctorReport, formatOutcomes, nextStep, summarize } from "../doctor/report.ts";
import { runDoctor } from "../doctor/run.ts";
import { selectDevices } from "../doctor/targets.ts";
import type { ExitCode } from "../exit.ts";
import { withInterrupt } from "../interrupt.ts";
import { usesColour } from "../terminal.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson, wholeNumber } from "./options.ts";

interface DoctorOptions {
  readonly inventory: string;
  readonly parallel: number;
  readonly timeout: number;
  readonly allowReboot?: true;
  readonly json?: true;
}

const HELP = `
One SSH connection per device, through the OpenSSH client. A device that is not enrolled yet is asked too, without pinning
its host key. docs/preflight.md explains every finding.
Exit codes: 0 all well or only warnings, 1 an error or a failed device, 2 wrong usage or inventory, 3 only pending devices.`;

/** Registers the command. */
export function registerDoctor(program: Command): void {
  program
    .command("doctor")
    .description("ask devices what would stop them from becoming or staying part of the fleet")
    .argument("<name...>", "devices, or regions whose devices are asked")
    .addOption(inventoryOption())
    .option("--parallel <n>", "connections at a time", wholeNumber(1), 64)
    .option("--timeout <seconds>", "time for one device, all told", wholeNumber(1), 30)
    .option("--allow-reboot", "let a Raspberry Pi turn its memory cgroup on and reboot, once in its life")
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action(async (names: string[], options: DoctorOptions) => {
      process.exitCode = await doctor(names, options);
    });
}

async function doctor(names: readonly string[], options: DoctorOptions): Promise<ExitCode> {
  const inventory = inventoryOf(options);
  const outcomes = await withInterrupt("interrupted: ending the connections and reporting what is known", (signal) =>
    runDoctor({
      inventory,
      profiles: selectDevices(inventory, names),
      parallel: options.parallel,
      timeoutMs: options.timeout * 1000,
      allowReboot: options.allowReboot === true,
      signal,
    }),
  );
  if (options.json) printJson(doctorReport(outcomes));
  else {
    const lines = [`${names.join(", ")}: ${summarize(outcomes)}`, nextStep(outcomes)].filter((line) => line !== "");
    process.stdout.write(`${formatOutcomes(outcomes, usesColour(process.stdout))}${lines.join("\n")}\n`);
  }
  return doctorExitCode(outcomes);
}
