/** One line per ring: commit, soak, freeze and verdict. */
import { devicesIn, type RingState, type RolloutContext, readFreezes, readRing } from "../rollout/context.ts";
import { classifyState } from "../rollout/decide.ts";
import { type Freeze, type Freezes, freezeOf } from "../rollout/freeze.ts";
import type { RingVerdict } from "../rollout/health.ts";
import type { DeviceStatuses } from "../rollout/status.ts";

/** A ring of a report. */
export interface RingRow {
  readonly ring: string;
  /** Full SHA; `null`: it deploys nothing. */
  readonly revision: string | null;
  /** RFC 3339. */
  readonly since: string | null;
  /** Until the next ring may take it, in milliseconds. */
  readonly soakLeftMs: number | null;
  readonly devices: number;
  readonly frozen: Freeze | null;
  /** `null`: nobody was asked. */
  readonly health: RingVerdict | null;
}

/** By what rings are judged. */
export interface RingQuestion {
  /** Undefined: nobody was asked. */
  readonly statuses: DeviceStatuses | undefined;
  /** Age from which a status says nothing any more, in milliseconds. */
  readonly maxAgeMs: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Reads every ring, in the order of the rollout. */
export async function ringRows(context: RolloutContext, question: RingQuestion): Promise<RingRow[]> {
  const freezes = await readFreezes(context);
  const rows: RingRow[] = [];
  for (const ring of context.rings) rows.push(rowOf(context, await readRing(context, ring), freezes, question));
  return rows;
}

/**
 * The ring that may be promoted next: the first one, where it runs nothing; else one that runs another commit than the ring
 * before it, where that one has soaked and is not known to be unwell.
 * @returns undefined where there is none
 */
export function nextPromotion(rows: readonly RingRow[]): string | undefined {
  const ready = rows.find(({ revision, frozen }, index) => {
    if (frozen !== null) return false;
    const before = rows[index - 1];
    if (before === undefined) return revision === null;
    const well = before.soakLeftMs === 0 && before.health?.healthy !== false;
    return before.revision !== null && before.revision !== revision && well;
  });
  return ready?.ring;
}

function rowOf(context: RolloutContext, state: RingState, freezes: Freezes, question: RingQuestion): RingRow {
  const { ring, current } = state;
  const health = classifyState(context, state, question);
  return {
    ring,
    revision: current?.revision ?? null,
    since: current === undefined ? null : new Date(current.since).toISOString(),
    soakLeftMs: current === undefined ? null : soakLeft(current.since, health, context.rules.soakMs, question.now),
    devices: devicesIn(context, ring).length,
    frozen: freezeOf(freezes, ring) ?? null,
    health: health ?? null,
  };
}

/** From when its devices run it; as long as too few do, all of it. Where nobody was asked, from its promotion at best. */
function soakLeft(promotedAt: number, health: RingVerdict | undefined, soakMs: number, now: number): number {
  const began = health === undefined ? promotedAt : (health.runningSince ?? now);
  return Math.min(soakMs, Math.max(0, soakMs - (now - began)));
}
