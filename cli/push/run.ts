/**
 * One push run over a region: selects the devices that are delivered by push, makes sure of each artifact once on the
 * controller, and sends it to the devices, a bounded number at a time.
 */
import { type ResolvedArtifact, resolveArtifact } from "../../components/device/artifact.ts";
import { type Inventory, type Profile, resolveRegion } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { mapBounded } from "../parallel.ts";
import { requireRegion } from "../require.ts";
import { Progress } from "../terminal.ts";
import { type CachedArtifact, cachedArtifact } from "./cache.ts";
import type { PushOutcome } from "./outcome.ts";
import { sendArtifact } from "./send.ts";

/** A device and what it needs. */
export interface PushTarget {
  readonly profile: Profile;
  readonly artifact: ResolvedArtifact;
}

/** How a run is bounded. */
export interface PushRun {
  readonly region: string;
  readonly targets: readonly PushTarget[];
  /** The controller's cache folder. */
  readonly cache: string;
  /** Transfers at a time. */
  readonly parallel: number;
  /** Milliseconds of silence that end a transfer. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

/**
 * Devices of a region whose artifacts are pushed.
 * @param ids only these; empty: all with `artifacts.delivery: push`
 * @throws UsageError when the region or a named device does not exist, or a named device fetches
 */
export function selectTargets(inventory: Inventory, region: string, ids: readonly string[]): PushTarget[] {
  requireRegion(inventory, region);
  const profiles = resolveRegion(inventory, region);
  for (const id of ids) {
    const profile = profiles.find((candidate) => candidate.id === id);
    if (profile === undefined) throw new UsageError(`${id}: no such device in region ${region} - mend the id`);
    if (profile.artifacts.delivery !== "push")
      throw new UsageError(`${id}: artifacts.delivery is fetch - set it to push, or leave the device to fetch`);
  }
  return profiles
    .filter(({ id, artifacts }) => artifacts.delivery === "push" && (ids.length === 0 || ids.includes(id)))
    .map((profile) => ({ profile, artifact: resolveArtifact(profile, inventory.artifacts) }));
}

/** Runs it. Never rejects for what a device or a download does. */
export async function runPush(run: PushRun): Promise<PushOutcome[]> {
  const progress = new Progress(`push ${run.region}`, run.targets.length);
  const cached = new Map<string, Promise<CachedArtifact | Error>>();
  const fetched = ({ artifact }: PushTarget): Promise<CachedArtifact | Error> => {
    const present =
      cached.get(artifact.sha256) ??
      cachedArtifact(run.cache, artifact).catch((error: unknown) =>
        error instanceof Error ? error : new Error(String(error)),
      );
    cached.set(artifact.sha256, present);
    return present;
  };
  const work = async (target: PushTarget): Promise<PushOutcome> => {
    const outcome = await pushOne(target, await fetched(target), run);
    progress.advance();
    return outcome;
  };
  const outcomes = await mapBounded(run.targets, run.parallel, work, run.signal);
  progress.end();
  const begun = new Set(outcomes.map(({ id }) => id));
  const skipped = run.targets.filter(({ profile }) => !begun.has(profile.id));
  return [...outcomes, ...skipped.map(({ profile }) => interrupted(profile.id))];
}

function pushOne({ profile }: PushTarget, artifact: CachedArtifact | Error, run: PushRun): Promise<PushOutcome> {
  if (!(artifact instanceof Error)) return sendArtifact(profile, artifact, { idleMs: run.idleMs, signal: run.signal });
  return Promise.resolve({
    id: profile.id,
    state: "failed",
    sentBytes: 0,
    reason: "artifact",
    message: artifact.message,
  });
}

function interrupted(id: string): PushOutcome {
  return { id, state: "pending", sentBytes: 0, reason: "interrupted", message: "not tried: interrupted" };
}
