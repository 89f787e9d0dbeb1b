/** `edge-fleet enroll`: pins host keys, has identity keys made, writes both public keys and the facts to the region's lock. */
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { type Candidates, selectCandidates } from "../enroll/candidates.ts";
import type { Outcome } from "../enroll/outcome.ts";
import { countOutcomes, enrollExitCode, formatOutcomes, nextStep, outcomeReport, summarize } from "../enroll/report.ts";
import { type EnrollResult, runEnroll } from "../enroll/run.ts";
import { EXIT, UsageError } from "../exit.ts";
import { withInterrupt } from "../interrupt.ts";
import { formatTable, usesColour } from "../terminal.ts";
import { devicesOption, inventoryOf, inventoryOption, jsonOption, printJson, wholeNumber } from "./options.ts";

interface EnrollOptions {
  readonly inventory: string;
  readonly json?: true;
  readonly device: readonly string[];
  readonly acceptNewKey: readonly string[];
  readonly parallel: number;
  readonly timeout: number;
  readonly dryRun?: true;
  readonly trustFirstUse?: true;
  readonly yes?: true;
}

const HELP = `
One SSH connection per new device, through the OpenSSH client: ~/.ssh/config, agents and jump hosts work.
The host key is trusted on first use and then pinned: a device that answers with another key is refused. The pins go
into <region>.lock.yaml beside the region's file, which is reviewed and committed; no file of yours is touched.
Exit codes: 0 done, 1 a device failed, 2 wrong usage or inventory, 3 only pending (unreachable) devices.`;

/** Registers the command. */
export function registerEnroll(program: Command): void {
  program
    .command("enroll")
    .description("pin host keys and identities of new devices in the region's lock file")
    .argument("<region>", "region whose devices are enrolled")
    .addOption(inventoryOption())
    .addOption(devicesOption("only these devices, also when they are enrolled already"))
    .option("--accept-new-key <id...>", "devices whose pinned keys may be replaced", [])
    .option("--parallel <n>", "connections at a time", wholeNumber(1), 64)
    .option("--timeout <seconds>", "time for one device, all told", wholeNumber(1), 30)
    .option("--trust-first-use", "write without asking: the fingerprints are compared later, in review")
    .option("-y, --yes", "same as --trust-first-use")
    .option("--dry-run", "only list the devices that would be connected to")
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action(async (region: string, options: EnrollOptions) => {
      process.exitCode = await enroll(region, options);
    });
}

async function enroll(region: string, options: EnrollOptions): Promise<number> {
  const inventory = inventoryOf(options);
  const candidates = selectCandidates(inventory, region, {
    devices: options.device,
    acceptNewKey: options.acceptNewKey,
  });
  if (options.dryRun) return printPlan(region, candidates, options);
  const unattended = options.trustFirstUse === true || options.yes === true;
  if (!unattended && candidates.candidates.length > 0 && !(process.stdin.isTTY && process.stderr.isTTY)) {
    throw new UsageError(
      "nobody can compare fingerprints here (no terminal) - use --trust-first-use to pin them unseen",
    );
  }
  const result = await withInterrupt("interrupted: ending the connections and saving what is done", (signal) =>
    runEnroll({
      inventory,
      region,
      candidates,
      parallel: options.parallel,
      timeoutMs: options.timeout * 1000,
      signal,
      confirm: async (outcomes) => unattended || confirmFingerprints(outcomes),
    }),
  );
  return report(region, result, options);
}

function printPlan(region: string, { candidates, already }: Candidates, options: EnrollOptions): number {
  const rows = candidates.map(({ profile, record, acceptNewKey }) => ({
    id: profile.id,
    address: `${profile.ssh.user}@${profile.host}:${profile.ssh.port}`,
    through: profile.ssh.proxy?.host ?? "",
    hostKey: record.entry.hostKey === undefined || acceptNewKey ? "trust on first use" : "pinned",
  }));
  if (options.json) printJson({ region, connect: rows, already: already.map(({ id }) => id) });
  else {
    const cells = rows.map(({ id, address, through, hostKey }) => [id, address, through, hostKey]);
    process.stdout.write(formatTable(["DEVICE", "ADDRESS", "THROUGH", "HOST KEY"], cells, usesColour(process.stdout)));
    process.stdout.write(`${region}: would connect to ${rows.length}, ${already.length} already enrolled\n`);
    if (rows.length > 0) process.stdout.write(`Next: edge-fleet enroll ${region}\n`);
  }
  return EXIT.ok;
}

async function confirmFingerprints(outcomes: readonly Outcome[]): Promise<boolean> {
  process.stderr.write(formatOutcomes(outcomes, usesColour(process.stderr)));
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const { enrolled } = countOutcomes(outcomes);
    // Ctrl-C at the question rejects with an AbortError: it means no.
    const answer = await prompt.question(`Pin the host keys of these ${enrolled} enrolled device(s)? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") return false;
    throw error;
  } finally {
    prompt.close();
  }
}

function report(region: string, result: EnrollResult, options: EnrollOptions): number {
  const { outcomes, files, dropped } = result;
  if (options.json) printJson(outcomeReport(region, result));
  else {
    process.stdout.write(formatOutcomes(outcomes, usesColour(process.stdout)));
    for (const id of dropped) process.stdout.write(`${id}: no longer in the inventory, its entry was dropped\n`);
    process.stdout.write(`${summarize(region, outcomes)}\n${nextStep(region, outcomes, files)}\n`);
  }
  return enrollExitCode(outcomes);
}
