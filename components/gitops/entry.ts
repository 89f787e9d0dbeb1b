/**
 * What an Argo CD on a device reads in Git: from the fleet and the commits that its rings pin to the files of
 * `entry/<ring>/<region>/<model>/`. One Application per workload, pinned to the ring's full SHA, without any fact of a
 * device, so 5,000 devices cost as many files as 50. A workload that selects by labels lies in a Component of its own,
 * which the root Application of a device that has them lists (device-entry.ts).
 *
 * An Application that leaves the entry takes what it has deployed along: that is what its finalizer is for.
 */
import { posix } from "node:path";
import { namespaceOf, renderTemplate } from "./application.ts";
import { emittedHeader } from "./kustomize.ts";
import { ARGO_CD_NAMESPACE, IN_CLUSTER, OVERLAY_WORKLOAD } from "./labels.ts";
import type { Application } from "./objects.ts";
import { type Place, selectsByLabels, takesPlace } from "./select.ts";
import type { Pins, TreeInput, TreeWorkload } from "./tree-input.ts";
import { formatYaml } from "./yaml.ts";

/** Folder of the entries below the tree's. */
export const ENTRY_FOLDER = "entry";
/** Folder of the Components below an entry. */
const SELECTED_FOLDER = "selected";
/** Deletes what an Application has deployed before the Application goes. */
const CASCADE = "resources-finalizer.argocd.argoproj.io";
const KUSTOMIZATION = "kustomization.yaml";

/** A workload in an entry. */
export interface EntryWorkload {
  /** Absent: the overlays. */
  readonly workload?: TreeWorkload | undefined;
  /** Full commit SHA. */
  readonly revision: string;
}

/** The folder that devices of a leaf and ring read, below the tree's folder. */
export function entryFolder({ ring, region, model }: Place): string {
  return posix.join(ENTRY_FOLDER, ring, region, model);
}

/** The Component of a workload that selects by labels, below the entry's folder. */
export function selectedFolder(workload: string): string {
  return posix.join(SELECTED_FOLDER, workload);
}

/** The file of a workload's Application, below the entry's folder. @param workload absent: the overlays */
export function applicationFile(workload?: TreeWorkload): string {
  const file = `${workload?.name ?? OVERLAY_WORKLOAD}.yaml`;
  return workload !== undefined && selectsByLabels(workload) ? posix.join(selectedFolder(workload.name), file) : file;
}

/** Whether a path below the tree is that of an Application in an entry. */
export function isEntryApplication(path: string): boolean {
  const [top, , , , ...rest] = path.split("/");
  return top === ENTRY_FOLDER && rest.length > 0 && rest.at(-1) !== KUSTOMIZATION;
}

/**
 * The entries of all rings: of every leaf with a device whose engine reads one. A ring that pins nothing has entries
 * without Applications, so that a root Application finds what it reads before the first promotion.
 * @returns path below the tree -> content
 */
export function renderEntries({ git, rings, devices, workloads = [] }: TreeInput, pins: Pins): Map<string, string> {
  const leaves = new Map(
    devices.filter(({ engine }) => engine === "argocd").map((device) => [`${device.region}/${device.model}`, device]),
  );
  const files = new Map<string, string>();
  for (const ring of rings) {
    for (const { region, model } of leaves.values()) {
      const place = { ring, region, model };
      const folder = entryFolder(place);
      const entry = renderEntry(git, place, deployedIn(place, workloads, pins));
      for (const [path, content] of entry) files.set(posix.join(folder, path), content);
    }
  }
  return files;
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
  git: TreeInput["git"],
  place: Place,
  deployed: readonly EntryWorkload[],
): Map<string, string> {
  const files = new Map<string, string>();
  for (const { workload, revision } of deployed) {
    const file = applicationFile(workload);
    files.set(file, formatYaml(header(place, workload), renderEntryApplication(git, place, revision, workload)));
    if (posix.dirname(file) !== ".")
      files.set(posix.join(posix.dirname(file), KUSTOMIZATION), renderSelected(place, file));
  }
  const resources = [...files.keys()].filter((file) => posix.dirname(file) === ".");
  files.set(KUSTOMIZATION, renderEntryKustomization(place, resources));
  return files;
}

/** `kustomization.yaml` of an entry. @param resources files of Applications, in any order */
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
