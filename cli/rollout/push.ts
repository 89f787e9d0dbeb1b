/**
 * Commits a decided file and what follows from it on top of a remote branch and pushes that, without touching the checkout: the commit is made of Git's
 * plumbing, so unpushed commits, staged changes and edits of the user neither travel along nor get lost. Where somebody
 * else pushes at the same time, the commit is made again on theirs, unless they have changed what it was decided by.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { UsageError } from "../exit.ts";
import { type FileChange, type Files, filesOf, type Settled, writeFiles } from "./commit.ts";
import { commitFiles } from "./commit-files.ts";
import { git, gitReason, type Repository, runGit } from "./git.ts";
import { treeAt } from "./tree-source.ts";

/** Where to push. */
export interface PushTarget {
  readonly remote: string;
  readonly branch: string;
}

/** A change and what it was decided by. */
export interface GuardedChange extends FileChange {
  /** Commit of the remote branch that the decision was made on. */
  readonly seen: string;
  /** Files below the tree that must still be as they were at {@link seen}. */
  readonly guarded: readonly string[];
}

/** Thrown when somebody else has changed what the decision was made by: exactly one of two wins. */
export class LostRaceError extends Error {
  constructor(path: string, by: string) {
    super(`${path} was changed in the meantime by ${by} - look at it and run again; nothing was pushed`);
    this.name = "LostRaceError";
  }
}

const ATTEMPTS = 8;
const PAUSE_MS = 200;

/**
 * Fetches the branch.
 * @returns full SHA of its tip
 * @throws UsageError when the remote or the branch cannot be reached
 */
export async function fetchBranch(repository: Repository, { remote, branch }: PushTarget): Promise<string> {
  const ref = `refs/remotes/${remote}/${branch}`;
  const args = ["fetch", "--quiet", "--no-tags", "--", remote, `+refs/heads/${branch}:${ref}`];
  const result = await runGit(repository.folder, args);
  if (result.exitCode !== 0)
    throw new UsageError(
      `branch ${branch} of ${remote} cannot be fetched: ${gitReason(result)} - push the branch once, or use --remote`,
    );
  return (await git(repository, ["rev-parse", ref])).trim();
}

/**
 * Pushes the change.
 * @throws LostRaceError when a guarded file has changed since it was seen
 * @throws Error with what the remote said, when it refuses for another reason than a race
 */
export async function pushChange(repository: Repository, target: PushTarget, change: GuardedChange): Promise<Settled> {
  let tip = change.seen;
  for (let attempt = 1; ; attempt++) {
    const files = await filesOf(change, treeAt(repository, tip));
    const commit = await commitFiles(repository, { base: tip, files, message: change.message });
    const refspec = `${commit}:refs/heads/${target.branch}`;
    const result = await runGit(repository.folder, ["push", "--quiet", "--", target.remote, refspec]);
    if (result.exitCode === 0) {
      await runGit(repository.folder, ["update-ref", `refs/remotes/${target.remote}/${target.branch}`, commit]);
      const checkedOut = await followCheckout(repository, target, files, tip, commit);
      return { written: true, commit, pushed: true, checkedOut };
    }
    const now = await fetchBranch(repository, target);
    if (now === tip || attempt === ATTEMPTS)
      throw new Error(`${target.remote} refuses the commit: ${gitReason(result)} - fix it and run again`);
    await checkGuarded(repository, change, now);
    tip = now;
    await sleep(PAUSE_MS * attempt * Math.random());
  }
}

async function checkGuarded(repository: Repository, { seen, guarded }: GuardedChange, now: string): Promise<void> {
  for (const path of guarded) {
    const full = `:(top)${repository.prefix}${path}`;
    const output = await git(repository, ["diff", "--name-only", seen, now, "--", full]);
    if (output.trim() === "") continue;
    const by = await git(repository, ["log", "-1", "--format=%an, %h %s", `${seen}..${now}`, "--", full]);
    throw new LostRaceError(`${repository.prefix}${path}`, by.trim());
  }
}

/**
 * Moves the checked-out branch to the pushed commit where that is the same branch, stood at the commit's parent, and the
 * files have no changes of the user: then index and disk of those files follow. Else the user pulls.
 */
async function followCheckout(
  repository: Repository,
  { branch }: PushTarget,
  files: Files,
  parent: string,
  commit: string,
): Promise<boolean> {
  const { folder, prefix } = repository;
  const ask = async (args: readonly string[]): Promise<string> => (await runGit(folder, args)).stdout.trim();
  if ((await ask(["symbolic-ref", "--quiet", "HEAD"])) !== `refs/heads/${branch}`) return false;
  if ((await ask(["rev-parse", "HEAD"])) !== parent) return false;
  const paths = [...files.keys()].map((path) => `:(top)${prefix}${path}`);
  if ((await ask(["status", "--porcelain", "--", ...paths])) !== "") return false;
  const moved = await runGit(folder, ["update-ref", "-m", "edge-fleet", `refs/heads/${branch}`, commit, parent]);
  if (moved.exitCode !== 0) return false;
  writeFiles(repository, files);
  await runGit(folder, ["reset", "--quiet", "--", ...paths]);
  return true;
}
