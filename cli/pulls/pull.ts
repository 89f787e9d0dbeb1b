/**
 * What the pull engine of one device takes: from the device and the commits that its ring pins to the objects by which
 * the engine knows what to run. With `argocd-agent` they are the Applications that the hub's ApplicationSets make; with
 * `argocd` and `flux` they belong into the device's own cluster, beside an engine that somebody has installed there.
 */
import { type ApplicationInput, takesWorkload } from "../../components/gitops/applicationset.ts";
import { WORKLOAD_NAMESPACE } from "../../components/gitops/labels.ts";
import type { Application } from "../../components/gitops/objects.ts";
import type { TreeDevice } from "../../components/gitops/tree-input.ts";
import type { Revisions } from "../rollout/rings.ts";
import { predictApplications } from "./applications.ts";
import { FLUX_NAMESPACE, renderFlux } from "./flux.ts";

/** Namespace of an Argo CD of the device's own. */
const ARGO_CD_NAMESPACE = "argocd";

/** Objects of an engine, and whose they are. */
export interface Pull {
  /** `hub`: the ApplicationSets make them. `device`: somebody applies them there, again after each promotion. */
  readonly cluster: "hub" | "device";
  /** Namespace of the engine in that cluster; undefined for the hub, where each object names its own. */
  readonly namespace: string | undefined;
  /** In the order in which they are applied; empty when the ring pins no commit. */
  readonly objects: readonly object[];
}

/**
 * Renders the objects of a device.
 * @param input the tree's input; the device must be one of its devices
 * @param revisions full commit SHA by ring, of the overlays
 * @param workloads revisions by ring of each workload of its own, by its name
 * @throws Error when the region has more devices than 64 sets can carry
 */
export function renderPull(
  device: TreeDevice,
  input: ApplicationInput,
  revisions: Revisions,
  workloads: ReadonlyMap<string, Revisions>,
): Pull {
  switch (device.engine) {
    case "argocd-agent": {
      const all = predictApplications(device.region, input, revisions, { workloads });
      const objects = all.filter(({ cluster }) => cluster === device.id).map(({ application }) => application);
      return { cluster: "hub", namespace: undefined, objects };
    }
    case "argocd": {
      const alone = { ...input, devices: [{ ...device, engine: "argocd-agent" as const }] };
      const own = predictApplications(device.region, alone, revisions, { workloads });
      const objects = own.map(({ application }) => ofDevice(application));
      return { cluster: "device", namespace: ARGO_CD_NAMESPACE, objects };
    }
    case "flux":
      return {
        cluster: "device",
        namespace: FLUX_NAMESPACE,
        objects: fluxObjects(device, input, revisions, workloads),
      };
  }
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
function fluxObjects(
  device: TreeDevice,
  { git, workloads = [] }: ApplicationInput,
  revisions: Revisions,
  pinned: ReadonlyMap<string, Revisions>,
): object[] {
  const taken = [undefined, ...workloads].flatMap((workload) => {
    const revision = (workload === undefined ? revisions : pinned.get(workload.name))?.get(device.ring);
    return revision === undefined || !takesWorkload(device, workload) ? [] : [{ workload, revision }];
  });
  const namespaces = new Set(taken.map(({ workload }) => workload?.namespace ?? WORKLOAD_NAMESPACE));
  return [
    ...[...namespaces].sort().map((name) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } })),
    ...taken.flatMap(({ workload, revision }) => Object.values(renderFlux(device, git, revision, workload))),
  ];
}
