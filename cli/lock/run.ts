/**
 * One lock run: resolves everything that the fleet uses, a few requests at a time, and decides about each entry.
 */
import type { ArtifactFile } from "../../components/inventory/index.ts";
import { mapBounded } from "../parallel.ts";
import { Progress } from "../terminal.ts";
import { decide, type LockDecision, type LockPolicy } from "./decide.ts";
import type { HttpBounds } from "./http.ts";
import type { UsedArtifact } from "./plan.ts";
import { resolveUsed } from "./resolve.ts";

/** Requests at a time. */
const PARALLEL = 4;

/** What came of it. */
export interface LockResult {
  readonly decisions: readonly LockDecision[];
  /** One message per file that could not be resolved. */
  readonly failures: readonly string[];
}

/** Runs it. Never rejects for what a server does. */
export async function runLock(
  used: readonly UsedArtifact[],
  policy: LockPolicy,
  bounds?: HttpBounds,
): Promise<LockResult> {
  const progress = new Progress("lock", used.length);
  const resolve = async (artifact: UsedArtifact): Promise<ArtifactFile | Error> => {
    try {
      return await resolveUsed(artifact, bounds);
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
  for (const { artifact, found } of results) {
    if (found instanceof Error) failures.push(`${artifact.field}: ${found.message}`);
    else decisions.push(decide(artifact, found, policy));
  }
  return { decisions, failures };
}
