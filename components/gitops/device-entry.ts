/**
 * What one device gives its own engine: the projects and the root Application of Argo CD, or the root of Flux
 * (flux-root.ts). A root reads the device's entry in Git (entry.ts) and puts the facts of the device on top of it. So a
 * device's values, its patches and its labels need no file in Git.
 *
 * Maintenance windows are sync windows of the root's project alone: outside of them the entry is not taken, and what the
 * device runs heals at all times, because a window also stops the healing of the Applications in its project
 * (controller/appcontroller.go of Argo CD v3.2.11, "Sync prevented by sync window").
 */
import { posix } from "node:path";
import { SYNC_POLICY } from "./application.ts";
import type { EngineObject } from "./engine/pod.ts";
import { entryFolder, selectedComponents } from "./entry.ts";
import { fluxAccounts } from "./flux-accounts.ts";
import { renderFluxRoot } from "./flux-root.ts";
import { ARGO_CD_NAMESPACE, IN_CLUSTER, OVERLAY_WORKLOAD, ROOT_NAME, TYPE_LABEL } from "./labels.ts";
import type { Application, AppProject, KustomizePatch, PatchTarget } from "./objects.ts";
import { projectRules, renderDefaultProject, renderProject } from "./projects.ts";
import { takesWorkload } from "./select.ts";
import type { EntryFleet, TreeDevice } from "./tree-input.ts";
import { deviceSource, patchesOf, type SourceType } from "./values.ts";
import { syncWindows } from "./windows.ts";
import { formatYaml } from "./yaml.ts";

const METADATA = { namespace: ARGO_CD_NAMESPACE };

/**
 * Projects, `default` emptied first, and the root Application last, for the device's own cluster. A device with an agent has
 * its Applications and the other projects from the hub; one with Flux has accounts in the place of projects.
 */
export function renderDeviceEntry(fleet: EntryFleet, device: TreeDevice): EngineObject[] {
  if (device.engine === "flux") return [...fluxAccounts(fleet), ...renderFluxRoot(fleet, device)];
  if (device.engine === "argocd-agent") return [renderDefaultProject(METADATA)];
  return [
    renderDefaultProject(METADATA),
    renderRootProject(fleet, device),
    ...projectRules(fleet).map((rules) => renderProject(rules, METADATA, fleet.git.url, { server: IN_CLUSTER })),
    renderRoot(fleet, device),
  ];
}

/** May make Applications beside itself and nothing else. */
function renderRootProject({ git }: EntryFleet, { windows }: TreeDevice): AppProject {
  const open = windows === undefined ? [] : syncWindows(windows, ROOT_NAME);
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "AppProject",
    metadata: { name: ROOT_NAME, ...METADATA },
    spec: {
      description: "Takes the device's Applications from Git. Managed by edge-fleet.",
      sourceRepos: [git.url],
      destinations: [{ server: IN_CLUSTER, namespace: ARGO_CD_NAMESPACE }],
      clusterResourceWhitelist: [],
      namespaceResourceWhitelist: [{ group: "argoproj.io", kind: "Application" }],
      namespaceResourceBlacklist: [],
      ...(open.length === 0 ? {} : { syncWindows: open }),
    },
  };
}

/** Without a finalizer: what the device runs outlives it. Without `allowEmpty`: an entry that is empty by mistake uninstalls nothing. */
function renderRoot(fleet: EntryFleet, device: TreeDevice): Application {
  const { git } = fleet;
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Application",
    metadata: { name: ROOT_NAME, ...METADATA, labels: {} },
    spec: {
      project: ROOT_NAME,
      source: {
        repoURL: git.url,
        targetRevision: git.branch,
        path: posix.join(git.path, entryFolder(device, "argocd")),
        kustomize: { patches: rootPatches(fleet, device), ...selectedComponents(fleet, device) },
      },
      destination: { server: IN_CLUSTER, namespace: ARGO_CD_NAMESPACE },
      syncPolicy: {
        automated: SYNC_POLICY.automated,
        syncOptions: ["ApplyOutOfSyncOnly=true", "PruneLast=true"],
        retry: SYNC_POLICY.retry,
      },
      revisionHistoryLimit: 2,
    },
  };
}

/**
 * By type rather than by name, so that a workload that comes to the entry later has them too. A workload with patches of
 * its own has the whole list again: a list of an Application is replaced, not merged.
 */
function rootPatches({ patches, workloads = [] }: EntryFleet, device: TreeDevice): KustomizePatch[] {
  const types: readonly SourceType[] = ["kustomize", "helm"];
  const own = [undefined, ...workloads].flatMap((workload) => {
    const taken = takesWorkload(device, workload) ? patchesOf(patches, device, workload?.name) : [];
    const target = { name: workload?.name ?? OVERLAY_WORKLOAD };
    return taken.length === 0 ? [] : [sourcePatch(target, deviceSource("kustomize", device, taken))];
  });
  return [
    ...types.map((type) => sourcePatch({ labelSelector: `${TYPE_LABEL}=${type}` }, deviceSource(type, device))),
    ...own,
  ];
}

function sourcePatch(target: PatchTarget, source: ReturnType<typeof deviceSource>): KustomizePatch {
  const patch = {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Application",
    metadata: { name: "any" },
    spec: { source },
  };
  return { target: { group: "argoproj.io", kind: "Application", ...target }, patch: formatYaml([], patch) };
}
