/**
 * What the patches of single devices do, before a device is the first to try: from fleet.yaml's patches and the tree to those
 * that select nothing, that break a build, or that make what the checks of a tree refuse. Devices with the same patches of
 * the same folder are one build.
 */
import { availableParallelism } from "node:os";
import {
  listBuilds,
  OVERLAY_WORKLOAD,
  sourceFolder,
  type TreeDevice,
  type TreeInput,
  type TreeWorkload,
  takesWorkload,
} from "../../components/gitops/index.ts";
import type { KustomizePatch } from "../../components/gitops/objects.ts";
import type { TreePatch } from "../../components/gitops/tree-input.ts";
import { deviceSource, patchesOf } from "../../components/gitops/values.ts";
import { parseManifests } from "../manifests/kustomize.ts";
import { asMap, itemsOf } from "../manifests/objects.ts";
import { type TreeCopy, withTreeCopy } from "../manifests/patched.ts";
import { mapBounded } from "../parallel.ts";
import type { Finding, Rendered } from "./builds.ts";

/** What the devices of one folder get that have the same patches of it. */
export interface PatchedFolder {
  /** Below the tree, as the devices read it. */
  readonly path: string;
  /** Undefined: the overlays. */
  readonly workload: TreeWorkload | undefined;
  readonly patches: readonly TreePatch[];
  /** At least one. */
  readonly devices: readonly TreeDevice[];
}

/** What the checks have against the objects of a folder. */
export type CheckObjects = (rendered: Rendered, folder: PatchedFolder) => Finding[];

/** Something that a patch does wrong. */
interface Fault extends Pick<Finding, "rule" | "path" | "message"> {
  /** Field of the patch. */
  readonly at: "patch" | "target" | "devices";
  readonly patch: TreePatch;
  readonly devices: readonly TreeDevice[];
}

/** What became of a folder. */
interface Outcome {
  readonly folder: PatchedFolder;
  /** Patches that select no object. */
  readonly idle: readonly TreePatch[];
  readonly faults: readonly Fault[];
}

/** Annotation on what a patch selects; its place in the folder's list follows. */
const PROBE = "edge-fleet.dev/selected-by-";

/** Builds what devices with patches get. @param directory the tree's folder */
export async function checkPatches(directory: string, input: TreeInput, check: CheckObjects): Promise<Finding[]> {
  const { patches = [] } = input;
  if (patches.length === 0) return [];
  const builds = new Map(listBuilds(input).map((build) => [build.target, build]));
  const byPath = [...Map.groupBy(patchedFolders(input), ({ path }) => path)];
  const outcomes = await withTreeCopy(directory, (copy) =>
    mapBounded(byPath, availableParallelism(), async ([path, folders]) => {
      const build = builds.get(path);
      if (build !== undefined && !(await copy.render(build))) return [];
      const tried: Outcome[] = [];
      for (const folder of folders) tried.push(await tryPatches(copy, folder, check));
      return tried;
    }),
  );
  const all = outcomes.flat();
  return patches.flatMap((patch, index) => {
    const own = all.flatMap(({ faults }) => faults).filter((fault) => fault.patch === patch);
    return joinAlike([...own, ...findIdle(patch, all), ...findUntaken(input, patch)], index);
  });
}

/** Folders in which a patch does the same wrong are one problem of all of their devices. */
function joinAlike(faults: readonly Fault[], index: number): Finding[] {
  return [...Map.groupBy(faults, ({ at, message }) => JSON.stringify([at, message])).values()].flatMap((alike) => {
    const devices = nameDevices(alike.flatMap((fault) => fault.devices));
    return alike.map(({ rule, path, at, message }): Finding => {
      const field = ["patches", index, at];
      return { rule, path, where: at, message: `on ${devices}: ${message}`, value: undefined, field };
    });
  });
}

function patchedFolders({ devices, workloads = [], patches, git }: TreeInput): PatchedFolder[] {
  const kustomized = workloads.filter(({ type }) => type !== "helm");
  const folders = devices.flatMap((device) =>
    [undefined, ...kustomized].flatMap((workload): PatchedFolder[] => {
      const own = takesWorkload(device, workload) ? patchesOf(patches, device, workload?.name) : [];
      const path = sourceFolder(git.layout, device, workload);
      return own.length === 0 ? [] : [{ path, workload, patches: own, devices: [device] }];
    }),
  );
  const same = Map.groupBy(folders, ({ path, patches: own }) =>
    JSON.stringify([path, own.map((patch) => patches?.indexOf(patch))]),
  );
  return [...same.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [{ ...first, devices: group.flatMap((folder) => folder.devices) }];
  });
}

