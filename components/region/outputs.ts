/**
 * The outputs of a region's stack from its plan and what became of each device. Pure.
 */
import type { DeviceOutcome } from "../device/index.ts";
import type { RegionPlan } from "./plan.ts";

/** Outputs of a region's stack; the next run reads `devices` back. */
export interface RegionOutputs {
  /** Hash of the desired state that each device last reported as applied, by device id. */
  readonly devices: Readonly<Record<string, string>>;
  /** Why a device could not be applied in this run without anything having failed, by device id. */
  readonly pending: Readonly<Record<string, string>>;
  /** Why the apply of a device failed, by device id. */
  readonly failed: Readonly<Record<string, string>>;
}

/**
 * @param previous output `devices` of the previous run: a device that failed or is held keeps its hash
 * @param results outcome by device id, of every device that the plan registers
 */
export function collectOutputs(
  plan: RegionPlan,
  previous: Readonly<Record<string, string>>,
  results: Readonly<Record<string, DeviceOutcome>>,
): RegionOutputs {
  const devices: Record<string, string> = {};
  const failed: Record<string, string> = {};
  for (const [id, outcome] of Object.entries(results)) {
    const before = previous[id];
    if ("applied" in outcome) devices[id] = outcome.applied.hash;
    else {
      failed[id] = outcome.failed;
      if (before !== undefined) devices[id] = before;
    }
  }
  const pending = Object.fromEntries([...plan.hold, ...plan.wait].map(({ profile, reason }) => [profile.id, reason]));
  return { devices: sorted(devices), pending: sorted(pending), failed: sorted(failed) };
}

function sorted(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
