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
/** Label on a cluster Secret: where its id falls among the parts of a region, see shards.ts. Never changes. */
export const SHARD_LABEL = "edge-fleet.dev/shard";
/** Label on a cluster Secret: which maintenance windows the device has, see windows.ts. */
export const WINDOW_LABEL = "edge-fleet.dev/window";
/** Label on the Application of a further workload of fleet.yaml: the workload's name. */
export const WORKLOAD_LABEL = "edge-fleet.dev/workload";
/** Label on Argo CD's definitions on the hub: the fleet whose hub has installed them. */
export const FLEET_LABEL = "edge-fleet.dev/fleet";
/** Label on a cluster Secret: `removed` once its device is declared so, which makes it none of Argo CD's clusters. */
export const STATE_LABEL = "edge-fleet.dev/state";
/** Annotation on Applications and on every workload object: the id of the device. */
export const DEVICE_ANNOTATION = "edge-fleet.dev/device";
/** Start of the annotations that carry the device's own values: on its cluster Secret and on its workload objects. */
export const VALUE_ANNOTATION_PREFIX = "values.edge-fleet.dev/";
/** Annotation on a SealedSecret: the name of the key that it was sealed with, by which `edge-fleet check` knows who opens it. */
export const SEALING_KEY_ANNOTATION = "edge-fleet.dev/sealing-key";
/** Label on a workload, set by the team: `model` hands its memory and replicas to the model Component. */
export const SIZE_LABEL = "edge-fleet.dev/size";
/** Label on a workload, set by the team: the WASM runtime that it needs, e.g. `spin`; the model adds its RuntimeClass. */
export const WASM_LABEL = "edge-fleet.dev/wasm";
/** Label on an Application: how its folder is rendered, `kustomize` or `helm`; decides how a device's values get there. */
export const TYPE_LABEL = "edge-fleet.dev/type";
/**
 * Label on an object, set by the team: `false` lets a namespace, a volume claim or a custom resource definition go with
 * its workload. Without it they stay, see values.ts.
 */
export const KEEP_LABEL = "edge-fleet.dev/keep";
/** Label that makes a Secret a cluster for Argo CD. */
export const SECRET_TYPE_LABEL = "argocd.argoproj.io/secret-type";
/** Label that maps a cluster Secret to an agent; required by argocd-agent's principal. */
export const AGENT_LABEL = "argocd-agent.argoproj-labs.io/agent-name";
/** Annotation that keeps a hub's application-controller off the cluster: the device reconciles itself. */
export const SKIP_RECONCILE_ANNOTATION = "argocd.argoproj.io/skip-reconcile";

/** Namespace of the workloads on every device, and the only one that the project may deploy to. */
export const WORKLOAD_NAMESPACE = "edge-apps";
/**
 * Name of the Secret by which an engine logs in to Git. By the type of access, so that one of another type does not keep the
 * former's keys: what is gone from `stringData` stays in the `data` of a Secret that is applied again.
 */
export const gitSecretName = (type: string): string => `edge-fleet-git-${type.toLowerCase()}`;

/** Namespace of Argo CD on a device. */
export const ARGO_CD_NAMESPACE = "argocd";
/** Name of the Application on a device that reads its entry in Git, and of that Application's project. */
export const ROOT_NAME = "edge-root";
/** The cluster that an Argo CD runs in, as an Application's destination. */
export const IN_CLUSTER = "https://kubernetes.default.svc";
/** AppProject of all workloads, in each control plane's namespace and on each device. */
export const PROJECT_NAME = "edge-workloads";
/** Name that the overlays go by among the workloads: ends their Applications' names. */
export const OVERLAY_WORKLOAD = "workloads";

/** Namespace of a region's control plane on the hub. At most 37 characters, as a region's name has at most 30. */
export function controlPlaneNamespace(region: string): string {
  return `argocd-${region}`;
}

/** Name of a workload's ApplicationSets, in each control plane's namespace; a part of several adds `.<parts>-<part>`. */
export function applicationSetName(workload = OVERLAY_WORKLOAD): string {
  return `edge-${workload}`;
}

/** Name of a device's Application. With the default workload at most 63 characters, as a device's id has at most 53. */
export function applicationName(deviceId: string, workload = OVERLAY_WORKLOAD): string {
  return `${deviceId}-${workload}`;
}
