/**
 * Renders the leaves of the layout `rendered`: runs Kustomize on folders of a tree that is on disk, several at a time, and
 * lays the results into the tree. The same folders give the same bytes as long as Kustomize is of the same release.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { MANIFESTS_FILE } from "./application.ts";
import { eachBounded } from "./check-build.ts";
import { emittedHeader } from "./kustomize.ts";
import type { Build, Tree, TreeFile } from "./tree.ts";

const execute = promisify(execFile);
/** Manifests of one leaf; the limit of a Kubernetes object is 1.5 MiB, so this is far beyond any leaf. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** The ways to run Kustomize, the first one that is on PATH counts. The folder comes last. */
const COMMANDS: readonly (readonly [command: string, ...args: string[]])[] = [
  ["kustomize", "build"],
  ["kubectl", "kustomize"],
];

/** Manifests by path below the tree. */
export type BuiltFiles = ReadonlyMap<string, string>;

/**
 * Renders folders of a tree.
 * @param directory the tree's folder, up to date
 * @param builds what to render, see `listBuilds`
 * @param parallel how many at a time. Default: as many as the machine has processors
 * @returns `<target>/manifests.yaml` -> its content, by path
 * @throws Error when neither kustomize nor kubectl is on PATH, or naming every folder that cannot be built and why
 */
export async function buildManifests(
  directory: string,
  builds: readonly Build[],
  parallel?: number,
): Promise<BuiltFiles> {
  if (builds.length === 0) return new Map();
  const command = await findKustomize();
  const files = new Map<string, string>();
  const failures: string[] = [];
  const build = async (one: Build) => {
    try {
      files.set(`${one.target}/${MANIFESTS_FILE}`, await runBuild(command, directory, one));
    } catch (error) {
      failures.push((error as Error).message);
    }
  };
  await eachBounded(builds, build, parallel);
  if (failures.length > 0) throw new Error(failures.sort().join("\n"));
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The tree with built files in the places that it left open. */
export function withManifests(tree: Tree, built: BuiltFiles): Tree {
  return new Map(
    [...tree].map(([path, file]): [string, TreeFile] => {
      const content = built.get(path);
      return [path, file.owner === "built" && content !== undefined ? { content, owner: "emitted" } : file];
    }),
  );
}

async function findKustomize(): Promise<readonly string[]> {
  for (const command of COMMANDS) {
    const [name = ""] = command;
    try {
      await execute(name, name === "kubectl" ? ["version", "--client"] : ["version"]);
      return command;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  throw new Error(
    "neither kustomize nor kubectl is on PATH - install kustomize 5 (https://kubectl.docs.kubernetes.io)",
  );
}

async function runBuild(command: readonly string[], directory: string, { source }: Build): Promise<string> {
  const [name = "", ...args] = command;
  const folder = join(directory, source);
  try {
    const { stdout } = await execute(name, [...args, folder], { maxBuffer: MAX_OUTPUT_BYTES });
    const header = emittedHeader(`${source}/ or what it includes`, `${source}/`, "edge-fleet render --manifests");
    return `${header.map((line) => `# ${line}\n`).join("")}${stdout.replaceAll("\r\n", "\n")}`;
  } catch (cause) {
    const { stderr } = cause as { stderr?: string };
    const reason = (stderr || String((cause as Error).message)).trim().split("\n", 1)[0];
    throw new Error(`${folder}: ${name} cannot build it: ${reason} - mend it and run again`, { cause });
  }
}
