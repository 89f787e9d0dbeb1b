/**
 * What one `up` of a region does with each of its devices: apply, hold, or leave pending. Pure: profiles, the previous
 * run's outputs and the probe's results in, decisions out.
 */
import type { Reachability } from "../device/reachability.ts";
import type { Profile } from "../inventory/index.ts";
import { ERASURE_ORDERED, planRemovals, type RemovalPlan, type WipeTarget } from "./removal.ts";

/** What the plan is made from. */
export interface RegionPlanInput {
  readonly region: string;
  readonly profiles: readonly Profile[];
  /** Every device of the fleet: one that only moved or changed its id must not be erased. */
  readonly fleet: readonly Profile[];
  /** Output `devices` of the stack's previous run: applied hash by device id. Empty on the first run. */
  readonly previous: Readonly<Record<string, string>>;
  /** Output `wipe` of the stack's previous run. */
  readonly wipe: Readonly<Record<string, WipeTarget>>;
  /** Probe results by device id. A device without one counts as reachable: previews never dial. */
  readonly reachability: ReadonlyMap<string, Reachability>;
  /** Hash of the wanted state by id, of every device that others join. */
  readonly servers: Readonly<Record<string, string>>;
  /** How many applied devices may be missing from the inventory. */
  readonly maxRemovals: number;
}

/** A decision for each device, each list in id order. */
export interface RegionPlan extends RemovalPlan {
  /** Applied in this run (a no-op where nothing changed). */
  readonly apply: readonly Profile[];
  /**
   * Applied before and cannot be now, e.g. dark or without its pinned key: kept in the state untouched. Were it not
   * registered, the engine would take it for one that has left.
   */
  readonly hold: readonly PendingDevice[];
  /** Never applied and cannot be now: not registered. */
  readonly wait: readonly PendingDevice[];
}

/** A device that this run cannot apply, and why. */
export interface PendingDevice {
  readonly profile: Profile;
  readonly reason: string;
}

/**
 * @throws Error when more applied devices are missing from the inventory than the guard allows, with their list
 */
export function planRegion(input: RegionPlanInput): RegionPlan {
  const profiles = [...input.profiles].sort((a, b) => (a.id < b.id ? -1 : 1));
  const own = new Map(profiles.map((profile) => [profile.id, obstacle(profile, input)]));
  const apply: Profile[] = [];
  const hold: PendingDevice[] = [];
  const wait: PendingDevice[] = [];
  for (const profile of profiles) {
    const reason = own.get(profile.id) ?? serverObstacle(profile, input, own);
    if (reason === undefined) apply.push(profile);
    else if (Object.hasOwn(input.previous, profile.id)) hold.push({ profile, reason });
    else wait.push({ profile, reason });
  }
  guardRemovals(input);
  return { apply, hold, wait, ...planRemovals(input) };
}

/** Why a device cannot be applied now, if so. */
function obstacle({ id, region, hostKey }: Profile, { reachability }: RegionPlanInput): string | undefined {
  if (hostKey === undefined) return `not enrolled - run edge-fleet enroll ${region}`;
  const seen = reachability.get(id);
  return seen === undefined || seen.reachable ? undefined : seen.reason;
}

/**
 * An agent is never ahead of its server: it waits until the server has applied what is wanted of it, in an earlier run.
 * Within one run it could not wait: the engine takes a device whose registration it never sees for one that has left.
 */
function serverObstacle(
  { joins }: Profile,
  { previous, servers }: RegionPlanInput,
  own: ReadonlyMap<string, string | undefined>,
): string | undefined {
  if (joins === undefined) return undefined;
  if (!own.has(joins)) return `its server ${joins} is not in the region`;
  const reason = own.get(joins);
  if (reason !== undefined) return `its server ${joins} is pending: ${reason}`;
  return previous[joins] === servers[joins] ? undefined : `its server ${joins} comes first - run up again after it`;
}

/** Devices whose erasure is outstanding were counted when they left. */
function guardRemovals({ region, profiles, previous, maxRemovals }: RegionPlanInput): void {
  const ids = new Set(profiles.map(({ id }) => id));
  const removed = Object.keys(previous)
    .filter((id) => !ids.has(id) && previous[id] !== ERASURE_ORDERED)
    .sort();
  if (removed.length <= maxRemovals) return;
  throw new Error(
    `${removed.length} applied devices of region ${region} are no longer in its inventory, and at most ${maxRemovals} may leave at once: ` +
      `${removed.join(", ")} - put them back, or allow it with: pulumi config set edge-fleet:allowRemovals ${removed.length}`,
  );
}

/** Devices that need a probe: those that a connection could be opened to. */
export function probeTargets(profiles: readonly Profile[]) {
  return profiles
    .filter(({ hostKey }) => hostKey !== undefined)
    .map(({ id, host, ssh }) => ({ id, host, port: ssh.port, proxy: ssh.proxy }));
}
