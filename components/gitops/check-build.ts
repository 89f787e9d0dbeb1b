/**
 * Runs `kustomize build`, bounded in time and output, and tells whether it can be run at all. The only program that the
 * checks start.
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

/** Manifests of a folder, or why there are none. */
export type Build = { readonly text: string } | { readonly failure: string };

/** True when `kustomize` is on PATH. */
export async function hasKustomize(): Promise<boolean> {
  return (await run(["version"], process.cwd())) !== undefined;
}

/**
 * Builds a folder.
 * @param directory where to run
 * @param path folder of the kustomization, below `directory`
 * @throws Error when `kustomize` is not on PATH
 */
export async function buildFolder(directory: string, path: string): Promise<Build> {
  const build = await run(["build", "--", path], directory);
  if (build === undefined) throw new Error("kustomize is not on PATH - install kustomize v5");
  return build;
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

/** Undefined when the program cannot be started. */
async function run(args: readonly string[], cwd: string): Promise<Build | undefined> {
  try {
    const env = { ...QUICK_GO, ...process.env };
    const bounds = { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES };
    const { stdout } = await execute("kustomize", args, { cwd, env, ...bounds });
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
