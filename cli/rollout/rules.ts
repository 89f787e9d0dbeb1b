/**
 * What a promotion has to wait for, and whom it reaches: the fleet's `rollout` settings as plain numbers, and a ring's
 * devices counted per region and model.
 */

import { type Leaf, listLeaves, type TreeDevice, type TreeWorkload } from "../../components/gitops/index.ts";
import type { FleetFile } from "../../components/inventory/schema.ts";

/** The rules of a rollout, complete. */
export interface RolloutRules {
  /** How long the devices of a ring run a commit before the next ring may take it, in milliseconds. */
  readonly soakMs: number;
  /** Healthy share of all devices of a ring, 0 to 100. */
  readonly minHealthyPercent: number;
  /** Healthy share of a ring's devices of each model, 0 to 100; 0 asks for none. */
  readonly minHealthyPerModelPercent: number;
  /** Devices that may be failed or lost. */
  readonly maxFailures: number;
  /** Only commits with a valid signature. */
  readonly signedCommits: boolean;
}

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000 } as const;

/**
 * The fleet's rules; defaults 2h, 95% of a ring and 50% of each model, 2 failures, unsigned commits allowed.
 * @param workload whose own rules go before. Default: none
 */
export function rolloutRules(
  fleet: Pick<FleetFile, "rollout">,
  workload?: Pick<TreeWorkload, "rollout">,
): RolloutRules {
  const {
    soak = "2h",
    minHealthy = "95%",
    minHealthyPerModel = "50%",
    maxFailures = 2,
  } = {
    ...fleet.rollout,
    ...workload?.rollout,
  };
  return {
    soakMs: parseDuration(soak),
    minHealthyPercent: Number.parseInt(minHealthy, 10),
    minHealthyPerModelPercent: Number.parseInt(minHealthyPerModel, 10),
    maxFailures,
    signedCommits: fleet.rollout?.signedCommits ?? false,
  };
}

/**
 * Milliseconds of `90m`, `2h` or `1d`.
 * @throws RangeError for any other text
 */
export function parseDuration(text: string): number {
  const [, count, unit] = /^(\d{1,9})([mhd])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined)
    throw new RangeError(`${text} is not a duration - use e.g. 90m, 2h or 1d`);
  return Number(count) * UNITS[unit as keyof typeof UNITS];
}

/**
 * A span for people, in its two largest units, e.g. `1d 4h`, `35m`.
 * @param round to whole minutes: `up` (default) for what is left, `down` for what has passed
 */
export function formatDuration(milliseconds: number, round: "up" | "down" = "up"): string {
  const exact = milliseconds / UNITS.m;
  let minutes = Math.max(0, round === "up" ? Math.ceil(exact) : Math.floor(exact));
  const parts = Object.entries(UNITS).flatMap(([unit, length]) => {
    const count = Math.floor((minutes * UNITS.m) / length);
    minutes -= (count * length) / UNITS.m;
    return count > 0 ? [`${count}${unit}`] : [];
  });
  return parts.slice(0, 2).join(" ") || "0m";
}

/** The rings that a workload passes through: the fleet's, or its own in its own order. */
export function ringsOf(rings: readonly string[], workload: TreeWorkload | undefined): string[] {
  return [...(workload?.rings ?? rings)];
}

/** How many devices each region and model has, the largest first. */
export function blastRadius(devices: readonly Pick<TreeDevice, "region" | "model">[]): Leaf[] {
  return listLeaves(devices).sort((a, b) => b.devices - a.devices);
}
