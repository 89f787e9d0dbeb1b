/**
 * The folder where built parts are kept: a key of a part's sources and compiler, and a folder of that name that is
 * filled once, by one process at a time. It lies outside the repository, so a checkout stays clean and CI can keep it.
 */
import { createHash } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** How often a waiting process looks at a lock, in milliseconds. */
const POLL_MS = 200;

/** Milliseconds between two progress lines. */
export const PROGRESS_MS = 10_000;

/**
 * The cache folder.
 * @param env environment; `EDGE_FLEET_CACHE` names it, else `$XDG_CACHE_HOME/edge-fleet`, else `~/.cache/edge-fleet`
 * @returns absolute path, which may not exist yet
 */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  return env.EDGE_FLEET_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "edge-fleet");
}

/**
 * The key of a build: equal for equal sources, compiler and flags, whatever the checkout's path.
 * @param directory folder of the module; every file in it counts, tests excepted
 * @param compiler what names the compiler and its target
 * @param flags arguments of the build
 * @returns 16 hexadecimal digits of a SHA-256
 */
export function cacheKey(directory: string, compiler: string, flags: readonly string[]): string {
  const hash = createHash("sha256").update(JSON.stringify([compiler, flags]));
  const files = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith("_test.go"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const file of files) {
    const content = readFileSync(file);
    hash.update(JSON.stringify([file.slice(directory.length), content.length])).update(content);
  }
  return hash.digest("hex").slice(0, 16);
}

/**
 * Returns a cache folder, filled first when it is missing. A folder appears under its name only when it is complete.
 * @param root the cache folder
 * @param entry name of the folder in it
 * @param fill fills the empty temporary folder that it is given
 * @param report gets a line every 10 s while another process fills the same folder
 * @returns path of the complete folder
 * @throws whatever `fill` throws; nothing is kept then
 */
export async function cached(
  root: string,
  entry: string,
  fill: (directory: string) => Promise<void>,
  report: (line: string) => void,
): Promise<string> {
  const directory = join(root, entry);
  if (existsSync(directory)) return directory;
  mkdirSync(root, { recursive: true });
  const release = await lock(`${directory}.lock`, report);
  try {
    if (existsSync(directory)) return directory;
    for (const name of readdirSync(root)) {
      if (name.startsWith(`${entry}.tmp-`)) rmSync(join(root, name), { recursive: true, force: true });
    }
    const temporary = `${directory}.tmp-${process.pid}`;
    mkdirSync(temporary);
    try {
      await fill(temporary);
      renameSync(temporary, directory);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
    return directory;
  } finally {
    release();
  }
}

/** Number of locks that this process has taken, to tell its own apart. */
let taken = 0;

/**
 * Takes a lock file, waiting for a living owner and replacing a dead one.
 * @param path the lock file; holds the owner's process id
 * @param report gets a line every 10 s while it waits
 * @returns function that gives the lock back
 */
export async function lock(path: string, report: (line: string) => void): Promise<() => void> {
  const ticket = `${path}.${process.pid}-${taken++}`;
  writeFileSync(ticket, String(process.pid));
  try {
    for (let waited = 0; !tryLink(ticket, path); waited += POLL_MS) {
      const owner = ownerOf(path);
      if (owner !== undefined && !isAlive(owner)) {
        removeStale(path, ticket);
        continue;
      }
      if (waited % PROGRESS_MS === 0) report(`waiting for process ${owner ?? "?"}, which holds ${path}`);
      await sleep(POLL_MS);
    }
  } finally {
    rmSync(ticket, { force: true });
  }
  return () => rmSync(path, { force: true });
}

/** `link` is atomic and carries the content along: no other process ever sees a lock without its owner. */
function tryLink(ticket: string, path: string): boolean {
  try {
    linkSync(ticket, path);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/**
 * Removes a dead owner's lock. It is moved aside first and looked at again: between reading and moving, another process
 * may have replaced it with a living one, which is put back.
 */
function removeStale(path: string, ticket: string): void {
  const aside = `${ticket}.stale`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return;
    throw error;
  }
  const owner = ownerOf(aside);
  if (owner !== undefined && isAlive(owner)) tryLink(aside, path);
  rmSync(aside, { force: true });
}

function ownerOf(path: string): number | undefined {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isErrno(error, "EPERM");
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
