/**
 * Renders the leaves of the layout `rendered`: runs Kustomize on folders of a tree that is on disk, several at a time, and
 * lays the results into the tree. The same folders give the same bytes as long as Kustomize is of the same release.
 */
import { join } from "node:path";
import { MANIFESTS_FILE } from "../../components/gitops/application.ts";
import { emittedHeader } from "../../components/gitops/kustomize.ts";
import type { Build, Tree, TreeFile } from "../../components/gitops/tree.ts";
import { buildFolder, eachBounded } from "./kustomize.ts";

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
  const files = new Map<string, string>();
  const failures: string[] = [];
  const build = async (one: Build) => {
    try {
      files.set(`${one.target}/${MANIFESTS_FILE}`, await runBuild(directory, one));
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

async function runBuild(directory: string, { source }: Build): Promise<string> {
  const built = await buildFolder(directory, source);
  if ("failure" in built)
    throw new Error(`${join(directory, source)}: kustomize cannot build it: ${built.failure} - mend it and run again`);
  const header = emittedHeader(`${source}/ or what it includes`, `${source}/`, "edge-fleet render --manifests");
  return `${header.map((line) => `# ${line}\n`).join("")}${built.text.replaceAll("\r\n", "\n")}`;
}
