/**
 * Whether a workload may leave an entry, which uninstalls what it deployed on every device that reads the entry. From
 * fleet.yaml to why not: a workload leaves because fleet.yaml says so, never because something is missing.
 */
import { posix } from "node:path";
import { ringPath } from "./applicationset.ts";
import { entryFolder, parseEntryPath } from "./entry.ts";
import { OVERLAY_WORKLOAD } from "./labels.ts";
import { takesPlace } from "./select.ts";
import type { TreeInput } from "./tree-input.ts";

/** Why a file stays, and what the operator can do. */
export interface Keep {
  readonly reason: string;
  readonly fix: string;
}

/**
 * Why the file of a tree that is no longer rendered must not be deleted; undefined when it may be. With its whole leaf it
 * may: a device finds no entry then, and keeps what it runs.
 * @param path of the file below the tree
 * @param rendered whether a path is part of the new tree
 */
export function keepsEntry(
  { workloads = [] }: Pick<TreeInput, "workloads">,
  path: string,
  rendered: { has(path: string): boolean; keys(): Iterable<string> },
): Keep | undefined {
  const found = parseEntryPath(path);
  if (found === undefined) return undefined;
  const { place, engine, name } = found;
  const folder = entryFolder(place, engine);
  const left = [...rendered.keys()]
    .filter((other) => other.startsWith(`${folder}/`))
    .flatMap((other) => parseEntryPath(other) ?? [])
    .filter((other) => other.engine === engine);
  if (!rendered.has(posix.join(folder, "kustomization.yaml")) || left.some((other) => other.name === name))
    return undefined;
  const workload = workloads.find((candidate) => candidate.name === name);
  if (workload === undefined && name !== OVERLAY_WORKLOAD)
    return {
      reason: `devices would uninstall workload ${name}, which fleet.yaml no longer names`,
      fix: "name it there with `state: removed`, and delete it in the change after that",
    };
  if (takesPlace(place, workload)) {
    const file = ringPath(place.ring, workload?.name);
    return {
      reason: `devices would uninstall ${name}, because ${file} is gone`,
      fix: `restore it: git checkout -- ${file}`,
    };
  }
  if (left.length > 0 || engine === "flux") return undefined;
  return {
    reason: `${name} is the last workload of ring ${place.ring} there, and an Argo CD uninstalls no last one by itself`,
    fix: `promote the overlays to ring ${place.ring} first`,
  };
}
