/** Runs Kustomize on a folder, bounded in time and output, and tells whether it can be run at all. */
import { parseAllDocuments } from "yaml";
import { runProgram } from "../process.ts";

const TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** A build lives for a tenth of a second and spends a fifth of it collecting garbage; the limit bounds large ones. */
const QUICK_GO = { GOGC: "off", GOMEMLIMIT: "256MiB" };

/** The ways to run Kustomize, the first one that is on PATH counts. The folder comes last. */
const PROGRAMS = [
  { name: "kustomize", version: ["version"], build: ["build", "--"] },
  { name: "kubectl", version: ["version", "--client"], build: ["kustomize", "--"] },
] as const;

/**
 * How kubectl logs why it failed: with a time and a process id, by which equal reasons would differ.
 * https://github.com/kubernetes/component-base/blob/v0.36.2/cli/run.go
 */
const KUBECTL_FAILURE = /^E\d{4} [\d:.]+ +\d+ run\.go:\d+\] "command failed" err="(.*)"$/;

/** Names of the file that makes a folder a kustomization. */
export const KUSTOMIZATIONS = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

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

/** The objects of built manifests. */
export function parseManifests(text: string): unknown[] {
  const documents = parseAllDocuments(text, { version: "1.1" });
  return (Array.isArray(documents) ? documents : []).map(
    (document) => document.toJS({ maxAliasCount: 100 }) as unknown,
  );
}

/** Undefined when no program is there. */
async function run(what: "version" | "build", args: readonly string[], cwd: string): Promise<BuiltFolder | undefined> {
  const options = { cwd, environment: QUICK_GO, timeoutMs: TIMEOUT_MS, maxOutputBytes: MAX_OUTPUT_BYTES };
  for (const { name, [what]: verb } of PROGRAMS) {
    const { exitCode, stdout, stderr, ended } = await runProgram(name, [...verb, ...args], options);
    if (exitCode === 0) return { text: stdout };
    if (ended !== undefined)
      return { failure: `took over ${TIMEOUT_MS / 1000} s or printed over ${MAX_OUTPUT_BYTES / 2 ** 20} MiB` };
    if (exitCode === undefined && stderr.endsWith("ENOENT")) continue;
    const [line = ""] = stderr.trim().split("\n", 1);
    const reason = line.replace(/^Error: /, "").replace(KUBECTL_FAILURE, "$1");
    return { failure: reason === "" ? `ended with ${exitCode ?? "a signal"}` : reason };
  }
  return undefined;
}
