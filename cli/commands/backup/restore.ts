/** `edge-fleet backup restore`: puts a copy in the place of a device's datastore, from the device itself or from where it was sent. */
import { createInterface } from "node:readline/promises";
import { type Command, Option } from "commander";
import { type Profile, resolveProfile } from "../../../components/inventory/index.ts";
import { askProgram } from "../../backup/connect.ts";
import { classifyRestored, type NoAnswer, type Restored } from "../../backup/outcome.ts";
import { readCopy } from "../../backup/read-copy.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit.ts";
import { withInterrupt } from "../../interrupt.ts";
import { requireDevice } from "../../require.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson, wholeNumber } from "../options.ts";

interface RestoreOptions {
  readonly inventory: string;
  readonly copy?: string;
  readonly from?: string;
  readonly key?: string;
  readonly yes?: true;
  readonly timeout: number;
  readonly json?: true;
}

const HELP = `
Without --copy and --from: the newest copy on the device. What was there is kept as a copy, and comes back by itself where a
device that was well does not become ready with the restored one. The device restores detached: a dropped connection stops
nothing, and run again it follows. Exit codes: 0 restored, 1 failed or rolled back, 2 wrong usage or inventory, 3 the device
cannot be reached.`;

/** Registers the command. */
export function registerRestore(group: Command): void {
  group
    .command("restore")
    .summary("put a copy in the place of a device's datastore")
    .description("put a copy in the place of a device's datastore")
    .argument("<device>", "id of the device")
    .addOption(inventoryOption())
    .addOption(new Option("--copy <name>", "a copy on the device, see edge-fleet backup list").conflicts("from"))
    .option("--from <file>", "a copy that was sent, encrypted as it is or decrypted")
    .option("--key <file>", "private key that decrypts it; it stays on this machine")
    .option("--yes", "do not ask")
    .option("--timeout <seconds>", "time for the device, all told", wholeNumber(1), 3600)
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action(async (device: string, options: RestoreOptions) => {
      process.exitCode = await restore(device, options);
    });
}

async function restore(device: string, options: RestoreOptions): Promise<ExitCode> {
  const inventory = inventoryOf(options);
  requireDevice(inventory, device);
  const profile = resolveProfile(inventory, device);
  if (options.key !== undefined && options.from === undefined)
    throw new UsageError("--key decrypts the file of --from, which is missing - give both");
  if (options.copy !== undefined && !/^\d{8}T\d{6}Z(-before)?$/.test(options.copy))
    throw new UsageError(`--copy ${options.copy}: is no name of a copy - see edge-fleet backup list ${device}`);
  const stdin = options.from === undefined ? undefined : await readCopy(options.from, options.key);
  if (options.yes !== true) await confirm(profile, options);
  const outcome = await ask(profile, options, stdin);
  if (options.json) printJson(outcome);
  else process.stdout.write(describe(outcome));
  if ("result" in outcome) return outcome.result === "restored" ? EXIT.ok : EXIT.failed;
  return outcome.state === "pending" ? EXIT.pending : EXIT.failed;
}

async function ask(
  profile: Profile,
  { copy, timeout }: RestoreOptions,
  stdin: Uint8Array | undefined,
): Promise<Restored | NoAnswer> {
  const words = ["restore", ...(stdin !== undefined ? ["-"] : copy === undefined ? [] : [copy])];
  const notice = "interrupted: the connection ends; what the device has begun it ends by itself";
  const result = await withInterrupt(notice, (signal) =>
    askProgram(profile, words, { timeoutMs: timeout * 1000, signal, ...(stdin === undefined ? {} : { stdin }) }),
  );
  return classifyRestored(profile.id, profile.region, result);
}

/** @throws UsageError when nobody can be asked or the answer is another one */
async function confirm({ id }: Profile, { copy, from }: RestoreOptions): Promise<void> {
  if (process.stdin.isTTY !== true) throw new UsageError(`nobody can be asked whether to restore ${id} - add --yes`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const what = from ?? (copy === undefined ? "its newest copy" : `its copy ${copy}`);
  const typed = await terminal.question(`${id} stops, and its datastore becomes ${what}. Type ${id} to go on: `);
  terminal.close();
  if (typed.trim() !== id) throw new UsageError("not confirmed - nothing was changed");
}

function describe(outcome: Restored | NoAnswer): string {
  const { device, reason } = outcome;
  if (!("result" in outcome)) return `${device}: ${outcome.state}: ${outcome.code}: ${reason}\n`;
  const { result, copy, before } = outcome;
  const kept = before === "" ? "" : `; what was there is ${before}`;
  return result === "restored"
    ? `${device}: restored ${copy}${kept}\nNext: edge-fleet kubeconfig ${device} --exec kubectl get pods -A\n`
    : `${device}: ${result}: ${reason}${kept}\n`;
}
