/**
 * A new region or model gets its leaf in what a ring deploys without a release of anything else: a commit on top of the
 * ring's holds the leaf and what it needs and nothing more, on a branch of the ring. It is not made unless every other
 * leaf builds to the same bytes.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { listBuilds } from "../../components/gitops/index.ts";
import { extractTree, referencesOf, type TreeSnapshot } from "../diff/extract.ts";
import { runDiff } from "../diff/run.ts";
import { UsageError } from "../exit.ts";
import { buildManifests } from "../manifests/build.ts";
import { commitFiles } from "./commit-files.ts";
import { devicesIn, foldersOf, type RolloutContext } from "./context.ts";
import { missingFolders } from "./decide.ts";
import { git, isAncestor, type Repository, runGit, verifySignature } from "./git.ts";
import { releaseOf } from "./release.ts";

/** Leaves that a ring's commit lacks, and the commit that has them. */
export interface NewLeaves {
  /** Full SHA that the ring deploys now. */
  readonly previous: string;
  /** Full SHA that it deploys from now on. */
  readonly revision: string;
  /** Folders below the tree. */
  readonly folders: readonly string[];
  /** The ring's branch, which keeps the commit. */
  readonly branch: string;
}

/** The branch that keeps the commits of a ring's new leaves. */
export function branchOfRing({ workload }: Pick<RolloutContext, "workload">, ring: string): string {
  return posix.join("edge-fleet", workload?.name ?? "", ring);
}

/**
 * Makes the commit; neither a branch nor a file is changed.
 * @param previous full SHA that the ring deploys
 * @returns undefined when the ring's commit lacks no leaf
 * @throws UsageError when the leaf is in no commit yet, kustomize is missing, or the signature that the rules ask for
 * @throws Error when another leaf would build to other bytes, or a new one not at all
 */
export async function makeNewLeaves(
  context: RolloutContext,
  ring: string,
  previous: string,
): Promise<NewLeaves | undefined> {
  const { repository, rules } = context;
  const folders = await missingFolders(context, ring, previous);
  if (folders.length === 0) return undefined;
  const branch = branchOfRing(context, ring);
  const files = await filesOfLeaves(context, previous, folders);
  const tip = await tipOf(repository, branch, context.target?.remote);
  const kept = tip === undefined || (await isAncestor(repository, tip, previous));
  const release = await releaseOf(repository, previous);
  const what = context.workload === undefined ? ring : `${context.workload.name} in ${ring}`;
  const revision = await commitFiles(repository, {
    base: previous,
    // A branch that only moves forward keeps every commit that a ring has ever pinned.
    parents: kept ? [] : [tip],
    files,
    message: `Add ${folders.length} new leaf folder(s) to what ${what} deploys\n\nRing: ${ring}\nRelease: ${release}\n`,
  });
  if (rules.signedCommits) await verifySignature(repository, revision);
  await checkOthers(context, ring, { previous, revision, folders, branch });
  return { previous, revision, folders, branch };
}

/** Where the branch is, on the remote or here. */
async function tipOf({ folder }: Repository, branch: string, remote: string | undefined): Promise<string | undefined> {
  const ref = remote === undefined ? `refs/heads/${branch}` : `refs/remotes/${remote}/${branch}`;
  if (remote !== undefined)
    await runGit(folder, ["fetch", "--quiet", "--no-tags", "--", remote, `+refs/heads/${branch}:${ref}`]);
  const tip = (await runGit(folder, ["rev-parse", "--verify", "--quiet", ref])).stdout.trim();
  return tip === "" ? undefined : tip;
}

/** What the ring's commit lacks of the leaves: what is there is taken as it is, and not looked into. */
async function filesOfLeaves(
  context: RolloutContext,
  previous: string,
  folders: readonly string[],
): Promise<Map<string, string>> {
  const { repository, ref, fleet } = context;
  const scratch = mkdtempSync(join(tmpdir(), "edge-fleet-leaves-"));
  try {
    const before = await extractTree(repository, previous, join(scratch, "before"));
    const now = await extractTree(repository, ref, join(scratch, "now"));
    const builds = listBuilds(fleet).filter(({ target }) => folders.includes(target));
    const wanted = [...folders, ...builds.map(({ source }) => source)];
    const paths = new Set<string>();
    for (const folder of wanted) gather(before, now, folder, paths);
    const files = await readAll(repository, ref, [...paths].sort());
    if (builds.length === 0) return files;
    // Rendered manifests of the newer commit hold its release: they are built anew on the ring's own.
    const draft = await commitFiles(repository, { base: previous, files, message: "draft" });
    const built = await extractTree(repository, draft, join(scratch, "draft"));
    return new Map([...files, ...(await buildManifests(built.folder, builds))]);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function gather(before: TreeSnapshot, now: TreeSnapshot, target: string, paths: Set<string>): void {
  const path = posix.normalize(target);
  if (before.objects.has(path) || paths.has(path)) return;
  const below = [...now.objects.keys()].filter((file) => file === path || file.startsWith(`${path}/`));
  if (below.length === 0)
    throw new UsageError(`${path} is not committed yet - run edge-fleet render, commit, and run again`);
  paths.add(path);
  for (const file of below) paths.add(file);
  for (const reference of referencesOf(now, path)) gather(before, now, posix.join(path, reference), paths);
}

/** Contents of the paths that are files. */
async function readAll(repository: Repository, commit: string, paths: readonly string[]): Promise<Map<string, string>> {
  const found: [string, string][] = [];
  for (const path of paths) {
    const name = `${commit}:${repository.prefix}${path}`;
    if ((await git(repository, ["cat-file", "-t", name])).trim() === "blob")
      found.push([path, await git(repository, ["cat-file", "blob", name])]);
  }
  return new Map(found);
}

async function checkOthers(context: RolloutContext, ring: string, made: NewLeaves): Promise<void> {
  const { repository, workload } = context;
  const short = made.revision.slice(0, 12);
  const { groups } = await runDiff({
    repository,
    base: { name: ring, commit: made.previous },
    head: { name: short, commit: made.revision },
    devices: foldersOf(context, devicesIn(context, ring)),
    root: workload === undefined ? (context.fleet.git.layout === "rendered" ? "rendered" : "overlays") : undefined,
  });
  for (const { difference, paths } of groups) {
    if (difference.kind === "failed")
      throw new Error(
        `${paths[0]} does not build on what ring ${ring} deploys: ${difference.message} - promote a commit that has it`,
      );
    const other = paths.find((path) => !made.folders.includes(path));
    if (other !== undefined)
      throw new Error(
        `${other} would change too, so this is a release - promote ring ${ring} to a commit that has the leaf`,
      );
  }
}
