/**
 * One enrol run: connects to the candidates of a region, refuses clones, has the result confirmed, and writes the
 * inventory once, also when it is interrupted.
 */
import type { Inventory } from "../../components/inventory/index.ts";
import { type FileEdit, writeEnrolments } from "../inventory-edit/write.ts";
import { mapBounded } from "../parallel.ts";
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
}

/** Runs it. @throws Error when an inventory file cannot be written */
export async function runEnroll(run: EnrollRun): Promise<EnrollResult> {
  const connected = await connectAll(run);
  const outcomes = refuseDuplicates([...run.candidates.already, ...connected], run.inventory);
  if (enrolledOutcomes(outcomes).length === 0) return { outcomes, files: [] };
  if (!(await run.confirm(outcomes))) return { outcomes: outcomes.map(decline), files: [] };
  const edits = editsOf(run.candidates, outcomes);
  const conflicts = writeEnrolments(edits);
  const files = edits.filter(({ id }) => !conflicts.has(id)).map(({ file }) => file);
  return { outcomes: applyConflicts(outcomes, conflicts), files: [...new Set(files)] };
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
  return { id, state: "pending", reason: "interrupted", message: "not tried: interrupted", fingerprint: undefined };
}

/** A key that a person did not confirm is not pinned. */
function decline(outcome: Outcome): Outcome {
  if (outcome.state !== "enrolled") return outcome;
  const { id, fingerprint } = outcome;
  return { id, state: "pending", reason: "declined", message: "not pinned: declined", fingerprint };
}

function editsOf({ candidates }: Candidates, outcomes: readonly Outcome[]): FileEdit[] {
  const enrolments = new Map(enrolledOutcomes(outcomes).map(({ id, enrolment }) => [id, enrolment]));
  return candidates.flatMap(({ record: { entry, position } }) => {
    const enrolment = enrolments.get(entry.id);
    const before = { hostKey: entry.hostKey, identityKey: entry.identityKey };
    return enrolment === undefined ? [] : [{ id: entry.id, file: position.file, enrolment, before }];
  });
}

function applyConflicts(outcomes: readonly Outcome[], conflicts: ReadonlyMap<string, string>): Outcome[] {
  return outcomes.map((outcome) => {
    const message = conflicts.get(outcome.id);
    if (message === undefined) return outcome;
    return { id: outcome.id, state: "refused", reason: "inventory-changed", message, fingerprint: outcome.fingerprint };
  });
}
