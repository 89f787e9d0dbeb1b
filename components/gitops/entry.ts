/**
 * What the engine of a device reads in Git: the files of `entry/<ring>/<region>/<model>/`, and of `flux/` below it. One
 * Application per workload (of Flux a Kustomization with its GitRepository, flux-entry.ts), pinned to the ring's full
 * SHA, without any fact of a device, so 5,000 devices cost as many files as 50. A workload that selects by labels lies
 * in a Component of its own, which the root of a device that has them lists (device-entry.ts, flux-root.ts).
 *
 * An Application that leaves the entry takes what it has deployed along: that is what its finalizer is for.
 */
import { posix } from "node:path";
import type { Profile } from "../inventory/types.ts";
import { namespaceOf, renderTemplate } from "./application.ts";
import { FLUX_FOLDER, fluxNamespaces, NAMESPACES_FOLDER, renderFluxWorkload } from "./flux-entry.ts";
import { emittedHeader } from "./kustomize.ts";
import { ARGO_CD_NAMESPACE, IN_CLUSTER, OVERLAY_WORKLOAD } from "./labels.ts";
import type { Application } from "./objects.ts";
import { type Place, selectsByLabels, takesPlace, takesWorkload } from "./select.ts";
import type { EntryFleet, Pins, TreeDevice, TreeInput, TreeWorkload } from "./tree-input.ts";
import { formatObjects, formatYaml } from "./yaml.ts";

/** Folder of the entries below the tree's. */
export const ENTRY_FOLDER = "entry";
/** Folder of the Components below an entry. */
const SELECTED_FOLDER = "selected";
/** Deletes what an Application has deployed before the Application goes. */
const CASCADE = "resources-finalizer.argocd.argoproj.io";
const KUSTOMIZATION = "kustomization.yaml";

/** Engines that read entries. */
const ENTRY_ENGINES = ["argocd", "flux"] as const;

/** An engine that reads entries. */
export type EntryEngine = (typeof ENTRY_ENGINES)[number];

/** Whether an engine reads entries. */
export function readsEntry(engine: Profile["gitops"]["engine"]): engine is EntryEngine {
  return ENTRY_ENGINES.some((known) => known === engine);
}

/** A workload in an entry. */
export interface EntryWorkload {
  /** Absent: the overlays. */
  readonly workload?: TreeWorkload | undefined;
  /** Full commit SHA. */
  readonly revision: string;
}

/** The folder that devices of a leaf and ring read with an engine, below the tree's folder. */
export function entryFolder({ ring, region, model }: Place, engine: EntryEngine): string {
  return posix.join(ENTRY_FOLDER, ring, region, model, engine === "flux" ? FLUX_FOLDER : "");
}

/** The Component of a workload that selects by labels, below the entry's folder. */
function selectedFolder(workload: string): string {
  return posix.join(SELECTED_FOLDER, workload);
}

/**
 * The Components of the workloads that a device has for its labels, below the entry's folder, as both engines name them. One
 * that the entry lacks is a workload that the ring does not pin.
 */
export function selectedComponents({ workloads = [] }: EntryFleet, device: TreeDevice) {
  const components = workloads
    .filter((workload) => selectsByLabels(workload) && takesWorkload(device, workload))
    .map(({ name }) => selectedFolder(name));
  return components.length === 0 ? {} : { components, ignoreMissingComponents: true };
}

/** The file by which an engine deploys a workload, below the entry's folder. @param workload absent: the overlays */
export function applicationFile(workload?: TreeWorkload): string {
  const file = `${workload?.name ?? OVERLAY_WORKLOAD}.yaml`;
  return workload !== undefined && selectsByLabels(workload) ? posix.join(selectedFolder(workload.name), file) : file;
}

/** Whose file in an entry a path below the tree is, by its name; undefined for any other file. */
export function parseEntryPath(
  path: string,
): { readonly place: Place; readonly engine: EntryEngine; readonly name: string } | undefined {
  const [top, ring = "", region = "", model = "", ...below] = path.split("/");
  const engine = below[0] === FLUX_FOLDER ? "flux" : "argocd";
  const rest = engine === "flux" ? below.slice(1) : below;
  const file = rest.at(-1);
  if (top !== ENTRY_FOLDER || file === undefined || file === KUSTOMIZATION) return undefined;
  if (engine === "flux" && rest[0] === NAMESPACES_FOLDER) return undefined;
  return { place: { ring, region, model }, engine, name: posix.basename(file, ".yaml") };
}

