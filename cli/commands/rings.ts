/** `edge-fleet rings`: what each ring runs, since when, how long it still soaks, and how its devices are. */
import type { Command } from "commander";
import { EXIT, type ExitCode } from "../exit.ts";
import { openContext } from "../rollout/context.ts";
import { describeVerdict } from "../rollout/report.ts";
import { formatDuration } from "../rollout/rules.ts";
import { readStatuses } from "../rollout/status-source.ts";
import { nextPromotion, type RingRow, ringRows } from "../status/rings.ts";
import { type Cell, formatTable, usesColour } from "../terminal.ts";
import { printJson } from "./options.ts";
import { addHealthOptions, type HealthCommandOptions } from "./rollout-options.ts";

const HELP = `
Devices without an agent are asked over SSH how they are, 64 at a time and 20 s each; those with one by the hub
(--kubeconfig); or all by a file (--status). SOAK LEFT counts from when enough of a ring's devices run its commit well.`;

/** Registers the command. */
export function registerRings(program: Command): void {
  const command = program
    .command("rings")
    .description("show what each ring runs, since when, what it still soaks, and how its devices are");
  addHealthOptions(command)
    .addHelpText("after", HELP)
    .action(async (options: HealthCommandOptions) => {
      process.exitCode = await rings(options);
    });
}

async function rings(options: HealthCommandOptions): Promise<ExitCode> {
  const { workload } = options;
  const context = await openContext(options);
  const { inventory, devices } = context;
  const statuses = await readStatuses({ ...options, dial: true }, { inventory, devices, workload });
  const rows = await ringRows(context, { statuses, maxAgeMs: options.maxStatusAge, now: Date.now() });
  if (options.json) printJson({ workload: workload ?? null, rings: rows });
  else
    process.stdout.write(formatTable(HEADER, rows.map(cellsOf), usesColour(process.stdout)) + nextStep(rows, workload));
  return EXIT.ok;
}

/** Empty where nothing may be promoted. */
function nextStep(rows: readonly RingRow[], workload: string | undefined): string {
  const ring = nextPromotion(rows);
  if (ring === undefined) return "";
  const to = ring === rows[0]?.ring ? " --to HEAD" : "";
  return `Next: edge-fleet promote ${ring}${to}${workload === undefined ? "" : ` --workload ${workload}`}\n`;
}

const HEADER = ["RING", "REVISION", "SINCE", "SOAK LEFT", "DEVICES", "FROZEN", "HEALTH"];

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
