/**
 * What a write of the tree would do to the folder on disk, as lists of changes. Reads, never writes. A file is
 * edge-fleet's only while its bytes are ones that edge-fleet wrote; all else is refused or left alone.
 */
import { posix } from "node:path";
import { renderDifference } from "./difference.ts";
import { type DiskEntry, inspect } from "./disk.ts";
import type { Keep } from "./entry-guard.ts";
import { hashContent, MANIFEST_FILE, parseManifest, renderManifest } from "./manifest.ts";
import { hasScratch, type KnownHashes, readKnown } from "./scratch.ts";
import type { Tree, TreeFile } from "./tree.ts";

/** A file to be written. */
export interface FileWrite {
  readonly path: string;
  readonly owner: TreeFile["owner"];
  readonly content: string;
  /** SHA-256 of what the plan saw on disk, absent when there was nothing. */
  readonly before: string | undefined;
}

/** A file to be deleted. */
export interface FileRemoval {
  readonly path: string;
  /** SHA-256 of what the plan saw on disk. */
  readonly before: string;
}

/** A file that edge-fleet will not touch, and so the whole write does not happen. */
export interface FileRefusal {
  readonly path: string;
  readonly reason: string;
  /** Short unified diff from the disk to the rendered file, empty where there is nothing to compare. */
  readonly difference: readonly string[];
  /** What the operator can do. */
  readonly fix: string;
}

/** The difference between a folder and a tree. Paths are relative to the folder, in sorted order. */
export interface TreeChanges {
  readonly create: readonly FileWrite[];
  readonly update: readonly FileWrite[];
  readonly delete: readonly FileRemoval[];
  /** Emitted files that are up to date, files of the team, and those that only a build of the manifests writes. */
  readonly unchanged: readonly string[];
  readonly refused: readonly FileRefusal[];
  /** The new manifest, absent when the one on disk is right. */
  readonly manifest: FileWrite | undefined;
  /** An earlier write was interrupted; its scratch folder is to be removed. */
  readonly interrupted: boolean;
  /** Hashes that count as edge-fleet's own, by path. */
  readonly known: KnownHashes;
}

/**
 * Compares a tree with a folder.
 * @param directory the tree's folder; need not exist
 * @param keeps why a file that fell out of the tree must stay, so that the write is refused. Default: none must
 * @throws Error when the manifest on disk is not readable as one
 */
export function planTree(
  directory: string,
  tree: Tree,
  keeps: (path: string) => Keep | undefined = () => undefined,
): TreeChanges {
  const interrupted = hasScratch(directory);
  const manifest = planManifest(directory, tree);
  const known = gatherKnown(directory, manifest.hashes);
  const changes: Lists = { create: [], update: [], delete: [], unchanged: [], refused: [] };
  if (manifest.refusal !== undefined) changes.refused.push(manifest.refusal);
  for (const [path, file] of tree) planFile(directory, path, file, known.get(path), changes);
  for (const path of [...known.keys()].sort())
    if (!tree.has(path)) planRemoval(directory, path, known, changes, keeps(path));
  return { ...changes, manifest: manifest.write, interrupted, known };
}

interface Lists {
  readonly create: FileWrite[];
  readonly update: FileWrite[];
  readonly delete: FileRemoval[];
  readonly unchanged: string[];
  readonly refused: FileRefusal[];
}

interface ManifestPlan {
  readonly hashes: ReadonlyMap<string, string>;
  readonly write: FileWrite | undefined;
  readonly refusal: FileRefusal | undefined;
}

function planManifest(directory: string, tree: Tree): ManifestPlan {
  const entry = inspect(directory, MANIFEST_FILE);
  if (entry.kind === "obstructed")
    return { hashes: new Map(), write: undefined, refusal: obstruction(MANIFEST_FILE, entry.reason) };
  if (entry.kind === "absent")
    return {
      hashes: new Map(),
      write: { path: MANIFEST_FILE, owner: "emitted", content: renderManifest(tree), before: undefined },
      refusal: undefined,
    };
  const hashes = parseManifest(posix.join(directory, MANIFEST_FILE), entry.content);
  const content = renderManifest(tree, hashes);
  const write =
    entry.content === content
      ? undefined
      : { path: MANIFEST_FILE, owner: "emitted" as const, content, before: hashContent(entry.content) };
  return { hashes, write, refusal: undefined };
}

function gatherKnown(directory: string, manifest: ReadonlyMap<string, string>): Map<string, Set<string>> {
  const known = new Map([...readKnown(directory)].map(([path, hashes]) => [path, new Set(hashes)]));
  for (const [path, hash] of manifest) known.set(path, (known.get(path) ?? new Set()).add(hash));
  return known;
}

function planFile(
  directory: string,
  path: string,
  file: TreeFile,
  known: ReadonlySet<string> | undefined,
  changes: Lists,
): void {
  const entry = inspect(directory, path);
  if (entry.kind === "obstructed") changes.refused.push(obstruction(path, entry.reason));
  else if (file.owner === "built") changes.unchanged.push(path);
  else if (file.owner === "scaffold") planScaffold(directory, path, file, entry, changes);
  else if (entry.kind === "absent") changes.create.push({ path, ...file, before: undefined });
  else if (entry.content === file.content) changes.unchanged.push(path);
  else if (known?.has(hashContent(entry.content)))
    changes.update.push({ path, ...file, before: hashContent(entry.content) });
  else changes.refused.push(refuseEdit(directory, path, entry.content, file.content));
}

/**
 * A scaffold is complete once its kustomization.yaml stands, which is written last: a file that the team has deleted
 * since then stays deleted.
 */
function planScaffold(directory: string, path: string, file: TreeFile, entry: DiskEntry, changes: Lists): void {
  const complete = inspect(directory, posix.join(posix.dirname(path), "kustomization.yaml")).kind !== "absent";
  if (entry.kind === "absent" && !complete) changes.create.push({ path, ...file, before: undefined });
  else changes.unchanged.push(path);
}

function planRemoval(
  directory: string,
  path: string,
  known: KnownHashes,
  changes: Lists,
  keep: Keep | undefined,
): void {
  const entry = inspect(directory, path);
  if (entry.kind === "absent") return;
  if (keep !== undefined) {
    changes.refused.push({ path, ...keep, difference: [] });
    return;
  }
  if (entry.kind === "obstructed") {
    changes.refused.push(obstruction(path, entry.reason));
    return;
  }
  const before = hashContent(entry.content);
  if (known.get(path)?.has(before)) changes.delete.push({ path, before });
  else
    changes.refused.push({
      path,
      reason: "fell out of the inventory but was changed by hand",
      difference: [],
      fix: "move what you need to a folder of your own and delete the file",
    });
}

function obstruction(path: string, reason: string): FileRefusal {
  return { path, reason, difference: [], fix: "remove or rename it: edge-fleet writes regular files of its own only" };
}

function refuseEdit(directory: string, path: string, disk: string, rendered: string): FileRefusal {
  const { line, text } = renderDifference(disk, rendered);
  return {
    path,
    reason: `${posix.join(directory, path)}:${line}:1 was not written by edge-fleet`,
    difference: text,
    fix: "move your change to the file that its header names, delete this one and run `edge-fleet render`",
  };
}