/** A folder that does not build without the patches of the devices is not looked into: that is said of the folder. */
async function tryPatches(copy: TreeCopy, folder: PatchedFolder, check: CheckObjects): Promise<Outcome> {
  const { path, patches, devices } = folder;
  const [device] = devices;
  const given = (own: readonly TreePatch[]) =>
    device === undefined ? [] : (deviceSource("kustomize", device, own).kustomize?.patches ?? []);
  const bare = await copy.build(path, given([]));
  if ("failure" in bare) return { folder, idle: [], faults: [] };
  const probed = patches.flatMap((patch, index) => [...probeOf(patch, index), ...given([patch]).slice(-1)]);
  const full = await copy.build(path, [...given([]), ...probed]);
  if ("failure" in full) {
    const culprit = await findCulprit(copy, path, patches, given);
    return { folder, idle: [], faults: culprit === undefined ? [] : [brokenBy(culprit, folder)] };
  }
  const objects = objectsIn(full.text);
  const missed = patches.filter((patch, index) => probeOf(patch, index).length > 0 && !isSelected(objects, index));
  // An object that a patch deletes takes its mark along.
  const alone = missed.length === 0 ? undefined : await copy.build(path, [...given([]), ...patches.flatMap(probeOf)]);
  const marked = alone !== undefined && "text" in alone ? objectsIn(alone.text) : objects;
  const idle = missed.filter((patch) => !isSelected(marked, patches.indexOf(patch)));
  const before = new Set(check({ path, objects: objectsIn(bare.text), findings: [] }, folder).map(keyOf));
  const made = check({ path, objects, findings: [] }, folder).filter((finding) => !before.has(keyOf(finding)));
  return { folder, idle, faults: made.flatMap((finding) => attribute(finding, folder)) };
}

function objectsIn(text: string): unknown[] {
  return parseManifests(text).flatMap((object) => itemsOf(object).map(({ value }) => value));
}

/** Without a target Kustomize itself refuses a patch that selects nothing. */
function probeOf({ target }: TreePatch, index: number): KustomizePatch[] {
  const metadata = { name: "any", annotations: { [`${PROBE}${index}`]: "" } };
  return target === undefined ? [] : [{ target, patch: JSON.stringify({ apiVersion: "v1", kind: "Any", metadata }) }];
}

function isSelected(objects: readonly unknown[], index: number): boolean {
  return objects.some((object) => Object.hasOwn(asMap(asMap(asMap(object).metadata).annotations), `${PROBE}${index}`));
}

/** The first patch with which the folder builds no longer, and why. */
async function findCulprit(
  copy: TreeCopy,
  path: string,
  patches: readonly TreePatch[],
  given: (own: readonly TreePatch[]) => readonly KustomizePatch[],
): Promise<{ readonly patch: TreePatch; readonly failure: string } | undefined> {
  for (const [index, patch] of patches.entries()) {
    const built = await copy.build(path, given(patches.slice(0, index + 1)));
    if ("failure" in built) return { patch, failure: built.failure };
  }
  return undefined;
}

function brokenBy(
  { patch, failure }: { readonly patch: TreePatch; readonly failure: string },
  { path, devices }: PatchedFolder,
): Fault {
  const message = `breaks the build: ${failure} - correct the patch, or what it names`;
  return { rule: "patch", path, at: "patch", message, patch, devices };
}

/** What the patches make is told at the one that writes it, else at the first. */
function attribute({ rule, where, message, value }: Finding, { path, patches, devices }: PatchedFolder): Fault[] {
  const patch = patches.find((candidate) => candidate.patch.includes(value ?? where)) ?? patches[0];
  return patch === undefined ? [] : [{ rule, path, at: "patch", message: `${where}: ${message}`, patch, devices }];
}

function keyOf({ rule, where, message }: Finding): string {
  return JSON.stringify([rule, where, message]);
}

/** One that names its devices has to select something on each; one by labels is for those of them that have the object. */
function findIdle(patch: TreePatch, outcomes: readonly Outcome[]): Fault[] {
  const own = outcomes.filter(({ folder }) => folder.patches.includes(patch));
  const idle = own.filter((outcome) => outcome.idle.includes(patch));
  if (patch.devices === undefined && idle.length < own.length) return [];
  const message = "selects no object - correct the target, or leave the device out";
  return idle.map(({ folder: { path, devices } }) => ({ rule: "patch", path, at: "target", message, patch, devices }));
}

/** Devices that a patch names and that do not have its workload. */
function findUntaken({ devices, workloads = [], git }: TreeInput, patch: TreePatch): Fault[] {
  const workload = workloads.find(({ name }) => name === patch.workload);
  const message = `workload ${workload?.name ?? OVERLAY_WORKLOAD} is not for it - leave it out, or let the workload select it`;
  return devices
    .filter((device) => patch.devices?.includes(device.id) && !takesWorkload(device, workload))
    .map((device) => {
      const path = sourceFolder(git.layout, device, workload);
      return { rule: "patch", path, at: "devices", message, patch, devices: [device] };
    });
}

function nameDevices([first, ...others]: readonly TreeDevice[]): string {
  return `device ${first?.id ?? ""}${others.length === 0 ? "" : ` and ${others.length} more`}`;
}
