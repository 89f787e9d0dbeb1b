/**
 * What becomes of devices that have left the inventory: erased, erased later, or left as they are. Pure.
 */
import type { ProbeTarget, Reachability } from "../device/reachability.ts";
import type { Profile } from "../inventory/index.ts";

/** Where a device is that is to be erased once it has left. */
export type WipeTarget = Omit<ProbeTarget, "id">;

/**
 * Stands for the hash of a device whose erasure was ordered: it may hold anything. Whoever puts it back into the inventory
 * has it applied anew, and nothing else.
 */
export const ERASURE_ORDERED = "erasure-ordered";

/** What is looked at, see `RegionPlanInput`. */
export interface RemovalInput {
  readonly profiles: readonly Profile[];
  readonly fleet: readonly Profile[];
  readonly previous: Readonly<Record<string, string>>;
  readonly wipe: Readonly<Record<string, WipeTarget>>;
  readonly reachability: ReadonlyMap<string, Reachability>;
}

/** A device that has left the inventory, and why it is treated so; empty where its `decommission` says it. */
export interface LeavingDevice {
  readonly id: string;
  readonly reason: string;
}

/** A decision for each device that was applied and has left the inventory, each list in id order. */
export interface RemovalPlan {
  /** Erased in this run, and registered for it. */
  readonly erase: readonly string[];
  /** To be erased and not reachable now: kept in the state untouched. */
  readonly overdue: readonly LeavingDevice[];
  /** Leave the state; the device itself is left alone. */
  readonly drop: readonly LeavingDevice[];
}

/** Decides. A device that others of the fleet stand for now, by its id or its address, is never erased. */
export function planRemovals({ profiles, fleet, previous, wipe, reachability }: RemovalInput): RemovalPlan {
  const present = new Set(profiles.map(({ id }) => id));
  const gone = Object.keys(previous).filter((id) => !present.has(id));
  const erase: string[] = [];
  const overdue: LeavingDevice[] = [];
  const drop: LeavingDevice[] = [];
  for (const id of gone.sort()) {
    const target = wipe[id];
    const heir = target === undefined ? "" : heirOf(id, target, fleet);
    const seen = reachability.get(id);
    if (target === undefined || heir !== "") drop.push({ id, reason: heir });
    else if (seen !== undefined && !seen.reachable) overdue.push({ id, reason: seen.reason });
    else erase.push(id);
  }
  return { erase, overdue, drop };
}

/** Devices to erase that need a probe: those of `wipe` that are no longer in the inventory. */
export function erasureTargets(
  profiles: readonly Profile[],
  wipe: Readonly<Record<string, WipeTarget>>,
): readonly ProbeTarget[] {
  const present = new Set(profiles.map(({ id }) => id));
  return Object.entries(wipe).flatMap(([id, target]) => (present.has(id) ? [] : [{ id, ...target }]));
}

/** Where a device is. */
export function wipeTarget({ host, ssh }: Profile): WipeTarget {
  return { host, port: ssh.port, proxy: ssh.proxy };
}

function heirOf(id: string, target: WipeTarget, fleet: readonly Profile[]): string {
  const same = fleet.find((profile) => profile.id === id);
  if (same !== undefined) return `region ${same.region} has it now`;
  const place = placeOf(target);
  const other = fleet.find((profile) => placeOf(wipeTarget(profile)) === place);
  return other === undefined ? "" : `${other.id} has its address now`;
}

function placeOf({ host, port, proxy }: WipeTarget): string {
  const behind = proxy === undefined ? "" : ` behind ${proxy.host}:${proxy.port}`;
  return `${host}:${port}${behind}`.toLowerCase();
}