/**
 * The entries of all rings: of every leaf with a device whose engine reads one. A ring that pins nothing has entries
 * without workloads, so that a root finds what it reads before the first promotion.
 * @returns path below the tree -> content
 */
export function renderEntries(fleet: TreeInput, pins: Pins): Map<string, string> {
  const { rings, devices, workloads = [] } = fleet;
  const files = new Map<string, string>();
  for (const ring of rings) {
    for (const { region, model, engine } of entryLeaves(devices)) {
      const place = { ring, region, model };
      const folder = entryFolder(place, engine);
      const entry = renderEntry(fleet, place, engine, deployedIn(place, workloads, pins));
      for (const [path, content] of entry) files.set(posix.join(folder, path), content);
    }
  }
  return files;
}

/** Leaves that engines read entries of, each once. */
export function entryLeaves(
  devices: readonly TreeDevice[],
): { readonly region: string; readonly model: string; readonly engine: EntryEngine }[] {
  const leaves = devices.flatMap(({ region, model, engine }) =>
    readsEntry(engine) ? [[`${region}/${model}/${engine}`, { region, model, engine }] as const] : [],
  );
  return [...new Map(leaves).values()];
}

/** What a leaf deploys in a ring, the overlays first. */
export function deployedIn(place: Place, workloads: readonly TreeWorkload[], pins: Pins): EntryWorkload[] {
  return [undefined, ...workloads].flatMap((workload) => {
    const revision = pins.get(workload?.name ?? OVERLAY_WORKLOAD)?.get(place.ring);
    return revision === undefined || !takesPlace(place, workload) ? [] : [{ workload, revision }];
  });
}

/** The files of one entry, by path below its folder. */
export function renderEntry(
  fleet: EntryFleet,
  place: Place,
  engine: EntryEngine,
  deployed: readonly EntryWorkload[],
): Map<string, string> {
  const files = new Map<string, string>();
  for (const { workload, revision } of deployed) {
    const file = applicationFile(workload);
    const objects =
      engine === "flux"
        ? renderFluxWorkload(fleet.git, place, revision, workload)
        : [renderEntryApplication(fleet.git, place, revision, workload)];
    files.set(file, formatObjects(header(place, workload), objects));
    if (posix.dirname(file) !== ".")
      files.set(posix.join(posix.dirname(file), KUSTOMIZATION), renderSelected(place, file));
    if (engine === "argocd") continue;
    for (const [path, own] of fluxNamespaces(fleet, workload)) files.set(path, formatObjects(header(place), own));
  }
  files.set(KUSTOMIZATION, renderEntryKustomization(place, [...files.keys()].filter(isEntryResource)));
  return files;
}

/** Whether a file below an entry's folder is one of the entry's own, and not of a Component. */
export function isEntryResource(file: string): boolean {
  const folder = posix.dirname(file);
  return (folder === "." || folder === NAMESPACES_FOLDER) && posix.basename(file) !== KUSTOMIZATION;
}

/** `kustomization.yaml` of an entry. @param resources files of workloads and namespaces, in any order */
export function renderEntryKustomization(place: Place, resources: readonly string[]): string {
  return formatYaml([...header(place), "Devices of this ring, region and model read this folder on the branch."], {
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: [...resources].sort(),
  });
}

function renderSelected(place: Place, file: string): string {
  return formatYaml([...header(place), "Read by devices with the labels that the workload selects."], {
    apiVersion: "kustomize.config.k8s.io/v1alpha1",
    kind: "Component",
    resources: [posix.basename(file)],
  });
}

/** The Application as it is for all devices of a leaf and ring. @param workload absent: the overlays */
export function renderEntryApplication(
  git: TreeInput["git"],
  place: Place,
  revision: string,
  workload?: TreeWorkload,
): Application {
  const { labels, spec } = renderTemplate({ ...place, revision }, git, workload);
  const { project, source, ...rest } = spec;
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Application",
    metadata: {
      name: workload?.name ?? OVERLAY_WORKLOAD,
      namespace: ARGO_CD_NAMESPACE,
      labels,
      finalizers: [CASCADE],
    },
    spec: { project, source, destination: { server: IN_CLUSTER, namespace: namespaceOf(workload) }, ...rest },
  };
}

function header({ ring }: Place, workload?: TreeWorkload): string[] {
  const option = workload === undefined ? "" : ` --workload ${workload.name}`;
  return emittedHeader("the inventory", "base/", `edge-fleet promote ${ring}${option}`);
}
