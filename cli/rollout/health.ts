/**
 * Whether a ring is healthy, with counts and reasons, by what is known of each of its devices. Every device of the ring
 * counts. One that does not answer is unknown: never healthy, and never left out of the share.
 */

/** What is known of a device, as `edge-fleet status --json` prints it and `--status` reads it. */
export interface DeviceStatus {
  /** The device answered, or has a connection to what observes it. */
  readonly connected: boolean;
  /** It runs {@link revision} in full, and all of it is well. */
  readonly healthy: boolean;
  /** Full SHA of the commit that it runs; undefined when unknown. */
  readonly revision?: string | undefined;
  /**
   * Since when it runs that and is as well as it is, in RFC 3339; undefined when unknown: then only since
   * {@link observedAt}.
   */
  readonly since?: string | undefined;
  /** When this was so, in RFC 3339. */
  readonly observedAt: string;
  /** When the device itself was last heard of, in RFC 3339. Only then can one that went silent with the promotion be told. */
  readonly lastSeenAt?: string | undefined;
  /** Release of its distribution, as it says itself. Absent: it was not asked. */
  readonly release?: string | undefined;
  /** What is not well on it, or why it did not answer, a plain line each. Absent: nothing is told. */
  readonly problems?: readonly string[] | undefined;
}

/** What a ring is measured by. */
export interface HealthRules {
  /** Full SHA that the ring's devices should run. */
  readonly revision: string;
  /** When the ring was given that revision, in milliseconds since 1970. */
  readonly promotedAt: number;
  /** Healthy share of all devices, a whole number from 0 to 100. */
  readonly minHealthyPercent: number;
  /** Healthy share of the devices of each model, a whole number from 0 to 100; 0 asks for none. */
  readonly minHealthyPerModelPercent: number;
  /** Devices that may be failed or lost. */
  readonly maxFailures: number;
  /** Age from which a status says nothing any more, in milliseconds. */
  readonly maxAgeMs: number;
}

/**
 * What a device counts as:
 * - `healthy`: it answered lately, runs the ring's revision, and is well;
 * - `failed`: the same, and not well;
 * - `behind`: it answered lately, and runs another revision or none;
 * - `lost`: it does not answer any more; it did when the ring was promoted, and never ran the revision well as far as is known;
 * - `unknown`: there is no answer of it, or only one that is too old or dated in the future.
 */
export type DeviceVerdict = "healthy" | "failed" | "behind" | "lost" | "unknown";

/** A device of a ring. */
export interface RingDevice {
  readonly id: string;
  readonly model: string;
  /** Undefined: nothing is known of it. */
  readonly status?: DeviceStatus | undefined;
}

/** A device of a ring that is not healthy. */
export interface UnwellDevice {
  readonly id: string;
  readonly verdict: Exclude<DeviceVerdict, "healthy">;
  /** What is not well on it, or why it did not answer, as far as that is told. */
  readonly problems: readonly string[];
}

/** The verdict on a ring. */
export interface RingVerdict {
  readonly healthy: boolean;
  readonly counts: Readonly<Record<DeviceVerdict, number>>;
  /** Devices that the share is of: all. */
  readonly total: number;
  /** Why the ring is not healthy; empty when it is. */
  readonly reasons: readonly string[];
  /** The devices that are not healthy: failed ones first, then lost ones, those behind and those that are unknown. */
  readonly unwell: readonly UnwellDevice[];
  /** Since when the share that is asked for has run the revision, in milliseconds since 1970; `null`: fewer run it well. */
  readonly runningSince: number | null;
}

/** The verdicts that are not healthy, the worst first. */
const UNWELL = ["failed", "lost", "behind", "unknown"] as const;
const NONE: Readonly<Record<DeviceVerdict, number>> = { healthy: 0, failed: 0, behind: 0, lost: 0, unknown: 0 };

/**
 * Classifies a ring.
 * @param devices every device of the ring that deploys something, once, with its status where there is one
 * @param rules what it is measured by
 * @param now milliseconds since 1970
 */
