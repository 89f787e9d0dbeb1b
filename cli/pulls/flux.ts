/**
 * What a device with the engine `flux` pulls, as the objects in its own cluster: from the device and its ring's commit to
 * a GitRepository and a Kustomization of one workload.
 * Fields: https://fluxcd.io/flux/components/source/gitrepositories/ and
 * https://fluxcd.io/flux/components/kustomize/kustomizations/
 */
import { posix } from "node:path";
import { sourceFolder } from "../../components/gitops/application.ts";
import { DEVICE_ANNOTATION, OVERLAY_WORKLOAD, WORKLOAD_NAMESPACE } from "../../components/gitops/labels.ts";
import type { TreeDevice, TreeGit, TreeWorkload } from "../../components/gitops/tree-input.ts";
import { valueAnnotations } from "../../components/gitops/values.ts";

/** Namespace of Flux on the device. */
export const FLUX_NAMESPACE = "flux-system";

/**
 * The objects of a workload on a device.
 * @param revision full commit SHA that the device's ring pins for the workload
 * @param workload absent: the overlay of region and model
 */
export function renderFlux(device: TreeDevice, git: TreeGit, revision: string, workload?: TreeWorkload) {
  const name = workload?.name ?? OVERLAY_WORKLOAD;
  const metadata = { name, namespace: FLUX_NAMESPACE };
  return {
    repository: {
      apiVersion: "source.toolkit.fluxcd.io/v1",
      kind: "GitRepository",
      metadata,
      spec: { url: git.url, interval: "10m", timeout: "5m", ref: { branch: git.branch, commit: revision } },
    },
    kustomization: {
      apiVersion: "kustomize.toolkit.fluxcd.io/v1",
      kind: "Kustomization",
      metadata,
      spec: {
        sourceRef: { kind: "GitRepository", name },
        path: `./${posix.join(git.path, sourceFolder(git.layout, device, workload))}`,
        targetNamespace: workload?.namespace ?? WORKLOAD_NAMESPACE,
        prune: true,
        // A device that waits for health would not correct what else has drifted.
        wait: false,
        interval: "10m",
        retryInterval: "2m",
        timeout: "5m",
        // On every object, as Kustomize's commonAnnotations are with Argo CD; not on pod templates.
        commonMetadata: { annotations: { [DEVICE_ANNOTATION]: device.id, ...valueAnnotations(device.values ?? {}) } },
        postBuild: { substitute: substitutions(device) },
      },
    },
  };
}

/**
 * What `${NAME}` in manifests becomes: `DEVICE`, `REGION`, `MODEL`, `RING`, and `VALUE_<KEY>` for each value, its key in
 * capitals with `_` for `-`, because Flux takes only letters, digits and `_`.
 */
function substitutions({ id, region, model, ring, values = {} }: TreeDevice): Record<string, string> {
  const named = Object.entries(values)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => [`VALUE_${key.toUpperCase().replaceAll("-", "_")}`, value]);
  return { DEVICE: id, REGION: region, MODEL: model, RING: ring, ...Object.fromEntries(named) };
}
