/**
 * Renders the leaves of the layout `rendered`: runs Kustomize on folders of a tree that is on disk, several at a time, and
 * lays the results into the tree. The same folders give the same bytes as long as Kustomize is of the same release.
 */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { MANIFESTS_FILE } from "../../components/gitops/application.ts";
import { emittedHeader } from "../../components/gitops/kustomize.ts";
import type { Build, Tree, TreeFile } from "../../components/gitops/tree.ts";
import { mapBounded } from "../parallel.ts";
import { buildFolder } from "./kustomize.ts";

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
  parallel = availableParallelism(),
): Promise<ReadonlyMap<string, string>> {
  const failures: string[] = [];
  const files = await mapBounded(builds, parallel, async ({ source, target }): Promise<[string, string]> => {
    const built = await buildFolder(directory, source);
    const header = emittedHeader(`${source}/ or what it includes`, `${source}/`, "edge-fleet render --manifests");
    const comment = header.map((line) => `# ${line}\n`).join("");
    if ("text" in built) return [`${target}/${MANIFESTS_FILE}`, comment + built.text.replaceAll("\r\n", "\n")];
    failures.push(`${join(directory, source)}: kustomize cannot build it: ${built.failure} - fix it and run again`);
    return [target, ""];
  });
  if (failures.length > 0) throw new Error(failures.sort().join("\n"));
  return new Map(files);
}

/** The tree with built files, by path, in the places that it left open. */
export function withManifests(tree: Tree, built: ReadonlyMap<string, string>): Tree {
  return new Map(
    [...tree].map(([path, file]): [string, TreeFile] => {
      const content = built.get(path);
      return [path, file.owner === "built" && content !== undefined ? { content, owner: "emitted" } : file];
    }),
  );
}
