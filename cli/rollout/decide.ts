/**
 * Everything that a promotion is decided by and that a person wants to see before it: facts, refusals, commits, devices
 * and the rendered difference.
 */
import { posix } from "node:path";
import { MANIFESTS_FILE } from "../../components/gitops/application.ts";
import type { Leaf, TreeDevice } from "../../components/gitops/index.ts";
import type { DiffReport } from "../diff/report.ts";
import { runDiff } from "../diff/run.ts";
import { UsageError } from "../exit.ts";
import { KUSTOMIZATIONS } from "../manifests/kustomize.ts";
import { devicesIn, foldersOf, type RingState, type RolloutContext, readFreezes, readRing } from "./context.ts";
import { freezeOf } from "./freeze.ts";
import { classifyPromotion, type Refusal, type RingBefore } from "./gate.ts";
import { type CommitLine, commitsBetween, filesAt, isAncestor, isOnRemote, runGit, verifySignature } from "./git.ts";
import { classifyRing, type RingVerdict } from "./health.ts";
import { byRelease, releaseOf } from "./release.ts";
import { blastRadius } from "./rules.ts";
import type { DeviceStatuses } from "./status.ts";

/** A ring and the commit that it shall run. */
export interface RingChange {
  readonly ring: string;
  /** Full SHA. */
  readonly revision: string;
}

/** What is known of a promotion before it is made. */
export interface PromotionPlan extends RingChange {
  /** The ring before; undefined for the first one. */
  readonly before: RingBefore | undefined;
  readonly refusals: readonly Refusal[];
  /** Who signed the commit; undefined where signatures are not asked for. */
  readonly signer: string | undefined;
  /** The commit is on a remote branch; undefined when there is no remote. */
  readonly published: boolean | undefined;
}

/** What a change of a ring does to devices. */
export interface ChangeImpact {
  /** Full SHA that the ring runs now. */
  readonly previous: string | undefined;
  readonly devices: readonly TreeDevice[];
  readonly blast: readonly Leaf[];
  /** Newest first, at most {@link MAX_COMMITS}. */
  readonly commits: readonly CommitLine[];
  /** The new commit does not contain what the ring runs now. */
  readonly backwards: boolean;
  /** Undefined where it was not asked for, kustomize is missing, or the ring runs nothing yet. */
  readonly diff: DiffReport | undefined;
  /** Why there is no rendered difference, when one was asked for. */
  readonly noDiff: string | undefined;
}

/** What is known of the health of devices. */
export interface Health {
  /** Undefined without a source of status. */
  readonly statuses: DeviceStatuses | undefined;
  /** Age from which a status says nothing any more, in milliseconds. */
  readonly maxAgeMs: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

const MAX_COMMITS = 20;

/** The ring that a change comes through before this one. */
export function ringBefore({ rings }: Pick<RolloutContext, "rings">, ring: string): string | undefined {
  return rings[rings.indexOf(ring) - 1];
}

/**
 * Decides a promotion.
 * @throws UsageError when the commit lacks a signature or what the ring's devices deploy: never to be overridden
 */
export async function planPromotion(
  context: RolloutContext,
  { ring, revision }: RingChange,
  health: Health,
): Promise<PromotionPlan> {
  const { repository, rules } = context;
  const signer = rules.signedCommits ? await verifySignature(repository, revision) : undefined;
  const missing = await missingFolders(context, ring, revision);
  if (missing.length > 0)
    throw new UsageError(
      `commit ${revision.slice(0, 12)} lacks ${missing.length} folder(s) that devices of ring ${ring} deploy: ${missing.slice(0, 5).join(", ")} - run edge-fleet render, commit, and promote that commit, or add them to what the ring runs: edge-fleet promote ${ring} --new-leaves`,
    );
  const published = await isOnRemote(repository, revision);
  if (published === false && context.target !== undefined)
    throw new UsageError(
      `commit ${revision.slice(0, 12)} is on no remote branch, so no device can pull it - push it first`,
    );
  const freeze = freezeOf(await readFreezes(context), ring);
  const name = ringBefore(context, ring);
  const before = name === undefined ? undefined : await lookBefore(context, name, revision, health);
  const release = await releaseOf(repository, revision);
  const refusals = classifyPromotion({ ring, revision: release, now: health.now, rules, freeze, before });
  return { ring, revision, before, refusals, signer, published };
}

/** Folders that devices of the ring deploy and that are no kustomization at the commit, below the tree. */
export async function missingFolders(
  context: Pick<RolloutContext, "repository" | "inventory" | "workload" | "devices">,
  ring: string,
  revision: string,
): Promise<string[]> {
  const { repository, inventory } = context;
  const files = await filesAt(repository, revision);
  const rendered = inventory.fleet.git.layout === "rendered";
  const names = context.workload?.type === "helm" ? ["Chart.yaml"] : KUSTOMIZATIONS;
  return [...foldersOf(context, devicesIn(context, ring)).keys()].filter((folder) => {
    const kustomization = names.some((name) => files.has(posix.join(folder, name)));
    return !kustomization || (rendered && !files.has(posix.join(folder, MANIFESTS_FILE)));
  });
}

/** The verdict on a ring's own revision; undefined when it runs none, or without a source of status. */
export function classifyState(
  context: RolloutContext,
  { ring, current }: RingState,
  { statuses, maxAgeMs, now }: Health,
): RingVerdict | undefined {
  if (statuses === undefined || current === undefined) return undefined;
  const devices = devicesIn(context, ring).map(({ id, model }) => ({ id, model, status: statuses.get(id) }));
  const rules = { ...context.rules, revision: current.revision, promotedAt: current.since, maxAgeMs };
  return classifyRing(devices, rules, now);
}

async function lookBefore(
  context: RolloutContext,
  ring: string,
  revision: string,
  health: Health,
): Promise<RingBefore> {
  const state = await readRing(context, ring);
  const { periods, current } = state;
  return {
    ring,
    periods: await byRelease(context.repository, periods),
    contains: current !== undefined && (await isAncestor(context.repository, revision, current.revision)),
    published: current === undefined ? undefined : await isOnRemote(context.repository, current.commit),
    verdict: classifyState(context, state, health),
  };
}

/**
 * What a change of a ring does. Reads, and builds with kustomize; nothing is changed.
 * @param withDiff render the difference
 */
export async function lookAtImpact(
  context: RolloutContext,
  { ring, revision }: RingChange,
  withDiff: boolean,
): Promise<ChangeImpact> {
  const { repository } = context;
  const devices = devicesIn(context, ring);
  const previous = (await readRing(context, ring)).current?.revision;
  const known =
    previous !== undefined && (await runGit(repository.folder, ["cat-file", "-e", previous])).exitCode === 0;
  const backwards = known && !(await isAncestor(repository, await releaseOf(repository, previous), revision));
  const commits = known ? await commitsBetween(repository, previous, revision, MAX_COMMITS) : [];
  const impact = { previous, devices, blast: blastRadius(devices), commits, backwards };
  if (!withDiff || previous === undefined) return { ...impact, diff: undefined, noDiff: undefined };
  if (!known) return { ...impact, diff: undefined, noDiff: `${previous.slice(0, 12)} is not in this clone` };
  try {
    const diff = await runDiff({
      repository,
      base: { name: ring, commit: previous },
      head: { name: revision.slice(0, 12), commit: revision },
      devices: foldersOf(context, devices),
      root: undefined,
    });
    return { ...impact, diff, noDiff: undefined };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { ...impact, diff: undefined, noDiff: error.message };
  }
}
