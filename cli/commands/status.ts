/** `edge-fleet status`: how each device is, from the hub or from a file; with --json the file that --status reads. */
import type { Command } from "commander";
import type { TreeDevice } from "../../components/gitops/index.ts";
import { EXIT, type ExitCode, UsageError } from "../exit.ts";
import { devicesIn, openContext, type RolloutContext, readRing, requireRing } from "../rollout/context.ts";
import { type DeviceStatus, judgeDevice } from "../rollout/health.ts";
import type { DeviceStatuses } from "../rollout/status.ts";
import { readStatuses } from "../rollout/status-source.ts";
import { type Cell, type Colour, formatTable, printable, usesColour } from "../terminal.ts";
import { printJson } from "./options.ts";
import { addHealthOptions, type HealthCommandOptions } from "./rollout-options.ts";

interface StatusCommandOptions extends HealthCommandOptions {
  readonly ring?: string;
}

/** Registers the command. */
export function registerStatus(program: Command): void {
  const command = program
    .command("status")
    .description("show how each device is; with --json as the file that --status of promote reads")
    .option("--ring <ring>", "only the devices of this ring");
  addHealthOptions(command).action(async (options: StatusCommandOptions) => {
    process.exitCode = await status(options);
  });
}

async function status(options: StatusCommandOptions): Promise<ExitCode> {
  const now = Date.now();
  const { workload } = options;
  const context = await openContext(options);
  if (options.ring !== undefined) requireRing(context, options.ring);
  const rings = options.ring === undefined ? context.rings : [options.ring];
  const devices = rings.flatMap((ring) => devicesIn(context, ring));
  const statuses = await readStatuses(options, devices, workload, now);
  if (statuses === undefined)
    throw new UsageError("the health of devices is not known - use --kubeconfig <file> of the hub, or --status <file>");
  if (options.json) {
    const own = devices.flatMap(({ id }): [string, DeviceStatus][] => {
      const known = statuses.get(id);
      return known === undefined ? [] : [[id, known]];
    });
    printJson(Object.fromEntries(own));
    return EXIT.ok;
  }
  const rows = await describeDevices(context, rings, statuses, options.maxStatusAge, now);
  process.stdout.write(
    formatTable(
      ["DEVICE", "REGION", "MODEL", "RING", "STATE", "REVISION", "OBSERVED"],
      rows,
      usesColour(process.stdout),
    ),
  );
  return EXIT.ok;
}

const COLOURS: Readonly<Record<ReturnType<typeof judgeDevice>, Colour>> = {
  healthy: "green",
  failed: "red",
  lost: "red",
  stale: "yellow",
  behind: "yellow",
  offline: "dim",
  unreported: "dim",
};

async function describeDevices(
  context: RolloutContext,
  rings: readonly string[],
  statuses: DeviceStatuses,
  maxAgeMs: number,
  now: number,
): Promise<Cell[][]> {
  const rows: Cell[][] = [];
  for (const ring of rings) {
    const { current } = await readRing(context, ring);
    const rules = { revision: current?.revision ?? "", promotedAt: current?.since ?? now, maxAgeMs };
    for (const device of devicesIn(context, ring)) rows.push(rowOf(device, statuses.get(device.id), rules, now));
  }
  return rows;
}

function rowOf(
  { id, region, model, ring }: TreeDevice,
  known: DeviceStatus | undefined,
  rules: Parameters<typeof judgeDevice>[1],
  now: number,
): Cell[] {
  const state = judgeDevice(known, rules, now);
  const revision = printable(known?.revision ?? "", 12);
  return [id, region, model, ring, { text: state, colour: COLOURS[state] }, revision, known?.observedAt ?? ""];
}
