/**
 * Puts the tree of a commit into a scratch folder, without a checkout, and tells what each kustomization is made of, so
 * that one whose parts are the same in two commits need not be built.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { parse } from "yaml";
import { pathsOf } from "../check/rules.ts";
import { KUSTOMIZATIONS } from "../manifests/kustomize.ts";
import { asMap } from "../manifests/objects.ts";
import type { RunOptions } from "../process.ts";
import { git, type Repository, runGit } from "../rollout/git.ts";

/** The tree at a commit. */
export interface TreeSnapshot {
  /** Where its files are. */
  readonly folder: string;
  /** Git object by path below the tree, of files and of folders. */
  readonly objects: ReadonlyMap<string, string>;
  /** What each kustomization that was looked at refers to, by its folder: leaves share most of them. */
  readonly references: Map<string, readonly string[]>;
}

/**
 * Writes the tree of a commit into a folder. A commit without the tree gives an empty one.
 * @param folder is created
 * @throws Error with what git said
 */
export async function extractTree(repository: Repository, commit: string, folder: string): Promise<TreeSnapshot> {
  mkdirSync(folder, { recursive: true });
  const name = `${commit}:${repository.prefix.replace(/\/$/, "")}`;
  const found = await runGit(repository.folder, ["rev-parse", "--verify", "--quiet", name]);
  if (found.exitCode !== 0) return { folder, objects: new Map(), references: new Map() };
  const listing = await git(repository, ["ls-tree", "-r", "-t", "-z", "--full-tree", name]);
  const objects = new Map(
    listing
      .split("\0")
      .filter((line) => line !== "")
      .map((line) => {
        const [facts = "", path = ""] = line.split("\t");
        return [path, facts.split(" ")[2] ?? ""] as const;
      }),
  );
  const options: RunOptions = { environment: { GIT_INDEX_FILE: `${folder}.index` } };
  await git(repository, ["read-tree", name], options);
  const directory = (await git(repository, ["rev-parse", "--absolute-git-dir"])).trim();
  // With the work tree here, the whole index is written, wherever in the repository git is run.
  const write = [`--git-dir=${directory}`, "--work-tree=.", "checkout-index", "--all", `--prefix=${folder}/`];
  await git(repository, write, options);
  return { folder, objects, references: new Map() };
}

/** True when the folder is a kustomization. @param path below the tree */
export function isFolder({ objects }: TreeSnapshot, path: string): boolean {
  return KUSTOMIZATIONS.some((file) => objects.has(posix.join(path, file)));
}

/** Folders of the leaves: two levels below this one. */
export function leavesBelow(snapshot: TreeSnapshot, root: string): string[] {
  const pattern = new RegExp(`^${root}/[^/]+/[^/]+/(${KUSTOMIZATIONS.join("|").replaceAll(".", "\\.")})$`);
  return [...snapshot.objects.keys()].filter((path) => pattern.test(path)).map((path) => posix.dirname(path));
}

/**
 * A hash of everything that a kustomization is built from: the folders that it reaches, with all that is in them.
 * @param path folder below the tree
 */
export function contentHash(snapshot: TreeSnapshot, path: string): string {
  const { objects } = snapshot;
  const parts = new Map<string, string>();
  const visit = (target: string): void => {
    if (parts.has(target)) return;
    parts.set(target, objects.get(target) ?? "missing");
    for (const reference of referencesOf(snapshot, target)) visit(posix.normalize(posix.join(target, reference)));
  };
  visit(posix.normalize(path));
  if (parts.has(".")) parts.set(".", [...objects].map(([name, object]) => `${name} ${object}`).join("\n"));
  const lines = [...parts].map(([name, object]) => `${name} ${object}`).sort();
  return createHash("sha256").update(lines.join("\n")).digest("hex");
}

/** What a kustomization refers to, relative to its folder. @param target folder below the tree */
export function referencesOf({ folder, references }: TreeSnapshot, target: string): readonly string[] {
  const known = references.get(target);
  if (known !== undefined) return known;
  const files = KUSTOMIZATIONS.map((name) => join(folder, target, name)).filter((file) => existsSync(file));
  const found = files.flatMap(readPaths);
  references.set(target, found);
  return found;
}

/** What a kustomization refers to; one that cannot be read refers to nothing, and its own bytes are in the hash. */
function readPaths(file: string): string[] {
  try {
    return pathsOf(asMap(parse(readFileSync(file, "utf8")))).map(({ value }) => value);
  } catch {
    return [];
  }
}