export function classifyRing(devices: readonly RingDevice[], rules: HealthRules, now: number): RingVerdict {
  const classified = devices.map((device) => ({ ...device, verdict: classifyDevice(device.status, rules, now) }));
  const counts = { ...NONE };
  for (const { verdict } of classified) counts[verdict] += 1;
  const models = [...Map.groupBy(classified, ({ model }) => model)].map(([model, list]) => ({
    model,
    healthy: list.filter(({ verdict }) => verdict === "healthy").length,
    total: list.length,
  }));
  const reasons = [...ringReasons(counts, devices.length, rules), ...modelReasons(models, rules)];
  return {
    healthy: reasons.length === 0,
    counts,
    total: devices.length,
    reasons,
    unwell: UNWELL.flatMap((verdict) =>
      classified
        .filter((device) => device.verdict === verdict)
        .map(({ id, status }) => ({ id, verdict, problems: status?.problems ?? [] })),
    ),
    runningSince: runningSince(
      classified.flatMap(({ verdict, status }) => (verdict === "healthy" && status !== undefined ? [status] : [])),
      neededOf(devices.length, rules.minHealthyPercent),
      rules.promotedAt,
    ),
  };
}

/** What one device counts as. */
export function classifyDevice(
  status: DeviceStatus | undefined,
  rules: Pick<HealthRules, "revision" | "promotedAt" | "maxAgeMs">,
  now: number,
): DeviceVerdict {
  if (status === undefined) return "unknown";
  const onRevision = status.revision === rules.revision;
  const well = onRevision && status.healthy;
  const lastSeen = Date.parse(status.lastSeenAt ?? "");
  if (!status.connected) return !well && lastSeen >= rules.promotedAt - rules.maxAgeMs ? "lost" : "unknown";
  // Negated, so that a date that is none counts as old.
  if (!(Math.abs(now - Date.parse(status.observedAt)) <= rules.maxAgeMs))
    return onRevision && !status.healthy ? "lost" : "unknown";
  if (!onRevision) return "behind";
  return status.healthy ? "healthy" : "failed";
}

/** Devices that a share asks for: whole ones, and one at least. A share that is rounded down would let 94.6 % pass for 95 %. */
function neededOf(total: number, percent: number): number {
  return Math.max(1, Math.ceil((total * percent) / 100));
}

function ringReasons(counts: Readonly<Record<DeviceVerdict, number>>, total: number, rules: HealthRules): string[] {
  if (total === 0) return ["it has no device, so it proves nothing"];
  const reasons: string[] = [];
  if (counts.healthy < neededOf(total, rules.minHealthyPercent))
    reasons.push(
      `${counts.healthy} of ${total} device(s) are healthy on the revision (${describeRest(counts)}), rollout.minHealthy is ${rules.minHealthyPercent}%`,
    );
  const failures = counts.failed + counts.lost;
  if (failures > rules.maxFailures)
    reasons.push(`${failures} device(s) fail or were lost with it, rollout.maxFailures is ${rules.maxFailures}`);
  return reasons;
}

/** The counts of those that are not healthy, e.g. `2 failed, 1 unknown`. */
export function describeRest(counts: Readonly<Record<DeviceVerdict, number>>): string {
  const parts = UNWELL.filter((part) => counts[part] > 0);
  return parts.map((part) => `${counts[part]} ${part}`).join(", ");
}

function modelReasons(
  models: readonly { readonly model: string; readonly healthy: number; readonly total: number }[],
  { minHealthyPerModelPercent }: HealthRules,
): string[] {
  return models
    .filter(({ healthy, total }) => healthy < Math.ceil((total * minHealthyPerModelPercent) / 100))
    .map(
      ({ model, healthy, total }) =>
        `${healthy} of ${total} device(s) of model ${model} are healthy on the revision, rollout.minHealthyPerModel is ${minHealthyPerModelPercent}%`,
    );
}

/** A device counts from when it runs the revision, and never from before the ring was given it. */
function runningSince(healthy: readonly DeviceStatus[], needed: number, promotedAt: number): number | null {
  const times = healthy.map(({ since = "", observedAt }) => {
    const at = Date.parse(since);
    return Math.max(Number.isNaN(at) ? Date.parse(observedAt) : at, promotedAt);
  });
  return times.sort((a, b) => a - b)[needed - 1] ?? null;
}
