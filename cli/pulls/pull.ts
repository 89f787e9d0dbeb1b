/**
 * What the pull engine of one device takes: from the device and the commits that its ring pins to the objects by which
 * the engine knows what to run. With `argocd-agent` they are the Applications that the hub's ApplicationSets make; with
 * `argocd` and `flux` they belong into the device's own cluster, beside an engine that somebody has installed there.
 */
import { deviceSource, renderTemplate } from "../../components/gitops/application.ts";
import { takesWorkload } from "../../components/gitops/applicationset.ts";
import { controlPlaneNamespace, WORKLOAD_NAMESPACE } from "../../components/gitops/labels.ts";
import type { Application } from "../../components/gitops/objects.ts";
import type { TreeDevice, TreeGit, TreeInput, TreeWorkload } from "../../components/gitops/tree-input.ts";
import type { Revisions } from "../rollout/rings.ts";
import { FLUX_NAMESPACE, renderFlux } from "./flux.ts";

/** Namespace of an Argo CD of the device's own. */
export const ARGO_CD_NAMESPACE = "argocd";

/** Objects of an engine, and whose they are. */
export interface Pull {
  /** `hub`: the ApplicationSets make them. `device`: somebody applies them there, again after each promotion. */
  readonly cluster: "hub" | "device";
  /** Namespace of the engine in that cluster; undefined for the hub, where each object names its own. */
  readonly namespace: string | undefined;
  /** In the order in which they are applied; empty when the ring pins no commit. */
  readonly objects: readonly object[];
}

/** A workload that a device deploys. */
export interface Deployment {
  /** Absent: the overlay of region and model. */
  readonly workload?: TreeWorkload | undefined;
  /** Full commit SHA that the device's ring pins for it. */
  readonly revision: string;
}

/**
 * Renders the objects of a device.
 * @param revisions full commit SHA by ring, of the overlays
 * @param workloads revisions by ring of each workload of its own, by its name
 */
export function renderPull(
  device: TreeDevice,
  input: Pick<TreeInput, "git" | "workloads">,
  revisions: Revisions,
  workloads: ReadonlyMap<string, Revisions>,
): Pull {
  const deployments = deploymentsOf(device, input, revisions, workloads);
  if (device.engine === "flux")
    return { cluster: "device", namespace: FLUX_NAMESPACE, objects: fluxObjects(device, input.git, deployments) };
  const applications = deployments.map((deployment) => renderApplication(device, input.git, deployment));
  return device.engine === "argocd"
    ? { cluster: "device", namespace: ARGO_CD_NAMESPACE, objects: applications.map(ofDevice) }
    : { cluster: "hub", namespace: undefined, objects: applications };
}

/** What a device deploys, the overlay first. Parameters as {@link renderPull}. */
export function deploymentsOf(
  device: TreeDevice,
  input: Pick<TreeInput, "workloads">,
  revisions: Revisions,
  workloads: ReadonlyMap<string, Revisions>,
): Deployment[] {
  return [undefined, ...(input.workloads ?? [])].flatMap((workload) => {
    const revision = (workload === undefined ? revisions : workloads.get(workload.name))?.get(device.ring);
    return revision === undefined || !takesWorkload(device, workload) ? [] : [{ workload, revision }];
  });
}

/** The Application that the controller of the hub makes of a device and its ring file. */
export function renderApplication(device: TreeDevice, git: TreeGit, { workload, revision }: Deployment): Application {
  const { id, region } = device;
  const { metadata, spec } = renderTemplate({ ...device, idNormalized: id, revision }, git, workload);
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Application",
    metadata: { ...metadata, namespace: controlPlaneNamespace(region) },
    spec: { ...spec, source: { ...spec.source, ...deviceSource(git.layout, device) } },
  };
}

/** The hub's Application as an Argo CD on the device takes it: its own cluster, and the project that every Argo CD has. */
function ofDevice({ metadata, spec, ...rest }: Application): object {
  const { namespace } = spec.destination;
  return {
    ...rest,
    metadata: { ...metadata, namespace: ARGO_CD_NAMESPACE },
    spec: { ...spec, project: "default", destination: { server: "https://kubernetes.default.svc", namespace } },
  };
}

/** Flux makes no namespace by itself: each is applied before what goes into it. */
function fluxObjects(device: TreeDevice, git: TreeGit, deployments: readonly Deployment[]): object[] {
  const namespaces = new Set(deployments.map(({ workload }) => workload?.namespace ?? WORKLOAD_NAMESPACE));
  return [
    ...[...namespaces].sort().map((name) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } })),
    ...deployments.flatMap(({ workload, revision }) => Object.values(renderFlux(device, git, revision, workload))),
  ];
}
