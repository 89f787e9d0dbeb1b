/**
 * Root file systems of machines: folders in the cache, made once by mmdebstrap from Debian's packages. Outside the
 * lab's namespaces, since it needs the mirror.
 */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { cached, cacheRoot, PROGRESS_MS } from "../toolchain/cache.ts";
import { bootstrapArguments, type MachineRoot, rootEntry } from "./plan.ts";

const execute = promisify(execFile);

/** Scripts that finish a root, in their order. */
const setUps = (root: MachineRoot): string[] =>
  ["setup-root.sh", ...(root === "pods" ? ["setup-pods.sh"] : [])].map((name) => join(import.meta.dirname, name));

const entryOf = (root: MachineRoot): string =>
  rootEntry(
    root,
    setUps(root)
      .map((file) => readFileSync(file, "utf8"))
      .join(""),
  );

/** How much of a failed command's output the error shows, in characters from the end. */
const SHOWN_OUTPUT = 2000;

/** Folder of a root file system, whether it is there or not. */
export function rootFolder(root: MachineRoot): string {
  return join(cacheRoot(), entryOf(root));
}

/**
 * Makes a root file system where it is missing.
 * @param report gets a line at the start, every 10 s and at the end
 * @returns its folder
 * @throws Error when this is not root or a package cannot be had, with the end of the output
 */
export async function ensureRoot(root: MachineRoot, report: (line: string) => void): Promise<string> {
  return cached(cacheRoot(), entryOf(root), (directory) => makeRoot(root, directory, report), report);
}

/** The root file system that `ensureRoot` has made. @throws Error naming the command that makes it */
export function requireRoot(root: MachineRoot): string {
  const folder = rootFolder(root);
  if (existsSync(folder)) return folder;
  throw new Error(`lab: ${folder} is missing - start the test with node test/run.ts, which makes it`);
}

async function makeRoot(root: MachineRoot, directory: string, report: (line: string) => void): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error("lab: machines need root - run the tests as root or with sudo");
  const started = performance.now();
  const elapsed = () => `${Math.round((performance.now() - started) / 1000)} s`;
  report(`making the root file system of a machine with ${root}`);
  const ticker = setInterval(() => report(`root file system with ${root}: ${elapsed()}`), PROGRESS_MS);
  try {
    const { stdout: settings } = await execute("apt-config", ["dump", "Acquire"]);
    await run("mmdebstrap", bootstrapArguments(root, settings, directory));
    for (const script of setUps(root)) await run("sh", [script, directory]);
  } finally {
    clearInterval(ticker);
  }
  report(`made the root file system with ${root} in ${elapsed()}`);
}

async function run(command: string, args: readonly string[]): Promise<void> {
  try {
    await execute(command, [...args], { maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const output = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    throw new Error(`lab: ${command} failed - check that apt-get update works here:\n${output.slice(-SHOWN_OUTPUT)}`);
  }
}
