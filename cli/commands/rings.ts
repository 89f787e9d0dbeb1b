/** `edge-fleet rings`: what each ring runs, since when, how long it still soaks, and how its devices are. */
import type { Command } from "commander";
import { EXIT, type ExitCode } from "../exit.ts";
import {
  devicesIn,
  openContext,
  type RingState,
  type RolloutContext,
  readFreezes,
  readRing,
} from "../rollout/context.ts";
import { judgeState } from "../rollout/decide.ts";
import { type Freeze, type Freezes, freezeOf } from "../rollout/freeze.ts";
import type { RingVerdict } from "../rollout/health.ts";
import { describeVerdict } from "../rollout/report.ts";
import { formatDuration } from "../rollout/rules.ts";
import { readStatuses } from "../rollout/status-source.ts";
import { type Cell, formatTable, usesColour } from "../terminal.ts";
import { printJson } from "./options.ts";
import { addHealthOptions, type HealthCommandOptions } from "./rollout-options.ts";

interface RingRow {
  readonly ring: string;
  readonly revision: string | null;
  /** RFC 3339. */
  readonly since: string | null;
  /** Until the next ring may take it. */
  readonly soakLeftMs: number | null;
  readonly devices: number;
  readonly frozen: Freeze | null;
  readonly health: RingVerdict | null;
}

/** Registers the command. */
export function registerRings(program: Command): void {
  const command = program
    .command("rings")
    .description("show what each ring runs, since when, what it still soaks, and how its devices are");
  addHealthOptions(command).action(async (options: HealthCommandOptions) => {
    process.exitCode = await rings(options);
  });
}

async function rings(options: HealthCommandOptions): Promise<ExitCode> {
  const now = Date.now();
  const { workload } = options;
  const context = await openContext(options);
  const { inventory, devices } = context;
  const statuses = await readStatuses({ ...options, dial: true }, { inventory, devices, workload, now });
  const freezes = await readFreezes(context);
  const rows: RingRow[] = [];
  for (const ring of context.rings) {
    const state = await readRing(context, ring);
    const health = judgeState(context, state, { statuses, maxAgeMs: options.maxStatusAge, now });
    rows.push(rowOf(context, state, freezes, health, now));
  }
  if (options.json) printJson({ workload: workload ?? null, rings: rows });
  else process.stdout.write(formatTable(HEADER, rows.map(cellsOf), usesColour(process.stdout)));
  return EXIT.ok;
}

const HEADER = ["RING", "REVISION", "SINCE", "SOAK LEFT", "DEVICES", "FROZEN", "HEALTH"];

function rowOf(
  context: RolloutContext,
  { ring, current }: RingState,
  freezes: Freezes,
  health: RingVerdict | undefined,
  now: number,
): RingRow {
  const began = Math.max(current?.since ?? 0, health?.runningSince ?? 0);
  const left = current === undefined ? null : Math.max(0, context.rules.soakMs - (now - began));
  return {
    ring,
    revision: current?.revision ?? null,
    since: current === undefined ? null : new Date(current.since).toISOString(),
    soakLeftMs: left,
    devices: devicesIn(context, ring).length,
    frozen: freezeOf(freezes, ring) ?? null,
    health: health ?? null,
  };
}

function cellsOf({ ring, revision, since, soakLeftMs, devices, frozen, health }: RingRow): Cell[] {
  const soak = soakLeftMs === null ? "" : soakLeftMs === 0 ? "over" : formatDuration(soakLeftMs);
  return [
    ring,
    revision?.slice(0, 12) ?? "nothing",
    since?.slice(0, 16) ?? "",
    soak,
    String(devices),
    frozen === null ? "" : { text: frozen.reason ?? "yes", colour: "yellow" },
    health === null ? "" : { text: describeVerdict(health), colour: health.healthy ? "green" : "red" },
  ];
}
