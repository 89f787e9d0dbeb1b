/**
 * What one device gives its own Flux: the GitRepository and the Kustomization that read the device's entry in Git
 * (flux-entry.ts) and put the facts of the device on top of it: how it logs in, how often it looks, its values, its
 * patches and its labels. Pure.
 */
import { posix } from "node:path";
import { entryFolder, selectedComponents } from "./entry.ts";
import {
  type FluxGit,
  type FluxKustomization,
  fluxInterval,
  fluxKustomization,
  type GitRepository,
  gitRepository,
  inFlux,
} from "./flux-objects.ts";
import { OVERLAY_WORKLOAD, ROOT_NAME, TYPE_LABEL } from "./labels.ts";
import type { KustomizePatch, PatchTarget } from "./objects.ts";
import { takesWorkload } from "./select.ts";
import type { EntryFleet, TreeDevice } from "./tree-input.ts";
import { deviceSource, patchesOf } from "./values.ts";
import { formatYaml } from "./yaml.ts";

/**
 * The root of a device with Flux, without `suspend`: that is the device program's, which holds it to the device's maintenance
 * windows (program/window.sh). It goes without what it has made, so that a device which gets another engine keeps what
 * it runs.
 */
export function renderFluxRoot(fleet: EntryFleet, device: TreeDevice): [GitRepository, FluxKustomization] {
  const { git } = fleet;
  const metadata = inFlux(ROOT_NAME);
  const interval = fluxInterval(device.flux?.reconcileMinutes);
  return [
    gitRepository(metadata, { url: git.url, interval, ref: { branch: git.branch }, ...logInOf(device) }),
    fluxKustomization(metadata, {
      path: posix.join(git.path, entryFolder(device, "flux")),
      interval,
      wait: false,
      serviceAccountName: ROOT_NAME,
      deletionPolicy: "Orphan",
      patches: rootPatches(fleet, device, interval),
      ...selectedComponents(fleet, device),
    }),
  ];
}

function logInOf({ flux }: TreeDevice): FluxGit {
  const { gitSecret, gitHubApp = false } = flux ?? {};
  return {
    ...(gitHubApp ? { provider: "github" } : {}),
    ...(gitSecret === undefined ? {} : { secretRef: { name: gitSecret } }),
  };
}

/** As those of Argo CD's root: by type, and whole again for a workload with patches of its own. */
function rootPatches({ patches, workloads = [] }: EntryFleet, device: TreeDevice, interval: string): KustomizePatch[] {
  const own = [undefined, ...workloads].flatMap((workload) => {
    const taken = takesWorkload(device, workload) ? patchesOf(patches, device, workload?.name) : [];
    return taken.length === 0 ? [] : [sourcePatch({ name: workload?.name ?? OVERLAY_WORKLOAD }, device, taken)];
  });
  const logIn = logInOf(device);
  return [
    ...(Object.keys(logIn).length === 0 ? [] : [repositoryPatch(logIn)]),
    kustomizationPatch({}, { interval }),
    sourcePatch({ labelSelector: `${TYPE_LABEL}=kustomize` }, device),
    ...own,
  ];
}

function sourcePatch(
  target: PatchTarget,
  device: TreeDevice,
  taken: Parameters<typeof deviceSource>[2] = [],
): KustomizePatch {
  return kustomizationPatch(target, { patches: deviceSource("kustomize", device, taken).kustomize?.patches ?? [] });
}

function kustomizationPatch(target: PatchTarget, spec: Partial<FluxKustomization["spec"]>): KustomizePatch {
  const [group, version, kind] = ["kustomize.toolkit.fluxcd.io", "v1", "Kustomization"];
  const patch = { apiVersion: `${group}/${version}`, kind, metadata: { name: "any" }, spec };
  return { target: { group, kind, ...target }, patch: formatYaml([], patch) };
}

function repositoryPatch(spec: FluxGit): KustomizePatch {
  const [group, version, kind] = ["source.toolkit.fluxcd.io", "v1", "GitRepository"];
  const patch = { apiVersion: `${group}/${version}`, kind, metadata: { name: "any" }, spec };
  return { target: { group, kind }, patch: formatYaml([], patch) };
}
