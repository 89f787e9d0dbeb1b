/**
 * One push run over a region: selects the devices that have something to be pushed, makes sure of each artifact once on
 * the controller, and sends each device what it lacks over one connection, a bounded number of devices at a time.
 */

import { type Inventory, type Profile, resolveRegion } from "../../components/inventory/index.ts";
import { type ResolvedArtifact, resolveArtifacts } from "../../components/plan/artifact.ts";
import { UsageError } from "../exit.ts";
import { mapBounded } from "../parallel.ts";
import { requireRegion } from "../require.ts";
import { Progress } from "../terminal.ts";
import { besideArtifact, type CachedArtifact, cachedArtifact } from "../../components/artifacts/cache.ts";
import { type PushOutcome, unsent } from "./outcome.ts";
import { type SendItem, sendArtifacts } from "./send.ts";

/** A device and what it needs. */
export interface PushTarget {
  readonly profile: Profile;
  /** At least one; those of `delivery: push`. */
  readonly artifacts: readonly ResolvedArtifact[];
}

/** How a run is bounded. */
export interface PushRun {
  readonly region: string;
  /** The inventory's folder, which holds what is locked by path. */
  readonly directory: string;
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
 * Devices of a region to which something is pushed: everything with `artifacts.delivery: push`, else the assertions that
 * only lie beside the lock file.
 * @param ids only these; empty: all
 * @throws UsageError when the region or a named device does not exist, or a named device fetches all it needs
 * @throws Error where the lock file lacks something, see {@link resolveArtifacts}
 */
export function selectTargets(inventory: Inventory, region: string, ids: readonly string[]): PushTarget[] {
  requireRegion(inventory, region);
  const profiles = resolveRegion(inventory, region);
  const unknown = ids.find((id) => !profiles.some((profile) => profile.id === id));
  if (unknown !== undefined) throw new UsageError(`${unknown}: no such device in region ${region} - mend the id`);
  const targets = profiles
    .filter(({ id }) => ids.length === 0 || ids.includes(id))
    .filter(({ artifacts, distribution }) => artifacts.delivery === "push" || distribution === "microk8s")
    .map((profile) => ({
      profile,
      artifacts: resolveArtifacts(profile, inventory.artifacts).filter(({ delivery }) => delivery === "push"),
    }))
    .filter(({ artifacts }) => artifacts.length > 0);
  const idle = ids.find((id) => !targets.some(({ profile }) => profile.id === id));
  if (idle !== undefined)
    throw new UsageError(`${idle}: artifacts.delivery is fetch - set it to push, or leave the device to fetch`);
  return targets;
}

/** Runs it. Never rejects for what a device or a download does. */
export async function runPush(run: PushRun): Promise<PushOutcome[]> {
  const progress = new Progress(`push ${run.region}`, run.targets.length);
  const cached = new Map<string, Promise<CachedArtifact | Error>>();
  const fetched = (artifact: ResolvedArtifact): Promise<CachedArtifact | Error> => {
    const found = cached.get(artifact.sha256) ?? obtain(artifact, run).catch(errorOf);
    cached.set(artifact.sha256, found);
    return found;
  };
  const work = async ({ profile, artifacts }: PushTarget): Promise<PushOutcome> => {
    const files = await Promise.all(artifacts.map(fetched));
    const outcome = await pushOne(profile, artifacts, files, run);
    progress.advance();
    return outcome;
  };
  const outcomes = await mapBounded(run.targets, run.parallel, work, run.signal);
  progress.end();
  const begun = new Set(outcomes.map(({ id }) => id));
  const skipped = run.targets.filter(({ profile }) => !begun.has(profile.id));
  return [
    ...outcomes,
    ...skipped.map(({ profile }) => unsent(profile.id, "pending", "interrupted", "not tried: interrupted")),
  ];
}

function obtain(artifact: ResolvedArtifact, { cache, directory }: PushRun): Promise<CachedArtifact> {
  return artifact.local ? besideArtifact(directory, artifact) : cachedArtifact(cache, artifact);
}

function pushOne(
  profile: Profile,
  artifacts: readonly ResolvedArtifact[],
  files: readonly (CachedArtifact | Error)[],
  run: PushRun,
): Promise<PushOutcome> {
  const items: SendItem[] = [];
  for (const [index, { name, kind, installPath }] of artifacts.entries()) {
    const file = files[index];
    if (file instanceof Error) return Promise.resolve(unsent(profile.id, "failed", "artifact", file.message));
    if (file !== undefined) items.push({ ...file, name, installPath: kind === "shim" ? undefined : installPath });
  }
  return sendArtifacts(profile, items, { idleMs: run.idleMs, signal: run.signal });
}

function errorOf(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
