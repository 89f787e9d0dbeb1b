/**
 * What the engine's objects have in common: their namespace, names, labels, and how a pod of it is confined. Names and
 * labels are upstream's own (manifests/core-install.yaml of Argo CD), by which its processes find each other and its
 * documentation finds them.
 */
import type { types } from "@pulumi/kubernetes";
import { type EngineContainer, enginePod, singlePod } from "../pod.ts";

/** Namespace of the engine on a device. */
export const ENGINE_NAMESPACE = "argocd";

/** Value of the label of the node that runs it, see `ENGINE_NODE_LABEL` of ../pod.ts. */
export const ENGINE_NODE = "argocd";

/** Class of the engine's pods: before every workload, after what Kubernetes itself needs. */
export const ENGINE_PRIORITY = "edge-fleet-engine";

/** User of Argo CD's image (`ARGOCD_USER_ID` in its Dockerfile) and of Redis': 999 in both. */
export const ENGINE_USER = 999;

/** Name of a process, of its objects and of its pods' label `app.kubernetes.io/name`. */
export type EngineProcess =
  | "argocd-application-controller"
  | "argocd-repo-server"
  | "argocd-redis"
  | "argocd-agent-agent";

type ObjectMeta = types.input.meta.v1.ObjectMeta;

/** Metadata of an object in the engine's namespace. */
export function engineMeta(name: string): ObjectMeta {
  return { ...clusterMeta(name), namespace: ENGINE_NAMESPACE };
}

/** Metadata of an object without a namespace. */
export function clusterMeta(name: string): ObjectMeta {
  return {
    name,
    // Argo CD reads only ConfigMaps and Secrets with the second one: util/settings/settings.go.
    labels: {
      "app.kubernetes.io/name": name,
      "app.kubernetes.io/part-of": "argocd",
      "app.kubernetes.io/managed-by": "edge-fleet",
    },
  };
}

/** Labels that select the pods of a process. */
export function podLabels(process: EngineProcess): Record<string, string> {
  return { "app.kubernetes.io/name": process };
}

/**
 * The template of a process' pod.
 * @param volumes of the container's mounts
 * @param serviceAccountName absent: none, and no token
 */
export function podTemplate(
  process: EngineProcess,
  container: EngineContainer,
  volumes: types.input.core.v1.Volume[],
  serviceAccountName?: string,
): types.input.core.v1.PodTemplateSpec {
  const account = {
    ...(serviceAccountName === undefined ? {} : { serviceAccountName }),
    automountServiceAccountToken: serviceAccountName !== undefined,
  };
  const pod = { priorityClassName: ENGINE_PRIORITY, node: ENGINE_NODE, user: ENGINE_USER, volumes };
  return { metadata: { labels: podLabels(process) }, spec: enginePod(account, pod, container) };
}

/** A process that has one pod at most. */
export function deployment(
  process: EngineProcess,
  template: types.input.core.v1.PodTemplateSpec,
): types.input.apps.v1.Deployment {
  return singlePod(engineMeta(process), template, podLabels(process));
}

/** Redis' password, which the device makes itself, once. */
export const REDIS_PASSWORD: types.input.core.v1.EnvVar = {
  name: "REDIS_PASSWORD",
  valueFrom: { secretKeyRef: { name: "argocd-redis", key: "auth" } },
};
