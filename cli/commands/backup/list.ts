/** `edge-fleet backup list`: the copies of a device's datastore, and whether they have been sent away. */
import type { Command } from "commander";
import { resolveProfile } from "../../../components/inventory/index.ts";
import { askProgram } from "../../backup/connect.ts";
import { classifyListing, type Listing } from "../../backup/outcome.ts";
import { EXIT, type ExitCode } from "../../exit.ts";
import { requireDevice } from "../../require.ts";
import { type Cell, formatTable, usesColour } from "../../terminal.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson, wholeNumber } from "../options.ts";

interface ListOptions {
  readonly inventory: string;
  readonly timeout: number;
  readonly json?: true;
}

const HELP = `
A copy is named by its time. One that ends in -before is what a restore has replaced; those are not sent.
Exit codes: 0 done, 1 the device failed, 2 wrong usage or inventory, 3 the device cannot be reached.`;

/** Registers the command. */
export function registerList(group: Command): void {
  group
    .command("list")
    .summary("list the copies of a device's datastore")
    .description("list the copies of a device's datastore, and which have been sent away")
    .argument("<device>", "id of the device")
    .addOption(inventoryOption())
    .option("--timeout <seconds>", "time for the device, all told", wholeNumber(1), 60)
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action(async (device: string, options: ListOptions) => {
      process.exitCode = await list(device, options);
    });
}

async function list(device: string, options: ListOptions): Promise<ExitCode> {
  const inventory = inventoryOf(options);
  requireDevice(inventory, device);
  const profile = resolveProfile(inventory, device);
  const result = await askProgram(profile, ["backups"], { timeoutMs: options.timeout * 1000 });
  const outcome = classifyListing(device, profile.region, result);
  if (options.json) printJson(outcome);
  if ("copies" in outcome) {
    if (!options.json) process.stdout.write(formatListing(outcome, usesColour(process.stdout)));
    return EXIT.ok;
  }
  if (!options.json) process.stdout.write(`${device}: ${outcome.state}: ${outcome.code}: ${outcome.reason}\n`);
  return outcome.state === "pending" ? EXIT.pending : EXIT.failed;
}

/** The table and what is to be known about sending. */
function formatListing({ device, url, unsent, copies }: Listing, colour: boolean): string {
  const rows = copies.map(({ name, time, kib, sent }): Cell[] => [
    name,
    time,
    `${(kib / 1024).toFixed(1)} MiB`,
    sent
      ? { text: "yes", colour: "green" }
      : url === "" || name.endsWith("-before")
        ? "-"
        : { text: "no", colour: "yellow" },
  ]);
  const table = rows.length === 0 ? "" : formatTable(["COPY", "TIME", "SIZE", "SENT"], rows, colour);
  const where = url === "" ? "they stay on the device (backup.push is not set)" : `sent to ${url}`;
  const why = unsent === "" ? "" : `not sent: ${unsent}\n`;
  return `${table}${device}: ${copies.length} ${copies.length === 1 ? "copy" : "copies"}, ${where}\n${why}`;
}
