/** The tree's files where a change is made: as a commit has them, or as they are on disk. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { filesAt, type Repository, readBlobs } from "./git.ts";

/** Reads files by their path below the tree. */
export interface TreeSource {
  /** Paths of the files of a folder and below it; empty when there is no such folder. */
  list(folder: string): Promise<readonly string[]>;
  /** Contents in the order of the paths; undefined for what is not there. */
  read(paths: readonly string[]): Promise<readonly (string | undefined)[]>;
}

/** The tree at a commit. */
export function treeAt(repository: Repository, commit: string): TreeSource {
  return {
    list: async (folder) => [...(await filesAt(repository, commit))].filter((path) => path.startsWith(`${folder}/`)),
    read: (paths) =>
      readBlobs(
        repository,
        paths.map((path) => `${commit}:${repository.prefix}${path}`),
      ),
  };
}

/** The tree on disk. */
export function treeOnDisk({ tree }: Pick<Repository, "tree">): TreeSource {
  return {
    list: async (folder) => {
      const root = join(tree, folder);
      if (!existsSync(root)) return [];
      const entries = readdirSync(root, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
      return entries.map(({ parentPath, name }) => posix.join(folder, parentPath.slice(root.length), name)).sort();
    },
    read: async (paths) =>
      paths.map((path) => (existsSync(join(tree, path)) ? readFileSync(join(tree, path), "utf8") : undefined)),
  };
}
