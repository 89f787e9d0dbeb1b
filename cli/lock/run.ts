/**
 * One lock run: resolves everything that the fleet uses, a few requests at a time, and decides about each entry. An entry
 * that is locked already stays as it is where nobody answers: the lock keeps working without a network.
 */

import { TransientError } from "../../components/artifacts/http.ts";
import { mapBounded } from "../parallel.ts";
import { Progress } from "../terminal.ts";
import type { UsedArtifact } from "./artifact.ts";
import { decide, type LockDecision, type LockPolicy } from "./decide.ts";
import { type ResolveContext, type ResolvedEntry, resolveUsed } from "./resolve.ts";
import { keyConflict } from "./sources/signature.ts";

/** Requests at a time. */
const PARALLEL = 4;

/** What came of it. */
export interface LockResult {
  readonly decisions: readonly LockDecision[];
  /** One message per file that could not be resolved. */
  readonly failures: readonly string[];
  /** One message per locked file that could not be compared with its release. */
  readonly warnings: readonly string[];
}

/**
 * Runs it. Never rejects for what a server does.
 * @param more what is used beside, which follows from what was decided; it is asked for when nothing has failed. Default: nothing
 */
export async function runLock(
  used: readonly UsedArtifact[],
  policy: LockPolicy,
  context: ResolveContext,
  more: (decisions: readonly LockDecision[]) => readonly UsedArtifact[] = () => [],
): Promise<LockResult> {
  const first = await resolveAll(used, policy, context);
  const failed = first.failures.length > 0 || first.decisions.some(({ state }) => state === "refused");
  const second = failed ? [] : more(first.decisions);
  const { decisions, failures, warnings } = await resolveAll(second, policy, context);
  return {
    decisions: [...first.decisions, ...decisions],
    failures: [...first.failures, ...failures],
    warnings: [...first.warnings, ...warnings],
  };
}

async function resolveAll(
  used: readonly UsedArtifact[],
  policy: LockPolicy,
  context: ResolveContext,
): Promise<LockResult> {
  const progress = new Progress("lock", used.length);
  const resolve = async (artifact: UsedArtifact): Promise<ResolvedEntry | Error> => {
    try {
      return await resolveUsed(artifact, context);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    } finally {
      progress.advance();
    }
  };
  const results = await mapBounded(used, PARALLEL, async (artifact) => ({ artifact, found: await resolve(artifact) }));
  progress.end();
  const decisions: LockDecision[] = [];
  const failures: string[] = [];
  const warnings: string[] = [];
  for (const { artifact, found } of results) {
    const { field, locked } = artifact;
    if (!(found instanceof Error)) decisions.push(decide(artifact, found, policy));
    else if (locked === undefined || !(found instanceof TransientError)) failures.push(`${field}: ${found.message}`);
    else {
      decisions.push({ used: artifact, resolved: locked, state: "kept", rest: { scalars: [] } });
      warnings.push(`${field}: kept as locked, not compared - ${found.message}`);
    }
  }
  const conflict = keyConflict(decisions.map(({ used, rest }) => ({ field: used.field, scalars: rest.scalars })));
  if (conflict !== undefined) failures.push(conflict);
  return { decisions, failures, warnings };
}
