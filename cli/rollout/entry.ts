/**
 * What a change of a ring's file changes beside it: the Applications that devices with an Argo CD of their own read in the
 * ring's entries. From the tree that the change is put on to the files that belong into the same commit.
 *
 * What is there is edited: only the commit of this one workload moves. So whatever else somebody has changed in fleet.yaml
 * or in the tree, a promotion brings none of it along, and a rollback is possible at any time.
 */
import { posix } from "node:path";
import {
  deployedIn,
  ENTRY_FOLDER,
  entryFolder,
  isEntryApplication,
  renderEntry,
  renderEntryKustomization,
} from "../../components/gitops/entry.ts";
import {
  MANIFEST_FILE,
  OVERLAY_WORKLOAD,
  type Pins,
  ringPath,
  type TreeDevice,
  type TreeInput,
  type TreeWorkload,
} from "../../components/gitops/index.ts";
import { extendManifest } from "../../components/gitops/manifest.ts";
import { parseRing } from "../../components/gitops/rings.ts";
import { type Place, takesPlace } from "../../components/gitops/select.ts";
import type { TreeSource } from "./tree-source.ts";

/** A ring of a workload and what it deploys from now on. */
export interface EntryChange {
  readonly ring: string;
  /** Full SHA. */
  readonly revision: string;
  /** Undefined: the overlays. */
  readonly workload: TreeWorkload | undefined;
}

const KUSTOMIZATION = "kustomization.yaml";
const REVISION = /^( *targetRevision: )["']?[0-9a-f]{40}["']?$/m;

/**
 * The files of the entries, and the manifest with their hashes; empty when no device reads an entry.
 * @param fleet what is rendered where an entry does not have the workload yet
 * @returns path below the tree -> content
 */
export async function entryFiles(
  fleet: TreeInput,
  change: EntryChange,
  tree: TreeSource,
): Promise<Map<string, string>> {
  const present = await tree.list(posix.join(ENTRY_FOLDER, change.ring));
  const name = change.workload?.name ?? OVERLAY_WORKLOAD;
  const moved = present.filter((path) => isEntryApplication(path) && posix.basename(path, ".yaml") === name);
  const texts = await tree.read(moved);
  const files = new Map(moved.map((path, index) => [path, pin(texts[index] ?? "", change.revision)]));
  const pins = await pinsOf(fleet, change, tree);
  for (const place of placesOf(fleet, change)) {
    const folder = entryFolder(place);
    if (moved.some((path) => path.startsWith(`${folder}/`))) continue;
    for (const [path, content] of addTo(fleet, place, change, present, pins))
      files.set(posix.join(folder, path), content);
  }
  if (files.size === 0) return files;
  const [manifest] = await tree.read([MANIFEST_FILE]);
  return files.set(MANIFEST_FILE, extendManifest(MANIFEST_FILE, manifest, files));
}

/** The revision quoted where it could be a number, as render writes it. */
function pin(text: string, revision: string): string {
  return text.replace(
    REVISION,
    (_, field: string) => `${field}${/^[0-9]/.test(revision) ? `"${revision}"` : revision}`,
  );
}

/** Where devices read entries that have the workload. */
function placesOf({ devices }: TreeInput, { ring, workload }: EntryChange): Place[] {
  const places = devices
    .filter(({ engine }) => engine === "argocd")
    .map(({ region, model }: TreeDevice): [string, Place] => [`${region}/${model}`, { ring, region, model }]);
  return [...new Map(places).values()].filter((place) => takesPlace(place, workload));
}

/** The files of an entry that does not have the workload yet, below its folder. */
function addTo(
  { git, workloads = [] }: TreeInput,
  place: Place,
  { revision, workload }: EntryChange,
  present: readonly string[],
  pins: Pins,
): Map<string, string> {
  const folder = entryFolder(place);
  if (!present.includes(posix.join(folder, KUSTOMIZATION)))
    return renderEntry(git, place, deployedIn(place, workloads, pins));
  const files = renderEntry(git, place, [{ workload, revision }]);
  const own = [...files.keys()].filter((path) => path !== KUSTOMIZATION && posix.dirname(path) === ".");
  const others = present.filter((path) => posix.dirname(path) === folder && posix.basename(path) !== KUSTOMIZATION);
  return files.set(
    KUSTOMIZATION,
    renderEntryKustomization(place, [...own, ...others.map((path) => posix.basename(path))]),
  );
}

/** What every ring file of the tree pins for this ring, with the change. */
async function pinsOf(
  { workloads = [] }: TreeInput,
  { ring, revision, workload }: EntryChange,
  tree: TreeSource,
): Promise<Pins> {
  const all = [undefined, ...workloads.map(({ name }) => name)];
  const texts = await tree.read(all.map((name) => ringPath(ring, name)));
  return new Map(
    all.flatMap((name, index): [string, Map<string, string>][] => {
      const text = texts[index];
      const own = name === workload?.name;
      if (!own && text === undefined) return [];
      const pinned = own ? revision : parseRing(ringPath(ring, name), text ?? "", name).revision;
      return [[name ?? OVERLAY_WORKLOAD, new Map([[ring, pinned]])]];
    }),
  );
}
