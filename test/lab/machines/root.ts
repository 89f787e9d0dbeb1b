/**
 * Root file systems of machines: from an init to a folder in the cache, made once by mmdebstrap from Debian's packages.
 * Outside the lab's namespaces, since it needs the mirror.
 */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { cached, cacheRoot, PROGRESS_MS } from "../toolchain/cache.ts";
import { bootstrapArguments, type MachineInit, rootEntry } from "./plan.ts";

const execute = promisify(execFile);

const SET_UP = join(import.meta.dirname, "setup-root.sh");

/** How much of a failed command's output the error shows, in characters from the end. */
const SHOWN_OUTPUT = 2000;

/** Folder of a root file system, whether it is there or not. */
export function rootFolder(init: MachineInit): string {
  return join(cacheRoot(), rootEntry(init, readFileSync(SET_UP, "utf8")));
}

/**
 * Makes a root file system where it is missing.
 * @param report gets a line at the start, every 10 s and at the end
 * @returns its folder
 * @throws Error when this is not root or a package cannot be had, with the end of the output
 */
export async function ensureRoot(init: MachineInit, report: (line: string) => void): Promise<string> {
  const entry = rootEntry(init, readFileSync(SET_UP, "utf8"));
  return cached(cacheRoot(), entry, (directory) => makeRoot(init, directory, report), report);
}

/** The root file system that `ensureRoot` has made. @throws Error naming the command that makes it */
export function requireRoot(init: MachineInit): string {
  const folder = rootFolder(init);
  if (existsSync(folder)) return folder;
  throw new Error(`lab: ${folder} is missing - start the test with node test/run.ts, which makes it`);
}

async function makeRoot(init: MachineInit, directory: string, report: (line: string) => void): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error("lab: machines need root - run the tests as root or with sudo");
  const started = performance.now();
  const elapsed = () => `${Math.round((performance.now() - started) / 1000)} s`;
  report(`making the root file system of a machine with ${init}`);
  const ticker = setInterval(() => report(`root file system with ${init}: ${elapsed()}`), PROGRESS_MS);
  try {
    const { stdout: settings } = await execute("apt-config", ["dump", "Acquire"]);
    await run("mmdebstrap", bootstrapArguments(init, settings, directory));
    await run("sh", [SET_UP, directory]);
  } finally {
    clearInterval(ticker);
  }
  report(`made the root file system with ${init} in ${elapsed()}`);
}

async function run(command: string, args: readonly string[]): Promise<void> {
  try {
    await execute(command, [...args], { maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const output = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    throw new Error(`lab: ${command} failed - check that apt-get update works here:\n${output.slice(-SHOWN_OUTPUT)}`);
  }
}
