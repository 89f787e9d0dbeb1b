/**
 * The repository around the tree, asked through `git`: commits, what files they hold, and the history of a ring's file.
 */
import { existsSync } from "node:fs";
import { basename, dirname, posix, resolve } from "node:path";
import { parseRing, RolloutFileError } from "../../components/gitops/rings.ts";
import { UsageError } from "../exit.ts";
import { type RunOptions, type RunResult, runProgram } from "../process.ts";
import type { RingCommit } from "./history.ts";

/** A repository and where the tree is in it. */
export interface Repository {
  /** The tree's folder as the operator wrote it, for messages. */
  readonly tree: string;
  /** An existing folder of the repository, where git is run. */
  readonly folder: string;
  /** Path of the tree below the repository's root, ending in `/`; empty when it is the root. */
  readonly prefix: string;
  /** Its history is cut off, as in CI's default checkouts. */
  readonly shallow: boolean;
}

/** A commit as a person wants to see it. */
export interface CommitLine {
  readonly commit: string;
  readonly author: string;
  /** RFC 3339. */
  readonly date: string;
  readonly subject: string;
}

const TIMEOUT_MS = 120_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** Changes of a ring's file that are looked at: years of promotions. */
const MAX_HISTORY = 500;
/** Git's own variables (`git rev-parse --local-env-vars`), set for its hooks, would override the folder. */
const LOCAL_VARIABLES = [
  "GIT_ALTERNATE_OBJECT_DIRECTORIES",
  "GIT_COMMON_DIR",
  "GIT_DIR",
  "GIT_INDEX_FILE",
  "GIT_NAMESPACE",
  "GIT_OBJECT_DIRECTORY",
  "GIT_PREFIX",
  "GIT_WORK_TREE",
];
const WITHOUT_LOCAL = Object.fromEntries(LOCAL_VARIABLES.map((name) => [name, undefined]));

/** Runs git in a repository, bounded in time and output. Never rejects. */
export function runGit(folder: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return runProgram("git", ["-C", folder, ...args], {
    timeoutMs: TIMEOUT_MS,
    maxOutputBytes: MAX_OUTPUT_BYTES,
    ...options,
    environment: { ...WITHOUT_LOCAL, ...options.environment },
  });
}

/**
 * Output of a git command that has to succeed.
 * @throws Error with what git said
 */
export async function git({ folder }: Repository, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await runGit(folder, args, options);
  if (result.exitCode === 0) return result.stdout;
  throw new Error(`git ${args[0]} failed in ${folder}: ${gitReason(result)}`);
}

/** What git said, on one line. */
export function gitReason({ stderr, ended }: RunResult): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("hint:"));
  const said = (lines.find((line) => /^(fatal|error|remote):|! \[/.test(line)) ?? lines[0])?.trim();
  return said ?? (ended === undefined ? "it said nothing" : `it was ended: ${ended}`);
}

/**
 * Finds the repository around the tree's folder, which itself need not be there.
 * @throws UsageError when there is none
 */
export async function openRepository(tree: string): Promise<Repository> {
  let folder = resolve(tree);
  let below = "";
  while (!existsSync(folder) && dirname(folder) !== folder) {
    below = posix.join(basename(folder), below);
    folder = dirname(folder);
  }
  const result = await runGit(folder, ["rev-parse", "--show-prefix", "--is-shallow-repository"]);
  if (result.exitCode !== 0) {
    const missing = result.exitCode === undefined && result.ended === undefined;
    if (missing) throw new UsageError("git cannot be run - install git and put it on PATH");
    throw new UsageError(`${tree} is in no Git repository - run git init and commit the tree, or use --tree`);
  }
  const [prefix = "", shallow] = result.stdout.split("\n");
  const path = below === "" ? prefix : `${posix.join(prefix, below)}/`;
  return { tree, folder, prefix: path, shallow: shallow === "true" };
}

/**
 * Full SHA of a commit.
 * @param wanted branch, tag or abbreviation
 * @throws UsageError when there is no such commit
 */
export async function resolveCommit({ folder, tree }: Repository, wanted: string): Promise<string> {
  const args = ["rev-parse", "--verify", "--quiet", "--end-of-options", `${wanted}^{commit}`];
  const revision = (await runGit(folder, args)).stdout.trim();
  if (/^[0-9a-f]{40}$/.test(revision)) return revision;
  if (wanted === "HEAD")
    throw new UsageError(`the repository of ${tree} has no commit yet - run git add . && git commit`);
  throw new UsageError(
    `the repository of ${tree} has no commit ${wanted} - fetch it, or use a commit that git log shows`,
  );
}

/** Content of a file at a commit; undefined when it has no such file. @param path below the repository's root */
export async function readAt({ folder }: Repository, commit: string, path: string): Promise<string | undefined> {
  const { exitCode, stdout } = await runGit(folder, ["cat-file", "blob", `${commit}:${path}`]);
  return exitCode === 0 ? stdout : undefined;
}

