/** `edge-fleet push`: brings artifacts onto devices that cannot download them, over SSH, resumable and verified twice. */
import type { Command } from "commander";
import { type ExitCode, exitCodeOf } from "../exit.ts";
import { withInterrupt } from "../interrupt.ts";
import { defaultCacheDirectory } from "../../components/artifacts/cache.ts";
import type { PushOutcome } from "../push/outcome.ts";
import { pushRegion, selectProfiles } from "../push/program.ts";
import { type Cell, formatTable, usesColour } from "../terminal.ts";
import { devicesOption, inventoryOf, inventoryOption, jsonOption, printJson, wholeNumber } from "./options.ts";

interface PushOptions {
  readonly inventory: string;
  readonly device: readonly string[];
  readonly cache: string;
  readonly parallel: number;
  readonly idleTimeout: number;
  readonly json?: true;
}

const COLOURS = { pushed: "green", present: "dim", pending: "yellow", failed: "red" } as const;

const HELP = `
First the device program, where the installed one is not that of this release. Then everything that a device with
artifacts.delivery: push needs: binary or snap, image archive, WASM shims, over one connection. A file comes from the
cache, named by its SHA-256; it is downloaded from the locked URL or the mirror when it is not there. A transfer that
breaks off resumes at the byte where it stopped, and artifacts.maxKiBPerSecond bounds its rate. Exit codes: 0 done, 1
failed, 2 usage, 3 only pending.`;

/** Registers the command. */
export function registerPush(program: Command): void {
  program
    .command("push")
    .description("bring the device program, and artifacts where artifacts.delivery is push")
    .argument("<region>", "region whose devices are served")
    .addOption(inventoryOption())
    .addOption(devicesOption("only these devices"))
    .option("--cache <dir>", "the controller's artifact cache", defaultCacheDirectory())
    .option("--parallel <n>", "transfers at a time", wholeNumber(1), 8)
    .option("--idle-timeout <seconds>", "silence that ends a transfer", wholeNumber(1), 120)
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action(async (region: string, options: PushOptions) => {
      process.exitCode = await push(region, options);
    });
}

async function push(region: string, options: PushOptions): Promise<ExitCode> {
  const inventory = inventoryOf(options);
  const profiles = selectProfiles(inventory, region, options.device);
  const outcomes = await withInterrupt("interrupted: ending the transfers; a later run resumes them", (signal) =>
    pushRegion({
      inventory,
      region,
      profiles,
      cache: options.cache,
      parallel: options.parallel,
      idleMs: options.idleTimeout * 1000,
      signal,
    }),
  );
  const count = (state: PushOutcome["state"]): number => outcomes.filter((outcome) => outcome.state === state).length;
  if (options.json) printJson({ region, devices: outcomes });
  else printOutcomes(region, outcomes, count);
  return exitCodeOf({ failed: count("failed"), pending: count("pending") });
}

function printOutcomes(
  region: string,
  outcomes: readonly PushOutcome[],
  count: (state: PushOutcome["state"]) => number,
): void {
  const rows = outcomes.map(({ id, state, sentBytes, reason, message }): Cell[] => [
    id,
    { text: state, colour: COLOURS[state] },
    sentBytes === 0 ? "-" : `${(sentBytes / 1024 / 1024).toFixed(1)} MiB`,
    reason === undefined ? message : `${reason}: ${message}`,
  ]);
  if (rows.length > 0)
    process.stdout.write(formatTable(["DEVICE", "STATE", "SENT", "DETAIL"], rows, usesColour(process.stdout)));
  const states = (["pushed", "present", "pending", "failed"] as const).map((state) => `${count(state)} ${state}`);
  process.stdout.write(`${region}: ${states.join(", ")}\n`);
}
