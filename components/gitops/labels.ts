/**
 * The names that tie the hub, the tree and the devices together: label keys, annotation keys and fixed object names.
 * Changing one of them orphans what is already deployed.
 */

/** Label: the region of a device (cluster Secret, Application, workload objects). */
export const REGION_LABEL = "edge-fleet.dev/region";
/** Label: the hardware class of a device. */
export const MODEL_LABEL = "edge-fleet.dev/model";
/** Label: the rollout group of a device. Moving a device to another ring is a change of this one value. */
export const RING_LABEL = "edge-fleet.dev/ring";
/** Annotation on Applications and on every workload object: the id of the device. */
export const DEVICE_ANNOTATION = "edge-fleet.dev/device";
/** Label on a workload, set by the team: `model` hands its memory and replicas to the model Component. */
export const SIZE_LABEL = "edge-fleet.dev/size";
/** Label that makes a Secret a cluster for Argo CD. */
export const SECRET_TYPE_LABEL = "argocd.argoproj.io/secret-type";
/** Label that maps a cluster Secret to an agent; required by argocd-agent's principal. */
export const AGENT_LABEL = "argocd-agent.argoproj-labs.io/agent-name";
/** Annotation that keeps a hub's application-controller off the cluster: the device reconciles itself. */
export const SKIP_RECONCILE_ANNOTATION = "argocd.argoproj.io/skip-reconcile";

/** Namespace of the workloads on every device, and the only one that the project may deploy to. */
export const WORKLOAD_NAMESPACE = "edge-apps";
/** AppProject of all workloads, in each control plane's namespace. */
export const PROJECT_NAME = "edge-workloads";
/** ApplicationSet of a region, in its control plane's namespace. */
export const APPLICATION_SET_NAME = "edge-workloads";

/** Namespace of a region's control plane on the hub. At most 37 characters, as a region's name has at most 30. */
export function controlPlaneNamespace(region: string): string {
  return `argocd-${region}`;
}

/** Name of a device's Application. At most 63 characters, as a device's id has at most 53. */
export function applicationName(deviceId: string): string {
  return `${deviceId}-workloads`;
}
