/**
 * What a run registers for each device of a region. Every device of the inventory is, in every run, whatever became of
 * it: one that were not would count as gone. Pure.
 */

import type { DeviceOutcome } from "../device/result.ts";
import { notEnrolled } from "../device/result.ts";
import { DIAL_ENVIRONMENT, type DialledDevice, nextAttempt } from "../device/state.ts";
import type { Profile } from "../inventory/index.ts";
import { type DevicePlan, isRefusal, type Refusal } from "../plan/device.ts";

/** One device in one run. */
export interface DeviceRun {
  readonly id: string;
  readonly profile: Profile;
  /** What is wanted of it; undefined where no plan could be made. */
  readonly plan: DevicePlan | undefined;
  /** How the last run left it; undefined for a new one. */
  readonly previous: DialledDevice | undefined;
  /** What is registered; undefined for a new device without a plan. */
  readonly dial: DeviceDial | undefined;
  /** What becomes of it without a dial. Undefined: the dial says. */
  readonly held: Omit<DeviceOutcome, "release"> | undefined;
}

/** What is registered of a device. */
export interface DeviceDial {
  readonly text: string;
  readonly secretFiles: string;
  readonly attempt: string;
  /** Another one than in the state, so that the engine runs it. */
  readonly changed: boolean;
}

/** What runs are planned from. */
export interface RegionRunInput {
  readonly region: string;
  /** Every device of the region. */
  readonly profiles: readonly Profile[];
  /** A plan, or why there is none, for each of them. */
  readonly plans: readonly (DevicePlan | Refusal)[];
  /** Every device of the fleet: one of another region may have the address of one that is removed. */
  readonly fleet: readonly Profile[];
  /** Devices in the state, by id. */
  readonly previous: ReadonlyMap<string, DialledDevice>;
}

/**
 * Plans a run, in id order.
 * @throws Error when a device that is in the state is no longer in the inventory, and was not removed before
 */
export function planRuns({ region, profiles, plans, fleet, previous }: RegionRunInput): DeviceRun[] {
  refuseVanished(region, profiles, previous);
  const byId = new Map(profiles.map((profile) => [profile.id, profile]));
  return plans.flatMap((plan) => {
    const profile = byId.get(plan.id);
    return profile === undefined ? [] : [planRun(profile, plan, previous.get(plan.id), fleet)];
  });
}

function planRun(
  profile: Profile,
  planned: DevicePlan | Refusal,
  previous: DialledDevice | undefined,
  fleet: readonly Profile[],
): DeviceRun {
  const { id } = profile;
  if (isRefusal(planned)) {
    const held = { state: "failed", code: "refused", reason: planned.refused } as const;
    return { id, profile, plan: undefined, previous, dial: previous && unchanged(previous), held };
  }
  const held = obstacle(profile, previous, fleet);
  const { text, secretFiles } = planned;
  const attempt = held === undefined ? nextAttempt(previous) : (previous?.environment[DIAL_ENVIRONMENT.attempt] ?? "1");
  const changed =
    previous === undefined ||
    text !== previous.text ||
    attempt !== previous.environment[DIAL_ENVIRONMENT.attempt] ||
    secretFiles !== (previous.environment[DIAL_ENVIRONMENT.secrets] ?? "");
  return { id, profile, plan: planned, previous, dial: { text, secretFiles, attempt, changed }, held };
}

/** A device without a plan stays in the state as it is. */
function unchanged({ text, environment }: DialledDevice): DeviceDial {
  const secretFiles = environment[DIAL_ENVIRONMENT.secrets] ?? "";
  return { text, secretFiles, attempt: environment[DIAL_ENVIRONMENT.attempt] ?? "", changed: false };
}

/** Why a device is not dialled though there is a plan. */
function obstacle(
  { id, region, host, ssh, hostKey, state, decommission }: Profile,
  previous: DialledDevice | undefined,
  fleet: readonly Profile[],
): DeviceRun["held"] {
  if (state === "removed") {
    if (decommission === "retain" || previous?.outcome?.state === "removed") return undefined;
    const place = placeOf({ host, ssh });
    const heir = fleet.find((other) => other.id !== id && other.state === "present" && placeOf(other) === place);
    if (heir !== undefined)
      return {
        state: "failed",
        code: "address",
        reason: `${heir.id} has its address now, so it is not wiped - write decommission: retain, or its own host`,
      };
  }
  return hostKey === undefined ? notEnrolled(region) : undefined;
}

function placeOf({ host, ssh }: Pick<Profile, "host" | "ssh">): string {
  const behind = ssh.proxy === undefined ? "" : ` behind ${ssh.proxy.host}:${ssh.proxy.port}`;
  return `${host}:${ssh.port}${behind}`.toLowerCase();
}

/** Most devices that a message names. */
const NAMED = 20;

function refuseVanished(
  region: string,
  profiles: readonly Profile[],
  previous: ReadonlyMap<string, DialledDevice>,
): void {
  const present = new Set(profiles.map(({ id }) => id));
  const gone = [...previous.values()]
    .filter(({ id, outcome }) => !present.has(id) && outcome?.state !== "removed")
    .map(({ id }) => id)
    .sort();
  if (gone.length === 0) return;
  const named = gone.slice(0, NAMED).join(", ") + (gone.length > NAMED ? ` and ${gone.length - NAMED} more` : "");
  const [them, are, entries] = gone.length === 1 ? ["it", "is", "entry"] : ["them", "are", "entries"];
  throw new Error(
    `${named}: ${are} in the stack ${region} and no longer in its inventory - put ${them} back; to let ${them} go, write state: removed ` +
      `and run up, then delete the ${entries}`,
  );
}
