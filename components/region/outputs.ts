/**
 * The outputs of a region's stack from its plan and what became of each device. Pure.
 */
import type { DeviceOutcome } from "../device/index.ts";
import type { DeviceSpec } from "../device/plan.ts";
import type { Profile } from "../inventory/index.ts";
import type { RegionPlan } from "./plan.ts";
import { ERASURE_ORDERED, type WipeTarget, wipeTarget } from "./removal.ts";

/** Outputs of a region's stack; the next run reads `devices`, `programs`, `pushed` and `wipe` back. */
export interface RegionOutputs {
  /**
   * Hash of the desired state that each device last reported as applied, by device id; {@link ERASURE_ORDERED} where it
   * left the inventory, is to be erased, and is not known to be.
   */
  readonly devices: Readonly<Record<string, string>>;
  /** SHA-256 of the device program that each device last ran, by device id: where it is another one, `push` is due. */
  readonly programs: Readonly<Record<string, string>>;
  /** What each device last had of `edge-fleet push`, by device id: see `DeviceSpec.pushed`. */
  readonly pushed: Readonly<Record<string, string>>;
  /** Why a device could not be applied or erased in this run without anything having failed, by device id. */
  readonly pending: Readonly<Record<string, string>>;
  /** Why the apply or the erasure of a device failed, by device id. */
  readonly failed: Readonly<Record<string, string>>;
  /** Where those of {@link RegionOutputs.devices} are that are erased once they have left the inventory, by device id. */
  readonly wipe: Readonly<Record<string, WipeTarget>>;
  /** `wiped`, or `retained` with the reason after a colon, for each device that this run has let go of, by device id. */
  readonly removed: Readonly<Record<string, string>>;
}

/** Stands in `programs` and `pushed` for a device that has said itself that it lacks them. */
const OUTDATED = "outdated";
const LACKS_PROGRAM = /^failed: program: /;
/** A device that has to reboot once goes on by itself, and the next run finds it done. */
const REBOOTS = /^failed: (rebooting: .*)/s;
const LACKS_ARTIFACT = /^failed: (artifact-missing|checksum): /;

/** What the previous run left; each map is empty on the first run. */
export type PreviousOutputs = Pick<RegionOutputs, "devices" | "programs" | "pushed" | "wipe">;

/** The same maps while they are filled. */
type Collected = { -readonly [K in keyof RegionOutputs]: Record<string, RegionOutputs[K][string]> };

/**
 * @param previous a device that failed or is held keeps what it has there
 * @param specs what was sent, by device id
 * @param results outcome by device id, of every device that the plan registers
 */
export function collectOutputs(
  plan: RegionPlan,
  previous: PreviousOutputs,
  specs: Readonly<Record<string, Pick<DeviceSpec, "program" | "pushed">>>,
  results: Readonly<Record<string, DeviceOutcome>>,
): RegionOutputs {
  const all: Collected = { devices: {}, programs: {}, pushed: {}, pending: {}, failed: {}, wipe: {}, removed: {} };
  for (const profile of plan.apply) collect(all, profile, previous, specs[profile.id], results[profile.id]);
  for (const { profile, reason } of plan.hold) {
    collect(all, profile, previous, undefined, results[profile.id]);
    if (previous.devices[profile.id] === ERASURE_ORDERED) all.devices[profile.id] = ERASURE_ORDERED;
    all.pending[profile.id] = reason;
  }
  for (const { profile, reason } of plan.wait) all.pending[profile.id] = reason;
  collectRemovals(all, plan, previous, results);
  const maps = Object.entries<Record<string, unknown>>(all).map(([name, map]) => [name, sorted(map)]);
  return Object.fromEntries(maps) as RegionOutputs;
}

/** @param spec what the device has now unless it failed; undefined where nothing was sent */
function collect(
  all: Collected,
  profile: Profile,
  previous: PreviousOutputs,
  spec: Pick<DeviceSpec, "program" | "pushed"> | undefined,
  outcome: DeviceOutcome | undefined,
): void {
  const { id } = profile;
  const reason = outcome !== undefined && "failed" in outcome ? outcome.failed : "";
  const has = reason === "" ? spec : undefined;
  set(all.devices, id, outcome !== undefined && "applied" in outcome ? outcome.applied.hash : previous.devices[id]);
  set(all.programs, id, LACKS_PROGRAM.test(reason) ? OUTDATED : (has?.program ?? previous.programs[id]));
  set(all.pushed, id, LACKS_ARTIFACT.test(reason) ? OUTDATED : (has?.pushed ?? previous.pushed[id]));
  const rebooting = REBOOTS.exec(reason)?.[1];
  set(rebooting === undefined ? all.failed : all.pending, id, rebooting ?? reason);
  if (profile.decommission === "wipe" && all.devices[id] !== undefined) all.wipe[id] = wipeTarget(profile);
}

/** A device whose erasure is outstanding stays known, so that whoever puts it back does not have it erased. */
function collectRemovals(
  all: Collected,
  { drop, erase, overdue }: RegionPlan,
  { wipe }: PreviousOutputs,
  results: Readonly<Record<string, DeviceOutcome>>,
): void {
  const keep = (id: string): void => {
    all.devices[id] = ERASURE_ORDERED;
    const target = wipe[id];
    if (target !== undefined) all.wipe[id] = target;
  };
  for (const { id, reason } of drop) all.removed[id] = reason === "" ? "retained" : `retained: ${reason}`;
  for (const { id, reason } of overdue) {
    keep(id);
    all.pending[id] = `to be wiped: ${reason} - run up again once it answers`;
  }
  for (const id of erase) {
    const failure = erasureFailure(results[id]);
    if (failure === undefined) all.removed[id] = "wiped";
    else {
      keep(id);
      all.failed[id] = `wipe failed: ${failure}`;
    }
  }
}

/** Why a device is not known to be erased, with the mend; undefined where it is. */
function erasureFailure(outcome: DeviceOutcome | undefined): string | undefined {
  if (outcome !== undefined && "applied" in outcome && outcome.applied.result === "removed") return undefined;
  const reason =
    outcome !== undefined && "failed" in outcome ? outcome.failed.replace(/^failed: /, "") : "it did not say so";
  return reason.includes(" - ") ? reason : `${reason} - run up again`;
}

function set(record: Record<string, string>, id: string, value: string | undefined): void {
  if (value !== undefined && value !== "") record[id] = value;
}

function sorted<T>(record: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
