/**
 * Runs Kustomize, bounded in time and output, and tells whether it can be run at all: from a folder to its manifests, or
 * to why there are none.
 */
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";

const execute = promisify(execFile);
const TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** A build lives for a tenth of a second and spends a fifth of it collecting garbage; the limit bounds large ones. */
const QUICK_GO = { GOGC: "off", GOMEMLIMIT: "256MiB" };

/** The ways to run Kustomize, the first one that is on PATH counts. The folder comes last. */
const PROGRAMS = [
  { name: "kustomize", version: ["version"], build: ["build", "--"] },
  { name: "kubectl", version: ["version", "--client"], build: ["kustomize", "--"] },
] as const;

/** Manifests of a folder, or why there are none. */
export type BuiltFolder = { readonly text: string } | { readonly failure: string };

/** True when `kustomize`, or a `kubectl` that contains it, is on PATH. */
export async function hasKustomize(): Promise<boolean> {
  return (await run("version", [], process.cwd())) !== undefined;
}

/**
 * Builds a folder.
 * @param directory where to run
 * @param path folder of the kustomization, below `directory`
 * @throws Error when neither `kustomize` nor `kubectl` is on PATH
 */
export async function buildFolder(directory: string, path: string): Promise<BuiltFolder> {
  const built = await run("build", [path], directory);
  if (built !== undefined) return built;
  throw new Error(
    "neither kustomize nor kubectl is on PATH - install kustomize 5 (https://kubectl.docs.kubernetes.io)",
  );
}

/**
 * Works on items, a bounded number at a time. Results are handed over one by one and not kept.
 * @param parallel how many at a time. Default: as many as the machine has processors
 */
export async function eachBounded<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
  parallel = availableParallelism(),
): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.max(1, parallel) }, worker));
}

/** The objects of built manifests. */
export function parseManifests(text: string): unknown[] {
  const documents = parseAllDocuments(text, { version: "1.1" });
  return (Array.isArray(documents) ? documents : []).map(
    (document) => document.toJS({ maxAliasCount: 100 }) as unknown,
  );
}

/** Undefined when no program is there. */
async function run(what: "version" | "build", args: readonly string[], cwd: string): Promise<BuiltFolder | undefined> {
  for (const { name, [what]: verb } of PROGRAMS) {
    const built = await runProgram(name, [...verb, ...args], cwd);
    if (built !== undefined) return built;
  }
  return undefined;
}

/** Undefined when the program is not there. */
async function runProgram(name: string, args: readonly string[], cwd: string): Promise<BuiltFolder | undefined> {
  try {
    const env = { ...QUICK_GO, ...process.env };
    const bounds = { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES };
    const { stdout } = await execute(name, args, { cwd, env, ...bounds });
    return { text: stdout };
  } catch (error) {
    const { code, killed, stderr = "" } = error as { code?: string | number; killed?: boolean; stderr?: string };
    if (code === "ENOENT") return undefined;
    if (killed)
      return { failure: `took over ${TIMEOUT_MS / 1000} s or printed over ${MAX_OUTPUT_BYTES / 2 ** 20} MiB` };
    return {
      failure:
        stderr
          .trim()
          .replace(/^Error: /, "")
          .split("\n", 1)[0] || `ended with ${code}`,
    };
  }
}
