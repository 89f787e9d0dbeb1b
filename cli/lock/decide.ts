/**
 * Decides what happens to each entry of the lock file, by what is used, what is locked and what the release has now.
 * Pure.
 */
import type { ArtifactFile } from "../../components/inventory/index.ts";
import type { UsedArtifact } from "./artifact.ts";
import type { ResolvedEntry } from "./resolve.ts";

/** What the user allows. */
export interface LockPolicy {
  /** Hashes may be replaced by others. */
  readonly acceptChanged: boolean;
  /** Replace the URL of an entry whose hash is the same. True for a project whose base was given on the command line. */
  readonly moveUrl: (used: UsedArtifact) => boolean;
}

/** A decision. `refused` keeps anything from being written. */
export interface LockDecision {
  readonly used: UsedArtifact;
  readonly resolved: ArtifactFile;
  readonly state: "added" | "kept" | "moved" | "changed" | "refused";
  /** What else is written with the entry. */
  readonly rest: Pick<ResolvedEntry, "scalars" | "beside" | "note">;
}

/** Decides about one entry. A locked entry whose hash still holds keeps its URL and size. */
export function decide(used: UsedArtifact, entry: ResolvedEntry, policy: LockPolicy): LockDecision {
  const { locked } = used;
  const { file: resolved, ...rest } = entry;
  const decision = (state: LockDecision["state"]): LockDecision => ({ used, resolved, state, rest });
  if (locked === undefined) return decision(used.replaces === undefined ? "added" : "changed");
  if (locked.sha256 !== resolved.sha256) return decision(policy.acceptChanged ? "changed" : "refused");
  return decision(policy.moveUrl(used) && locked.url !== resolved.url ? "moved" : "kept");
}

/** What the lock file is to say after the decision. */
export function entryAfter({ used, resolved, state }: LockDecision): ArtifactFile {
  return state === "kept" || state === "refused" ? (used.locked ?? resolved) : resolved;
}

/** Why a decision is a refusal. */
export function refusalMessage(file: string, { used, resolved }: LockDecision): string {
  return (
    `${file} ${used.field}: locked is ${used.locked?.sha256}, but ${resolved.url} now is ${resolved.sha256} - ` +
    "a release was changed after it was locked: find out why, then use --accept-changed"
  );
}

/** Why an entry is needed that is not there. */
export function missingMessage(file: string, { field, usedBy }: UsedArtifact): string {
  return `${file} ${field}: is not locked, needed by ${usedBy} - run edge-fleet lock`;
}
