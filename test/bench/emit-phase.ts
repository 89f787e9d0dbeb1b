/**
 * One fresh process of the emit benchmark: runs the phases of resolve and emit up to the one that is named and prints, as
 * one JSON line, what each took and the peak memory of the process. `node emit-phase.ts <inventory> <region> <last phase>`.
 */

import { deviceProgram } from "../../components/device/program.ts";
import { renderTree, treeInput } from "../../components/gitops/index.ts";
import { type Inventory, loadInventory, type Profile, resolveFleet } from "../../components/inventory/index.ts";
import { isRefusal, planRegion } from "../../components/plan/device.ts";

/** The phases in the order in which they run. */
export const PHASES = ["start", "load", "resolve", "tree", "plans"] as const;
/** One of them. */
export type Phase = (typeof PHASES)[number];

/** What a process reports. */
export interface PhaseReport {
  /** Milliseconds by phase, of the phases that ran. `start` is the start of Node.js and the import of all modules. */
  readonly milliseconds: Readonly<Partial<Record<Phase, number>>>;
  /** Largest resident set of the process, in MiB. */
  readonly peakMiB: number;
  /** Devices resolved, files of the tree, bytes of the plans: proof of work. */
  readonly counts: Readonly<Record<string, number>>;
}

function runPhases(directory: string, region: string, last: Phase): PhaseReport {
  const milliseconds: Partial<Record<Phase, number>> = { start: performance.now() };
  const counts: Record<string, number> = {};
  const wanted = (phase: Phase) => PHASES.indexOf(phase) <= PHASES.indexOf(last);
  const timed = <T>(phase: Phase, work: () => T): T => {
    const started = performance.now();
    const result = work();
    milliseconds[phase] = performance.now() - started;
    return result;
  };
  let inventory: Inventory | undefined;
  let fleet: readonly Profile[] = [];
  if (wanted("load")) inventory = timed("load", () => loadInventory(directory));
  if (wanted("resolve") && inventory !== undefined) {
    const loaded = inventory;
    fleet = timed("resolve", () => resolveFleet(loaded));
    counts.devices = fleet.length;
    if (wanted("tree")) counts.files = timed("tree", () => renderTree(treeInput(loaded, fleet)).size);
    if (wanted("plans")) {
      deviceProgram();
      counts.planBytes = timed("plans", () => planBytes(loaded, fleet, region));
    }
  }
  return { milliseconds, peakMiB: process.resourceUsage().maxRSS / 1024, counts };
}

function planBytes({ artifacts }: Inventory, fleet: readonly Profile[], region: string): number {
  const profiles = fleet.filter((profile) => profile.region === region);
  const plans = planRegion({ profiles, artifacts, secrets: {}, program: deviceProgram().sha256 });
  return plans.reduce((sum, plan) => sum + (isRefusal(plan) ? 0 : plan.text.length), 0);
}

if (import.meta.main) {
  const [directory = "", region = "", last = "plans"] = process.argv.slice(2);
  process.stdout.write(`${JSON.stringify(runPhases(directory, region, last as Phase))}\n`);
}
