/**
 * Makes a commit of a decided file and what follows from it, and nothing else: whatever else is staged or changed stays
 * as it is.
 */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { replaceFile } from "../../components/gitops/disk.ts";
import { UsageError } from "../exit.ts";
import { git, gitReason, type Repository, runGit } from "./git.ts";
import { type TreeSource, treeOnDisk } from "./tree-source.ts";

/** The change of one file, and of others that follow from it. */
export interface FileChange {
  /** Path below the tree. */
  readonly path: string;
  /** Undefined deletes the file. */
  readonly content: string | undefined;
  /** Subject, empty line, trailers. */
  readonly message: string;
  /** Further files, by path below the tree, for the tree that the change is put on. Absent: none. */
  readonly follows?: (tree: TreeSource) => Promise<ReadonlyMap<string, string>>;
}

/** Path below the tree -> content; undefined deletes the file. */
export type Files = ReadonlyMap<string, string | undefined>;

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

/** Every file of a change, for the tree that it is put on. */
export async function filesOf({ path, content, follows }: FileChange, tree: TreeSource): Promise<Files> {
  return new Map<string, string | undefined>([[path, content], ...(follows === undefined ? [] : await follows(tree))]);
}

/** Writes files on disk without a commit. */
export function writeFiles({ tree }: Pick<Repository, "tree">, files: Files): void {
  for (const [path, content] of files) {
    const file = join(tree, path);
    if (content === undefined) rmSync(file, { force: true });
    else {
      mkdirSync(dirname(file), { recursive: true });
      replaceFile(file, content, `${file}.${process.pid}.tmp`);
    }
  }
}

/**
 * Writes the files and commits them on the branch that is checked out, with the user's own hooks and signature.
 * @returns full SHA
 * @throws UsageError when one that follows has changes of the user
 * @throws Error with what git said; the files and the index are then as before
 */
export async function commitChange(repository: Repository, change: FileChange): Promise<string> {
  const { tree } = repository;
  const source = treeOnDisk(repository);
  const files = await filesOf(change, source);
  const names = [...files.keys()];
  const before = new Map((await source.read(names)).map((content, index) => [names[index] ?? "", content]));
  const differing = names.filter((name) => name !== change.path && before.get(name) !== files.get(name));
  if (differing.length > 0) await refuseChanged(repository, differing);
  writeFiles(repository, files);
  // Where the folder did not exist, git could not be run in it before.
  const inside: Repository = { ...repository, folder: existsSync(tree) ? tree : repository.folder };
  const paths = names.map((name) => `:(top)${repository.prefix}${name}`);
  const tracked = await git(inside, ["ls-files", "-z", "--full-name", "--", ...paths]);
  const known = new Set(tracked.split("\0").map((name) => `:(top)${name}`));
  const young = paths.filter((path) => !known.has(path));
  const undo = async (): Promise<void> => {
    writeFiles(repository, before);
    if (young.length > 0)
      await runGit(inside.folder, ["rm", "--cached", "--quiet", "--ignore-unmatch", "--", ...young]);
  };
  const added =
    young.length === 0 ? undefined : await runGit(inside.folder, ["add", "--intent-to-add", "--", ...young]);
  const result =
    added !== undefined && added.exitCode !== 0
      ? added
      : await runGit(inside.folder, ["commit", "--quiet", "--only", "--file=-", "--", ...paths], {
          stdin: change.message,
        });
  if (result.exitCode !== 0) {
    await undo();
    throw new Error(
      `git commit of ${join(tree, change.path)} failed: ${gitReason(result)} - fix it and run again; nothing was changed`,
    );
  }
  return (await git(inside, ["rev-parse", "HEAD"])).trim();
}

/** A commit of them would take along what the user has not committed. */
async function refuseChanged(repository: Repository, names: readonly string[]): Promise<void> {
  const paths = names.map((name) => `:(top)${repository.prefix}${name}`);
  const [first] = (await git(repository, ["status", "--porcelain", "--", ...paths])).split("\n");
  if (first !== undefined && first !== "")
    throw new UsageError(
      `${first.slice(3)} has changes that are not committed, and the commit would take them along - commit or restore them first, or use --push`,
    );
}
