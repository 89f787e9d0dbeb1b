/**
 * What an `up` needs on its devices beforehand: from the inventory and the stack's last outputs to the devices that lack
 * the program or pushed artifacts; and the push that brings them. Devices that lack nothing are not connected to.
 */

import { deviceProgram } from "../../components/device/program.ts";
import { probeDevices } from "../../components/device/reachability.ts";
import { type Inventory, type Profile, resolveRegion } from "../../components/inventory/index.ts";
import { pushedArtifacts, resolveArtifacts } from "../../components/plan/artifact.ts";
import { probeTargets } from "../../components/region/plan.ts";
import { withInterrupt } from "../interrupt.ts";
import { defaultCacheDirectory } from "../../components/artifacts/cache.ts";
import type { PushOutcome } from "../push/outcome.ts";
import { pushRegion } from "../push/program.ts";
import { requireRegion } from "../require.ts";
import { stackOutputs } from "./run.ts";

/** What a region lacks. */
export interface Supply {
  /** Enrolled devices that lack something. */
  readonly due: readonly Profile[];
  /** Ids that have the program of this release. */
  readonly current: ReadonlySet<string>;
  /** Ids that have the artifacts that are pushed to them, or to which none is pushed. */
  readonly supplied: ReadonlySet<string>;
}

/** Outputs of the stack's last run that tell what devices have. */
export interface SuppliedOutputs {
  /** SHA-256 of the device program by device. Absent: the stack has not run yet; so in the next. */
  readonly programs?: Readonly<Record<string, string>>;
  /** Hash of the pushed artifacts by device, see `pushedArtifacts`. */
  readonly pushed?: Readonly<Record<string, string>>;
}

/**
 * Compares what devices are known to have with what they need. What the last run saw counts more than the enrolment. A
 * device for which the lock lacks an artifact is left out: it fails in the run itself, which says why, and alone.
 */
export function planSupply(
  inventory: Inventory,
  region: string,
  { programs = {}, pushed = {} }: SuppliedOutputs,
  program: string = deviceProgram().sha256,
): Supply {
  const profiles = resolveRegion(inventory, region).filter(
    (profile) => profile.hostKey !== undefined && isLocked(profile, inventory),
  );
  const enrolled = new Map(
    requireRegion(inventory, region).devices.map(({ entry }) => [entry.id, entry.facts?.program]),
  );
  const ids = (has: (profile: Profile) => boolean) => new Set(profiles.filter(has).map(({ id }) => id));
  const current = ids(({ id }) => (programs[id] ?? enrolled.get(id)) === program);
  const wanted = (profile: Profile) => pushedArtifacts(resolveArtifacts(profile, inventory.artifacts));
  const supplied = ids((profile) => ["", pushed[profile.id]].includes(wanted(profile)));
  const due = profiles.filter(({ id }) => !current.has(id) || !supplied.has(id));
  return { due, current, supplied };
}

function isLocked(profile: Profile, { artifacts }: Inventory): boolean {
  try {
    resolveArtifacts(profile, artifacts);
    return true;
  } catch {
    return false;
  }
}

/**
 * Brings what is lacking to the devices that answer.
 * @returns an outcome per device that was connected to
 */
export async function supplyRegion(inventory: Inventory, stack: string, region: string): Promise<PushOutcome[]> {
  const { due, current, supplied } = planSupply(inventory, region, await lastOutputs(stack));
  if (due.length === 0) return [];
  const seen = await probeDevices(probeTargets(due));
  const profiles = due.filter(({ id }) => seen.get(id)?.reachable === true);
  if (profiles.length === 0) return [];
  const bounds = { cache: defaultCacheDirectory(), parallel: 8, idleMs: 120_000 };
  return withInterrupt("interrupted: ending the transfers; a later run resumes them", (signal) =>
    pushRegion({ inventory, region, profiles, current, supplied, ...bounds, signal }),
  );
}

/** A stack that does not exist yet has none: pulumi itself says so when it comes to it. */
async function lastOutputs(stack: string): Promise<SuppliedOutputs> {
  try {
    return (await stackOutputs(stack)) as SuppliedOutputs;
  } catch {
    return {};
  }
}
