/** Makes a report of the fleet as it is now. Reads only. */
import type { Inventory } from "../../components/inventory/index.ts";
import { MANIFEST } from "../package.ts";
import { openContext, type RolloutOptions } from "../rollout/context.ts";
import type { DeviceStatuses } from "../rollout/status.ts";
import type { StatusOptions } from "../rollout/status-source.ts";
import { readStatus } from "../status/read.ts";
import { type RingRow, ringRows } from "../status/rings.ts";
import { type ReportData, type ReportFacts, reportData } from "./model.ts";

/**
 * Reads and joins. Rings that cannot be read, e.g. where the tree is in no Git repository, are left out and told.
 * @param previous what to compare with; undefined: nothing
 * @throws Error when no stack can be read and nobody told of health
 */
export async function readFleetReport(
  inventory: Inventory,
  options: StatusOptions & RolloutOptions,
  previous: ReportFacts | undefined,
): Promise<ReportData> {
  const status = await readStatus({ inventory, target: undefined, ring: undefined, health: options });
  const now = Date.now();
  const known = new Map(status.rows.flatMap(({ id, status: one }) => (one === undefined ? [] : [[id, one]])));
  const { rings, problem } = await readRingRows(options, status.withHealth ? known : undefined, now);
  const { rows, profiles, stacks } = status;
  const problems = [...status.problems, ...(problem === undefined ? [] : [problem])];
  const sources = { rows, profiles, stacks, rings, problems, now, previous };
  return reportData({ ...sources, fleet: inventory.fleet.fleet, madeBy: MANIFEST.version });
}

async function readRingRows(
  options: StatusOptions & RolloutOptions,
  statuses: DeviceStatuses | undefined,
  now: number,
): Promise<{ readonly rings: readonly RingRow[]; readonly problem: string | undefined }> {
  try {
    const context = await openContext(options);
    const rings = await ringRows(context, { statuses, maxAgeMs: options.maxStatusAge, now });
    return { rings, problem: undefined };
  } catch (error) {
    return { rings: [], problem: `the rings cannot be read: ${(error as Error).message}` };
  }
}
