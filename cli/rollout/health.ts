/**
 * Whether a ring is healthy: from what is known of each of its devices to a verdict with counts and reasons. Devices that
 * are not connected are left out, as a fleet at the edge always has some; what is not known of a connected device counts
 * against the ring, never for it.
 */

/** What is known of a device, as `edge-fleet status --json` prints it and `--status` reads it. */
export interface DeviceStatus {
  /** The device has a connection to what observes it. */
  readonly connected: boolean;
  /** It runs {@link revision} in full, and all of it is well. */
  readonly healthy: boolean;
  /** Full SHA of the commit that it runs; undefined when unknown. */
  readonly revision?: string | undefined;
  /** When this was so, in RFC 3339. */
  readonly observedAt: string;
  /** When the device itself was last heard of, in RFC 3339. Only then can one that fell silent with the promotion be told. */
  readonly lastSeenAt?: string | undefined;
}

/** What a ring is measured by. */
export interface HealthRules {
  /** Full SHA that the ring's devices should run. */
  readonly revision: string;
  /** When the ring was given that revision, in milliseconds since 1970. */
  readonly promotedAt: number;
  /** Healthy share of the connected devices, a whole number from 0 to 100. */
  readonly minHealthyPercent: number;
  /** Connected devices that may fail. */
  readonly maxFailures: number;
  /** Age from which a status says nothing any more, in milliseconds. */
  readonly maxAgeMs: number;
}

/**
 * What a device counts as:
 * - `healthy`: connected, fresh, of the ring's revision, and well;
 * - `failed`: the same, and not well;
 * - `behind`: connected and fresh, of another revision or of none;
 * - `stale`: connected when it was last observed, which is too long ago or in the future;
 * - `lost`: not connected, but it was when the ring was promoted, and it was never seen well on the ring's revision;
 * - `offline`: not connected;
 * - `unreported`: there is no status of it.
 */
export type DeviceVerdict = "healthy" | "failed" | "behind" | "stale" | "lost" | "offline" | "unreported";

/** The verdict on a ring. */
export interface RingVerdict {
  readonly healthy: boolean;
  readonly counts: Readonly<Record<DeviceVerdict, number>>;
  /** Devices that the share is of: all but those that are offline or unreported. */
  readonly judged: number;
  /** Why the ring is not healthy; empty when it is. */
  readonly reasons: readonly string[];
  /** Ids that are neither healthy nor offline nor unreported, in the order in which they were given. */
  readonly unwell: readonly string[];
}

/**
 * Judges a ring.
 * @param devices every device of the ring, once, with its status where there is one
 * @param rules what it is measured by
 * @param now milliseconds since 1970
 */
export function judgeRing(
  devices: readonly { readonly id: string; readonly status?: DeviceStatus | undefined }[],
  rules: HealthRules,
  now: number,
): RingVerdict {
  const counts = { healthy: 0, failed: 0, behind: 0, stale: 0, lost: 0, offline: 0, unreported: 0 };
  const unwell: string[] = [];
  for (const { id, status } of devices) {
    const verdict = judgeDevice(status, rules, now);
    counts[verdict] += 1;
    if (!["healthy", "offline", "unreported"].includes(verdict)) unwell.push(id);
  }
  const judged = devices.length - counts.offline - counts.unreported;
  const reasons = reasonsOf(counts, judged, devices.length, rules);
  return { healthy: reasons.length === 0, counts, judged, reasons, unwell };
}

/** What one device counts as. */
export function judgeDevice(
  status: DeviceStatus | undefined,
  rules: Pick<HealthRules, "revision" | "promotedAt" | "maxAgeMs">,
  now: number,
): DeviceVerdict {
  if (status === undefined) return "unreported";
  const onRevision = status.revision === rules.revision;
  if (!status.connected) {
    const lastSeen = status.lastSeenAt === undefined ? Number.NaN : Date.parse(status.lastSeenAt);
    return !(onRevision && status.healthy) && lastSeen >= rules.promotedAt - rules.maxAgeMs ? "lost" : "offline";
  }
  // Negated, so that a date that is none counts as stale.
  if (!(Math.abs(now - Date.parse(status.observedAt)) <= rules.maxAgeMs)) return "stale";
  if (!onRevision) return "behind";
  return status.healthy ? "healthy" : "failed";
}

function reasonsOf(
  counts: Readonly<Record<DeviceVerdict, number>>,
  judged: number,
  total: number,
  rules: HealthRules,
): string[] {
  if (total === 0) return ["it has no device, so it proves nothing"];
  if (judged === 0) {
    const unreported = counts.unreported > 0 ? `, ${counts.unreported} have no status at all` : "";
    return [`none of its ${total} device(s) is connected${unreported}`];
  }
  const reasons: string[] = [];
  // Whole numbers only: a share that is rounded would let 94.6 % pass for 95 %.
  if (counts.healthy === 0 || counts.healthy * 100 < rules.minHealthyPercent * judged) {
    const parts = (["failed", "behind", "stale", "lost"] as const).filter((part) => counts[part] > 0);
    const rest = parts.map((part) => `${counts[part]} ${part}`).join(", ");
    reasons.push(
      `${counts.healthy} of ${judged} connected device(s) are healthy on the revision (${rest}), rollout.minHealthy is ${rules.minHealthyPercent}%`,
    );
  }
  if (counts.failed > rules.maxFailures)
    reasons.push(`${counts.failed} connected device(s) fail, rollout.maxFailures is ${rules.maxFailures}`);
  return reasons;
}
