/**
 * The thin shell around the tree: carries planned changes out on disk. A kill at any moment leaves a folder that the next
 * run completes, because every file is replaced in one step, what may have been written is recorded first, and the
 * manifest comes last. A folder that is up to date is not touched at all.
 */
import { mkdirSync, rmdirSync, rmSync } from "node:fs";
import { join, posix } from "node:path";
import { inspect, replaceFile } from "./disk.ts";
import { hashContent } from "./manifest.ts";
import type { FileRemoval, FileWrite, TreeChanges } from "./plan.ts";
import { closeScratch, type KnownHashes, openScratch, temporaryFile, writeKnown } from "./scratch.ts";

export { type FileRefusal, type FileRemoval, type FileWrite, planTree, type TreeChanges } from "./plan.ts";

/** Thrown when files stand in the way; nothing has been written. */
export class TreeRefusedError extends Error {
  constructor(directory: string, changes: TreeChanges) {
    const lines = describeRefusals(changes);
    super(`${directory}: ${changes.refused.length} file(s) cannot be written or deleted:\n${lines.join("\n")}`);
    this.name = "TreeRefusedError";
  }
}

/** How long a writer waits for another one on the same folder: the stacks of several regions may run at once. */
const LOCK_WAIT_MS = 10_000;

/**
 * Writes the planned changes.
 * @param waitMs how long to wait for another writer, in milliseconds; default 10,000, a write takes under one second
 * @throws TreeRefusedError when the plan refuses a file
 * @throws Error when a file has changed since the plan, or another process writes the same folder
 */
export function writeTree(directory: string, changes: TreeChanges, waitMs = LOCK_WAIT_MS): void {
  for (const _ of writeSteps(directory, changes, waitMs));
}

/** As {@link writeTree}, pausing after each change on disk and telling which path it was. */
export function* writeSteps(directory: string, changes: TreeChanges, waitMs = LOCK_WAIT_MS): Generator<string> {
  if (changes.refused.length > 0) throw new TreeRefusedError(directory, changes);
  if (!hasChanges(changes)) return;
  mkdirSync(directory, { recursive: true });
  openScratch(directory, waitMs);
  yield "(lock)";
  writeKnown(directory, extendKnown(changes));
  yield "(known)";
  for (const write of inWriteOrder([...changes.create, ...changes.update])) {
    writeFile(directory, write);
    yield write.path;
  }
  for (const removal of changes.delete) {
    removeFile(directory, removal);
    yield removal.path;
  }
  for (const { path } of changes.delete) removeEmptyFolders(directory, path);
  if (changes.manifest !== undefined) {
    writeFile(directory, changes.manifest);
    yield changes.manifest.path;
  }
  closeScratch(directory);
}

/** True when a write would touch the disk, or would be refused: what `render --check` fails on. */
export function hasChanges(changes: TreeChanges): boolean {
  const { create, update, refused, manifest, interrupted } = changes;
  return (
    create.length + update.length + changes.delete.length + refused.length > 0 || manifest !== undefined || interrupted
  );
}

/** The changes for people, one line each; a refused file takes more lines. */
export function describeChanges(changes: TreeChanges): string[] {
  const lines = [
    ...changes.create.map(({ path }) => `create ${path}`),
    ...changes.update.map(({ path }) => `update ${path}`),
    ...changes.delete.map(({ path }) => `delete ${path}`),
    ...describeRefusals(changes),
  ];
  if (changes.manifest !== undefined)
    lines.push(`${changes.manifest.before ? "update" : "create"} ${changes.manifest.path}`);
  if (changes.interrupted) lines.push("complete a write that was interrupted");
  return [...lines, `${changes.unchanged.length} file(s) unchanged`];
}

function describeRefusals({ refused }: TreeChanges): string[] {
  return refused.flatMap(({ path, reason, difference, fix }) => [
    `refuse ${path}: ${reason} - ${fix}`,
    ...difference.map((line) => `    ${line}`),
  ]);
}

/** A folder's kustomization.yaml comes after its siblings: it marks the scaffold as complete. */
function inWriteOrder(writes: readonly FileWrite[]): FileWrite[] {
  const rank = ({ path }: FileWrite) => (posix.basename(path) === "kustomization.yaml" ? 1 : 0);
  return [...writes].sort((a, b) => rank(a) - rank(b));
}

function extendKnown({ known, create, update }: TreeChanges): KnownHashes {
  const extended = new Map([...known].map(([path, hashes]) => [path, new Set(hashes)]));
  for (const { path, content, owner } of [...create, ...update])
    if (owner === "emitted") extended.set(path, (extended.get(path) ?? new Set()).add(hashContent(content)));
  return extended;
}

function writeFile(directory: string, { path, content, before }: FileWrite): void {
  const hash = currentHash(directory, path);
  if (hash === hashContent(content)) return;
  if (hash !== before) throw changedSincePlan(directory, path);
  replaceFile(join(directory, path), content, temporaryFile(directory));
}

function removeFile(directory: string, { path, before }: FileRemoval): void {
  const hash = currentHash(directory, path);
  if (hash === undefined) return;
  if (hash !== before) throw changedSincePlan(directory, path);
  rmSync(join(directory, path));
}

function currentHash(directory: string, path: string): string | undefined {
  const entry = inspect(directory, path);
  if (entry.kind === "obstructed") throw changedSincePlan(directory, path);
  return entry.kind === "absent" ? undefined : hashContent(entry.content);
}

function changedSincePlan(directory: string, path: string): Error {
  return new Error(`${join(directory, path)}: has changed since it was planned - run again`);
}

function removeEmptyFolders(directory: string, path: string): void {
  for (let folder = posix.dirname(path); folder !== "."; folder = posix.dirname(folder)) {
    try {
      rmdirSync(join(directory, folder));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "";
      if (code === "ENOENT") continue;
      if (["ENOTEMPTY", "EEXIST"].includes(code)) return;
      throw error;
    }
  }
}
