/**
 * What stands against a ring taking a commit now, by what is known of the ring before, the freezes and the rules.
 * Decides nothing about commits that do not exist or lack overlays: those are never promoted.
 */

import type { Freeze } from "./freeze.ts";
import type { RingVerdict } from "./health.ts";
import { currentPeriod, type RingPeriod, soakedBefore } from "./history.ts";
import { formatDuration, type RolloutRules } from "./rules.ts";

/** What is known of the ring before. */
export interface RingBefore {
  readonly ring: string;
  readonly periods: readonly RingPeriod[];
  /** The wanted commit is what the ring runs, or an ancestor of it. */
  readonly contains: boolean;
  /** The commit that promoted the ring is where devices pull from; undefined where no remote is known. */
  readonly published: boolean | undefined;
  /** Undefined without a source of status. */
  readonly verdict: RingVerdict | undefined;
}

/** What a promotion is decided by. */
export interface PromotionFacts {
  readonly ring: string;
  /** Full SHA that the ring shall run. */
  readonly revision: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly rules: RolloutRules;
  /** Undefined: neither the fleet nor the ring is frozen. */
  readonly freeze: Freeze | undefined;
  /** Undefined for the first ring. */
  readonly before: RingBefore | undefined;
}

/** Something that stands against a promotion. */
export interface Refusal {
  readonly reason: "frozen" | "order" | "unpublished" | "soak" | "no-status" | "health";
  /** What, and what to do about it. */
  readonly message: string;
  /** True where `--force <reason>` overrides it. A freeze is lifted instead: that leaves a trace of its own. */
  readonly forceable: boolean;
}

/** Devices of an unhealthy ring that are named; `edge-fleet status` tells of all. */
const MAX_NAMED = 5;

/** Everything that stands against the promotion, empty when it may happen. */
export function classifyPromotion(facts: PromotionFacts): Refusal[] {
  const { before, freeze, ring } = facts;
  const refusals: Refusal[] = [];
  if (freeze !== undefined) {
    const why = freeze.reason === undefined ? "" : `: ${freeze.reason}`;
    refusals.push({
      reason: "frozen",
      message: `ring ${ring} is frozen since ${freeze.since}${why} - lift it with edge-fleet freeze --off`,
      forceable: false,
    });
  }
  if (before !== undefined) refusals.push(...classifyBefore(facts, before));
  return refusals;
}

function classifyBefore({ ring, revision, now, rules }: PromotionFacts, before: RingBefore): Refusal[] {
  const short = revision.slice(0, 12);
  const refuse = (reason: Refusal["reason"], message: string): Refusal => ({ reason, message, forceable: true });
  const running = currentPeriod(before.periods);
  if (running === undefined)
    return [refuse("order", `ring ${before.ring} comes before ${ring} and deploys nothing yet - promote it first`)];
  if (!before.contains) {
    const fix = `promote ${before.ring} to it first, or use --from ${before.ring}`;
    return [
      refuse(
        "order",
        `${short} is not part of ${running.revision.slice(0, 12)}, which ring ${before.ring} runs - ${fix}`,
      ),
    ];
  }
  const refusals: Refusal[] = [];
  if (before.published === false)
    refusals.push(
      refuse(
        "unpublished",
        `the promotion of ring ${before.ring} is on no remote branch, so no device runs it - push it`,
      ),
    );
  const soak = classifySoak(before, running, revision, rules, now);
  if (soak !== undefined) refusals.push(refuse("soak", soak(ring)));
  return [
    ...refusals,
    ...classifyHealth(before).map((message) => refuse(before.verdict ? "health" : "no-status", message)),
  ];
}

/**
 * Whether the commit has yet to soak. What the ring runs now counts from when its devices run it; without their answers its
 * promotion is the earliest that this can be, and so it is for a part of it that never ran alone. Of what it ran before and
 * left no device tells any more: the history of the ring stands for it.
 * @returns what stands against the promotion of a ring; undefined when it has soaked, or too few devices run it well, which
 *   is said elsewhere
 */
function classifySoak(
  { ring, periods, verdict }: RingBefore,
  running: RingPeriod,
  revision: string,
  { soakMs, minHealthyPercent }: RolloutRules,
  now: number,
): ((next: string) => string) | undefined {
  const [wanted, current] = [revision, running.revision].map((sha) => sha.slice(0, 12));
  const left = soakedBefore(periods, revision);
  if (left !== undefined && left >= soakMs) return undefined;
  const told = (soaked: number): string => `for ${formatDuration(soaked, "down")} of ${formatDuration(soakMs)}`;
  if (left !== undefined && revision !== running.revision)
    return (next) =>
      `ring ${ring} ran ${wanted} ${told(left)} and went on to ${current} - promote ${next} to that, or ${ring} to ${wanted} again`;
  const began = Math.max(running.since, verdict?.runningSince ?? running.since);
  if (now - began >= soakMs) return undefined;
  const where = began > running.since ? ` on ${minHealthyPercent}% of its devices` : "";
  return (next) =>
    `ring ${ring} has run ${current}${where} ${told(now - began)} - promote ${next} in ${formatDuration(soakMs - (now - began))}`;
}

function classifyHealth({ ring, verdict }: RingBefore): string[] {
  if (verdict === undefined)
    return [`the health of ring ${ring} is not known - use --kubeconfig <file> or --status <file>`];
  const named = nameUnwell(verdict.unwell);
  return verdict.reasons.map((reason, index) => {
    const why = index > 0 || named === "" ? reason : `${reason}: ${named}`;
    return `ring ${ring} is not healthy: ${why} - fix its devices or roll it back`;
  });
}

/** The first devices, each with the first reason that is told of it. */
function nameUnwell(unwell: RingVerdict["unwell"]): string {
  const named = unwell.slice(0, MAX_NAMED).map(({ id, verdict, problems: [problem] }) => {
    return problem === undefined ? `${id} ${verdict}` : `${id} ${verdict} (${problem})`;
  });
  const more = unwell.length - named.length;
  return `${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