/** Files of the tree at a commit, below the tree; empty when the commit has no tree. */
export async function filesAt({ folder, prefix }: Repository, commit: string): Promise<ReadonlySet<string>> {
  const name = `${commit}:${prefix.replace(/\/$/, "")}`;
  const { exitCode, stdout } = await runGit(folder, ["ls-tree", "-r", "-z", "--name-only", "--full-tree", name]);
  return new Set(exitCode === 0 ? stdout.split("\0") : []);
}

/** True when a commit is the other one or an ancestor of it. */
export async function isAncestor({ folder }: Repository, ancestor: string, commit: string): Promise<boolean> {
  return (await runGit(folder, ["merge-base", "--is-ancestor", ancestor, commit])).exitCode === 0;
}

/** Whether some remote branch holds the commit; undefined when the repository has no remote. */
export async function isOnRemote({ folder }: Repository, commit: string): Promise<boolean | undefined> {
  if ((await runGit(folder, ["remote"])).stdout.trim() === "") return undefined;
  const { exitCode, stdout } = await runGit(folder, ["branch", "--remotes", "--contains", commit]);
  return exitCode === 0 && stdout.trim() !== "";
}

/**
 * Who signed a commit.
 * @throws UsageError with the fix when the signature is missing, bad or of an unknown key
 */
export async function verifySignature({ folder }: Repository, commit: string): Promise<string> {
  const result = await runGit(folder, ["verify-commit", commit]);
  const short = commit.slice(0, 12);
  if (result.exitCode !== 0) {
    const lines = result.stderr.trim().split("\n");
    const said = lines[0] === "" ? "it has no signature" : lines.slice(0, 2).join("; ");
    const format = (await runGit(folder, ["config", "gpg.format"])).stdout.trim();
    const keys =
      format === "ssh" ? "name its key in the file of gpg.ssh.allowedSignersFile" : "import the signer's public key";
    throw new UsageError(
      `commit ${short} has no valid signature and rollout.signedCommits is true (${said}) - sign it (git commit -S), or ${keys}`,
    );
  }
  const signer = await runGit(folder, ["log", "-1", "--format=%GS%x00%GK", commit]);
  const [name = "", key = ""] = signer.stdout.trim().split("\0");
  return name === "" ? key : `${name} (${key})`;
}

/** Commits that change the tree between two others, newest first. Rings and freezes are left out: they are no workload. */
export async function commitsBetween(
  repository: Repository,
  from: string,
  to: string,
  limit: number,
): Promise<CommitLine[]> {
  const { prefix } = repository;
  const paths = [`:(top)${prefix || "."}`, `:(top,exclude)${prefix}rings`, `:(top,exclude)${prefix}rollout`];
  const format = "--format=%H%x00%an%x00%cI%x00%s";
  const output = await git(repository, ["log", `--max-count=${limit}`, format, `${from}..${to}`, "--", ...paths]);
  return output
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [commit = "", author = "", date = "", subject = ""] = line.split("\0");
      return { commit, author, date, subject };
    });
}

/**
 * Commits that changed a ring's file, newest first, along the first parents: a merge counts from when it was merged.
 * @param ref commit whose history is read
 * @param path below the repository's root
 * @throws UsageError when the history is cut off: the oldest commit at hand would seem to have promoted the ring
 */
export async function ringCommits(
  repository: Repository,
  ref: string,
  path: string,
  workload: string | undefined,
): Promise<RingCommit[]> {
  if (repository.shallow)
    throw new UsageError(
      "the repository is a shallow clone, so it does not know what ran when - run git fetch --unshallow (in CI: fetch-depth 0)",
    );
  const format = "--format=%H%x00%ct%x00%an%x00%s";
  const args = ["log", "--first-parent", `--max-count=${MAX_HISTORY}`, format, ref, "--", `:(top)${path}`];
  const lines = (await git(repository, args)).split("\n").filter((line) => line !== "");
  const contents = await readBlobs(
    repository,
    lines.map((line) => `${line.slice(0, 40)}:${path}`),
  );
  return lines.map((line, index) => {
    const [commit = "", seconds = "0", author = "", subject = ""] = line.split("\0");
    const revision = revisionOf(path, contents[index], workload);
    return { commit, at: Number(seconds) * 1000, author, subject, revision };
  });
}

/** What a ring's file said; a broken one of the past said nothing. */
function revisionOf(path: string, text: string | undefined, workload: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    return parseRing(path, text, workload).revision;
  } catch (error) {
    if (error instanceof RolloutFileError) return undefined;
    throw error;
  }
}

/** Contents of many objects in one run of git; undefined for those that are not there. */
export async function readBlobs(repository: Repository, names: readonly string[]): Promise<(string | undefined)[]> {
  if (names.length === 0) return [];
  const output = await git(repository, ["cat-file", "--batch"], { stdin: `${names.join("\n")}\n` });
  const bytes = Buffer.from(output);
  let offset = 0;
  return names.map(() => {
    const end = bytes.indexOf("\n", offset);
    const [, type, size] = bytes.subarray(offset, end).toString().split(" ");
    offset = end + 1;
    if (type !== "blob" || size === undefined) return undefined;
    const start = offset;
    offset += Number(size) + 1;
    return bytes.subarray(start, start + Number(size)).toString();
  });
}
