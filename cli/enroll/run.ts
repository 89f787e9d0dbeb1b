/**
 * One enroll run: connects to the candidates of a region, refuses clones, has the result confirmed, and writes the
 * region's lock once, also when it is interrupted.
 */
import type { Inventory, RegionLock } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { editRegionLock, type Pin } from "../inventory-edit/lock.ts";
import { rewriteFile } from "../inventory-edit/write.ts";
import { mapBounded } from "../parallel.ts";
import { requireRegion } from "../require.ts";
import { withSsh } from "../ssh/run.ts";
import { Progress } from "../terminal.ts";
import type { Candidates } from "./candidates.ts";
import { enrollDevice } from "./connect.ts";
import { refuseDuplicates } from "./duplicates.ts";
import type { Outcome } from "./outcome.ts";
import { enrolledOutcomes } from "./report.ts";

/** How a run is bounded and confirmed. */
export interface EnrollRun {
  readonly inventory: Inventory;
  readonly region: string;
  readonly candidates: Candidates;
  /** Connections at a time. */
  readonly parallel: number;
  /** Milliseconds per device. */
  readonly timeoutMs: number;
  /** Ends the connecting; what is done so far is still written. */
  readonly signal: AbortSignal;
  /** Asked before anything is written. */
  readonly confirm: (outcomes: readonly Outcome[]) => Promise<boolean>;
}

/** What a run came to. */
export interface EnrollResult {
  readonly outcomes: readonly Outcome[];
  /** Files that were written. */
  readonly files: readonly string[];
  /** Ids that the lock had and the inventory has no longer: their entries went. */
  readonly dropped: readonly string[];
}

/**
 * Runs it.
 * @throws UsageError when nobody confirms
 * @throws Error when the lock cannot be written
 */
export async function runEnroll(run: EnrollRun): Promise<EnrollResult> {
  const { lock } = requireRegion(run.inventory, run.region);
  const connected = await connectAll(run);
  const outcomes = refuseDuplicates([...run.candidates.already, ...connected], run.inventory);
  const pins = pinsOf(run.candidates, outcomes, lock);
  const dropped = goneDevices(run.inventory, lock);
  if (pins.length === 0 && dropped.length === 0) return { outcomes, files: [], dropped };
  if (pins.length > 0 && !(await run.confirm(outcomes))) throw new UsageError("not confirmed - nothing was pinned");
  let conflicts: ReadonlyMap<string, string> = new Map();
  rewriteFile(lock.file, (text) => {
    const edited = editRegionLock({ file: lock.file, region: run.region }, text, pins, dropped);
    conflicts = edited.conflicts;
    return edited.text;
  });
  const wrote = pins.some(({ id }) => !conflicts.has(id)) || dropped.length > 0;
  return { outcomes: applyConflicts(outcomes, conflicts), files: wrote ? [lock.file] : [], dropped };
}

/** A device that is of another region now keeps its entry: only a person knows which of the two is right. */
function goneDevices({ regions }: Inventory, lock: RegionLock): string[] {
  const known = new Set([...regions.values()].flatMap(({ devices }) => devices.map(({ entry }) => entry.id)));
  return Object.keys(lock.devices).filter((id) => !known.has(id));
}

async function connectAll(run: EnrollRun): Promise<Outcome[]> {
  const { candidates } = run.candidates;
  const progress = new Progress(`enroll ${run.region}`, candidates.length);
  const outcomes = await withSsh((connect) => {
    const work = async (candidate: (typeof candidates)[number]): Promise<Outcome> => {
      const outcome = await enrollDevice(connect, candidate, { timeoutMs: run.timeoutMs, signal: run.signal });
      progress.advance();
      return outcome;
    };
    return mapBounded(candidates, run.parallel, work, run.signal);
  });
  progress.end();
  const begun = new Set(outcomes.map(({ id }) => id));
  const skipped = candidates.filter(({ record }) => !begun.has(record.entry.id));
  return [...outcomes, ...skipped.map(({ record }) => interrupted(record.entry.id))];
}

function interrupted(id: string): Outcome {
  return { id, state: "pending", code: "interrupted", reason: "not tried: interrupted", fingerprint: undefined };
}

function pinsOf({ candidates }: Candidates, outcomes: readonly Outcome[], lock: RegionLock): Pin[] {
  const enrollments = new Map(enrolledOutcomes(outcomes).map(({ id, enrollment }) => [id, enrollment]));
  return candidates.flatMap(({ record: { entry } }) => {
    const pinned = enrollments.get(entry.id);
    return pinned === undefined ? [] : [{ id: entry.id, pinned, before: lock.devices[entry.id] }];
  });
}

function applyConflicts(outcomes: readonly Outcome[], conflicts: ReadonlyMap<string, string>): Outcome[] {
  return outcomes.map((outcome) => {
    const reason = conflicts.get(outcome.id);
    if (reason === undefined) return outcome;
    return { id: outcome.id, state: "failed", code: "lock-changed", reason, fingerprint: outcome.fingerprint };
  });
}
