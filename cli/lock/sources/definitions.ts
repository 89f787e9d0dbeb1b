/** Definitions of a release: where each one is, or comes, in the lock. Pure. */
import type { ArtifactFile } from "../../../components/inventory/index.ts";
import { findDefinition } from "../../../components/plan/artifact.ts";
import type { UsedArtifact } from "../artifact.ts";

/**
 * Places definitions in the list of their release: one is found again by its file name, wherever its locked URL points, and
 * those that are new come after all others.
 * @param release path of the release in the lock, e.g. `["argocd", "v3.2.11"]`
 * @param files names, each once
 */
export function placeDefinitions(
  release: readonly string[],
  locked: readonly ArtifactFile[] = [],
  files: readonly string[],
): (Pick<UsedArtifact, "path" | "field" | "locked"> & { readonly file: string })[] {
  let free = locked.length;
  return files.map((file) => {
    const found = findDefinition(locked, file);
    const path = [...release, "crds", found === undefined ? free++ : locked.indexOf(found)];
    return { file, path, field: `${release.join(".")}.crds (${file})`, locked: found };
  });
}
