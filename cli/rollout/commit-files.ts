/** Makes a commit of Git's plumbing, in an index of its own: no checkout, no staged change and no file of the user plays a part. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunOptions } from "../process.ts";
import { git, type Repository, runGit } from "./git.ts";

/** What the commit is made of. */
export interface PlumbedCommit {
  /** Full SHA of the commit whose files it has, but for {@link files}. */
  readonly base: string;
  /** Further parents, after the base. */
  readonly parents?: readonly string[];
  /** Path below the tree -> content; undefined deletes the file. */
  readonly files: ReadonlyMap<string, string | undefined>;
  readonly message: string;
}

const NO_OBJECT = "0".repeat(40);

/** @returns full SHA. @throws Error with what git said */
export async function commitFiles(repository: Repository, commit: PlumbedCommit): Promise<string> {
  const scratch = mkdtempSync(join(tmpdir(), "edge-fleet-index-"));
  try {
    const environment = { GIT_INDEX_FILE: join(scratch, "index") };
    const run = async (args: readonly string[], options: RunOptions = {}): Promise<string> =>
      (await git(repository, args, { ...options, environment })).trim();
    await run(["read-tree", commit.base]);
    const entries = await indexEntries(repository, scratch, commit.files);
    await run(["update-index", "--index-info"], { stdin: entries });
    const tree = await run(["write-tree"]);
    const signed =
      (await runGit(repository.folder, ["config", "--type=bool", "commit.gpgsign"])).stdout.trim() === "true";
    const parents = [commit.base, ...(commit.parents ?? [])].flatMap((parent) => ["-p", parent]);
    return await run(["commit-tree", tree, ...parents, ...(signed ? ["-S"] : []), "-F", "-"], {
      stdin: commit.message,
    });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Lines for `git update-index --index-info`, with the contents stored in one run of git. */
async function indexEntries(repository: Repository, scratch: string, files: PlumbedCommit["files"]): Promise<string> {
  const folder = join(scratch, "blobs");
  mkdirSync(folder);
  const written = [...files].flatMap(([path, content], index) => {
    if (content === undefined) return [];
    const file = join(folder, String(index));
    writeFileSync(file, content);
    return [{ path, file }];
  });
  const stdin = written.map(({ file }) => `${file}\n`).join("");
  const ids = (await git(repository, ["hash-object", "-w", "--no-filters", "--stdin-paths"], { stdin })).split("\n");
  const added = written.map(({ path }, index) => `100644 ${ids[index]}\t${repository.prefix}${path}\n`);
  const removed = [...files].flatMap(([path, content]) =>
    content === undefined ? [`0 ${NO_OBJECT}\t${repository.prefix}${path}\n`] : [],
  );
  return [...added, ...removed].join("");
}
