/**
 * Makes a commit of one file and nothing else: whatever else is staged or changed stays as it is. From the new content to
 * the SHA of the commit.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { replaceFile } from "../../components/gitops/disk.ts";
import { git, gitReason, type Repository, runGit } from "./git.ts";

/** One file's change. */
export interface FileChange {
  /** Path below the tree. */
  readonly path: string;
  /** Undefined deletes the file. */
  readonly content: string | undefined;
  /** Subject, empty line, trailers. */
  readonly message: string;
}

/** What has become of a change. */
export interface Settled {
  /** False: everything was as wanted, or nothing was to be written (`dryRun`). */
  readonly written: boolean;
  /** Full SHA of the commit, when one was made. */
  readonly commit: string | undefined;
  readonly pushed: boolean;
  /** True where the checkout shows the change. */
  readonly checkedOut: boolean;
}

/** Writes the file on disk without a commit. */
export function writeChange({ tree }: Repository, { path, content }: Pick<FileChange, "path" | "content">): void {
  const file = join(tree, path);
  if (content === undefined) rmSync(file, { force: true });
  else {
    mkdirSync(dirname(file), { recursive: true });
    replaceFile(file, content, `${file}.${process.pid}.tmp`);
  }
}

/**
 * Writes the file and commits it on the branch that is checked out, with the user's own hooks and signature.
 * @returns full SHA
 * @throws Error with what git said; the file and the index are then as before
 */
export async function commitChange(repository: Repository, change: FileChange): Promise<string> {
  const { tree } = repository;
  const file = join(tree, change.path);
  const before = existsSync(file) ? readFileSync(file, "utf8") : undefined;
  writeChange(repository, change);
  // Where the folder did not exist, git could not be run in it before.
  const inside: Repository = { ...repository, folder: existsSync(tree) ? tree : repository.folder };
  const path = `:(top)${repository.prefix}${change.path}`;
  const known = (await runGit(inside.folder, ["ls-files", "--error-unmatch", "--", path])).exitCode === 0;
  const undo = async (): Promise<void> => {
    writeChange(repository, { path: change.path, content: before });
    if (!known) await runGit(inside.folder, ["rm", "--cached", "--quiet", "--ignore-unmatch", "--", path]);
  };
  const added = known ? undefined : await runGit(inside.folder, ["add", "--intent-to-add", "--", path]);
  const result =
    added !== undefined && added.exitCode !== 0
      ? added
      : await runGit(inside.folder, ["commit", "--quiet", "--only", "--file=-", "--", path], { stdin: change.message });
  if (result.exitCode !== 0) {
    await undo();
    throw new Error(`git commit of ${file} failed: ${gitReason(result)} - fix it and run again; nothing was changed`);
  }
  return (await git(inside, ["rev-parse", "HEAD"])).trim();
}
