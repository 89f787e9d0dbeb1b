/**
 * The objects by which the pull engine of one device knows what to run, at the commits that its ring pins. With
 * `argocd-agent` they are the Applications that the hub's ApplicationSets make; with `argocd` and `flux` what `up`
 * brings to the device, and behind its root what its entry in Git makes; with `none` there is no engine.
 */
import { renderHubTemplate } from "../../components/gitops/application.ts";
import { renderDeviceEntry } from "../../components/gitops/device-entry.ts";
import { deployedIn, type EntryWorkload, renderEntryApplication } from "../../components/gitops/entry.ts";
import { fluxNamespaces, renderFluxWorkload } from "../../components/gitops/flux-entry.ts";
import { type FluxKustomization, fluxInterval, type GitRepository } from "../../components/gitops/flux-objects.ts";
import { renderFluxRoot } from "../../components/gitops/flux-root.ts";
import { controlPlaneNamespace } from "../../components/gitops/labels.ts";
import type { Application, ApplicationSource } from "../../components/gitops/objects.ts";
import { takesWorkload } from "../../components/gitops/select.ts";
import type { Pins, TreeDevice, TreeGit, TreeInput } from "../../components/gitops/tree-input.ts";
import { type DeviceSource, deviceSource, patchesOf, sourceType } from "../../components/gitops/values.ts";

/** Objects of an engine, and whose they are. */
export interface Pull {
  /** Where they are and who brings them there, for people. */
  readonly where: string;
  /** In the order in which they are applied. */
  readonly objects: readonly object[];
  /** What the ring pins for the device; empty: it deploys nothing. */
  readonly deployed: readonly EntryWorkload[];
}

/** Renders the objects of a device. */
export function renderPull(device: TreeDevice, input: TreeInput, pins: Pins): Pull {
  if (device.engine === "none") return { where: "nowhere", objects: [], deployed: [] };
  const deployed = deploymentsOf(device, input, pins);
  if (device.engine === "flux")
    return {
      where: "in its own cluster, brought by up, and what follows the Kustomization edge-root by Git",
      objects: [...renderDeviceEntry(input, device), ...fluxChildren(device, input, deployed)],
      deployed,
    };
  if (device.engine === "argocd-agent")
    return {
      where: "on the hub, made by its ApplicationSets",
      objects: deployed.map((one) => renderHubApplication(device, input.git, one)),
      deployed,
    };
  const children = deployed.map((one) => renderChild(device, input, one));
  return {
    where: "in its own cluster, brought by up, and the Applications below edge-root by Git",
    objects: [...renderDeviceEntry(input, device), ...children],
    deployed,
  };
}

/** What a device deploys, the overlay first. */
export function deploymentsOf(
  device: TreeDevice,
  { workloads = [] }: Pick<TreeInput, "workloads">,
  pins: Pins,
): EntryWorkload[] {
  return deployedIn(device, workloads, pins).filter(({ workload }) => takesWorkload(device, workload));
}

/** The Application that the controller of the hub makes of a device and its ring file. */
export function renderHubApplication(
  device: TreeDevice,
  git: TreeGit,
  { workload, revision }: EntryWorkload,
): Application {
  const { id, region } = device;
  const { metadata, spec } = renderHubTemplate({ ...device, idNormalized: id, revision }, git, workload);
  const own = deviceSource(sourceType(workload), device);
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Application",
    metadata: { ...metadata, namespace: controlPlaneNamespace(region) },
    spec: { ...spec, source: withDevice(spec.source, own) },
  };
}

/** The Application that the root Application of a device makes of the entry in Git. */
function renderChild(
  device: TreeDevice,
  { git, patches }: TreeInput,
  { workload, revision }: EntryWorkload,
): Application {
  const { spec, ...rest } = renderEntryApplication(git, device, revision, workload);
  const own = deviceSource(sourceType(workload), device, patchesOf(patches, device, workload?.name));
  return { ...rest, spec: { ...spec, source: withDevice(spec.source, own) } };
}

function withDevice(source: ApplicationSource, { kustomize, helm }: DeviceSource): ApplicationSource {
  return {
    ...source,
    ...(kustomize === undefined ? {} : { kustomize }),
    ...(helm === undefined ? {} : { helm: { ...source.helm, ...helm } }),
  };
}

/** What the root Kustomization of a device makes of the entry in Git, each namespace once and first. */
function fluxChildren(device: TreeDevice, fleet: TreeInput, deployed: readonly EntryWorkload[]): object[] {
  const { git, patches } = fleet;
  const [root] = renderFluxRoot({ git }, device);
  const { provider, secretRef } = root.spec;
  const logIn = { ...(provider === undefined ? {} : { provider }), ...(secretRef === undefined ? {} : { secretRef }) };
  const namespaces = new Map(deployed.flatMap(({ workload }) => [...fluxNamespaces(fleet, workload)]));
  const children = deployed.flatMap(({ workload, revision }): [GitRepository, FluxKustomization] => {
    const [repository, kustomization] = renderFluxWorkload(git, device, revision, workload);
    const own = deviceSource("kustomize", device, patchesOf(patches, device, workload?.name)).kustomize?.patches ?? [];
    const interval = fluxInterval(device.flux?.reconcileMinutes);
    return [
      { ...repository, spec: { ...repository.spec, ...logIn } },
      { ...kustomization, spec: { ...kustomization.spec, interval, patches: own } },
    ];
  });
  return [...[...namespaces.values()].flat(), ...children];
}
