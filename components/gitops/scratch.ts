/**
 * The folder that a write of the tree uses while it runs: a lock against a second writer, the temporary files, and the
 * hashes of everything that edge-fleet may have written. The latter let a run after a kill tell its own half-written
 * state from an edit by hand. The folder is gone when a write has ended well.
 */
import { lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { replaceFile } from "./disk.ts";

/** Name of the folder, in the tree's folder. */
export const SCRATCH_FOLDER = ".fleet-write";
const LOCK_POLL_MS = 50;

const KnownSchema = z.record(z.string(), z.array(z.string()));

/** Hashes that edge-fleet may have written, by path. */
export type KnownHashes = ReadonlyMap<string, ReadonlySet<string>>;

/** True when an earlier write did not end, or still runs. @throws Error when something else stands there */
export function hasScratch(directory: string): boolean {
  const folder = join(directory, SCRATCH_FOLDER);
  const status = lstatSync(folder, { throwIfNoEntry: false });
  if (status !== undefined && !status.isDirectory())
    throw new Error(`${folder}: is not a folder - remove it, edge-fleet needs the name while it writes`);
  return status !== undefined;
}

/** What an interrupted write may have written; empty when there is none or when it did not get that far. */
export function readKnown(directory: string): KnownHashes {
  if (!hasScratch(directory)) return new Map();
  try {
    const known = KnownSchema.parse(JSON.parse(readFileSync(join(directory, SCRATCH_FOLDER, "known.json"), "utf8")));
    return new Map(Object.entries(known).map(([path, hashes]) => [path, new Set(hashes)]));
  } catch {
    return new Map();
  }
}

/** Records what this write may write, before its first file. */
export function writeKnown(directory: string, known: KnownHashes): void {
  const text = JSON.stringify(Object.fromEntries([...known].map(([path, hashes]) => [path, [...hashes].sort()])));
  replaceFile(join(directory, SCRATCH_FOLDER, "known.json"), text, temporaryFile(directory));
}

/** Where this process writes a file before it renames it. */
export function temporaryFile(directory: string): string {
  return join(directory, SCRATCH_FOLDER, "file");
}

/**
 * Makes the folder and takes its lock. A lock whose process is gone is taken over.
 * @param waitMs how long to wait for another process, in milliseconds
 * @throws Error when another process still writes after that
 */
export function openScratch(directory: string, waitMs: number): void {
  const lock = join(directory, SCRATCH_FOLDER, "lock");
  const deadline = Date.now() + waitMs;
  for (;;) {
    mkdirSync(join(directory, SCRATCH_FOLDER), { recursive: true });
    if (createLock(lock)) return;
    const owner = readLock(lock);
    if (owner === undefined) continue;
    if (!isRunning(owner)) {
      writeFileSync(lock, String(process.pid));
      return;
    }
    if (Date.now() > deadline)
      throw new Error(
        `${directory}: process ${owner} is writing the tree - wait for it and run again, or delete ${lock} if that ` +
          "process is another program",
      );
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_POLL_MS);
  }
}

/** Removes the folder: the write has ended. */
export function closeScratch(directory: string): void {
  rmSync(join(directory, SCRATCH_FOLDER), { recursive: true, force: true });
}

function createLock(lock: string): boolean {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    // ENOENT: the writer before us has just removed the folder.
    if (["EEXIST", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

/** The process that holds the lock, 0 when the lock is unreadable, undefined when it is gone. */
function readLock(lock: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(lock, "utf8"), 10) || 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function isRunning(pid: number): boolean {
  if (pid === 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
