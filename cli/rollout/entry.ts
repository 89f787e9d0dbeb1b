/**
 * What a change of a ring's file changes beside it: what devices with an engine of their own read in the
 * ring's entries. Those files belong into the same commit.
 *
 * What is there is edited: only the commit of this one workload moves. So whatever else somebody has changed in fleet.yaml
 * or in the tree, a promotion brings none of it along, and a rollback is possible at any time.
 */
import { posix } from "node:path";
import {
  deployedIn,
  ENTRY_FOLDER,
  type EntryEngine,
  entryFolder,
  entryLeaves,
  isEntryResource,
  parseEntryPath,
  renderEntry,
  renderEntryKustomization,
} from "../../components/gitops/entry.ts";
import {
  MANIFEST_FILE,
  OVERLAY_WORKLOAD,
  type Pins,
  ringPath,
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

/** An entry of one engine. */
type EntryPlace = Place & { readonly engine: EntryEngine };

const KUSTOMIZATION = "kustomization.yaml";
/** Argo CD's field, and Flux'. */
const REVISION = /^( *(?:targetRevision|commit): )["']?[0-9a-f]{40}["']?$/m;

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
  const moved = present.filter((path) => parseEntryPath(path)?.name === name);
  const texts = await tree.read(moved);
  const files = new Map(moved.map((path, index) => [path, pin(texts[index] ?? "", change.revision)]));
  const pins = await pinsOf(fleet, change, tree);
  for (const place of placesOf(fleet, change)) {
    const folder = entryFolder(place, place.engine);
    if (moved.some((path) => isBelow(path, folder, place.engine))) continue;
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
function placesOf({ devices }: TreeInput, { ring, workload }: EntryChange): EntryPlace[] {
  return entryLeaves(devices)
    .map((leaf) => ({ ring, ...leaf }))
    .filter((place) => takesPlace(place, workload));
}

/** The entry for Flux lies below the one for Argo CD. */
function isBelow(path: string, folder: string, engine: EntryEngine): boolean {
  return path.startsWith(`${folder}/`) && parseEntryPath(path)?.engine === engine;
}

/** The files of an entry that does not have the workload yet, below its folder. */
function addTo(
  fleet: TreeInput,
  place: EntryPlace,
  { revision, workload }: EntryChange,
  present: readonly string[],
  pins: Pins,
): Map<string, string> {
  const { engine } = place;
  const folder = entryFolder(place, engine);
  if (!present.includes(posix.join(folder, KUSTOMIZATION)))
    return renderEntry(fleet, place, engine, deployedIn(place, fleet.workloads ?? [], pins));
  const files = renderEntry(fleet, place, engine, [{ workload, revision }]);
  const others = present.filter((path) => path.startsWith(`${folder}/`)).map((path) => posix.relative(folder, path));
  const resources = new Set([...files.keys(), ...others].filter(isEntryResource));
  return files.set(KUSTOMIZATION, renderEntryKustomization(place, [...resources]));
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
