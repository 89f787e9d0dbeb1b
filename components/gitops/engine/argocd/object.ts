/**
 * What the engine's objects have in common: their namespace, names, labels, and how a pod of it is confined. Names and
 * labels are upstream's own (manifests/core-install.yaml of Argo CD), by which its processes find each other and its
 * documentation finds them.
 */
import type { types } from "@pulumi/kubernetes";
import type { EngineMemory } from "./settings.ts";

/** Namespace of the engine on a device. */
export const ENGINE_NAMESPACE = "argocd";

/** Label of the node that runs the engine: of a site with several machines, the server. */
export const ENGINE_NODE_LABEL = "edge-fleet.dev/engine";

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

/** A Kubernetes object. */
export type EngineObject = { readonly apiVersion: string; readonly kind: string; readonly metadata: object };

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

/** Everything that is asked of a pod by Pod Security's `restricted`, and more. */
export const CONFINED: types.input.core.v1.SecurityContext = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  readOnlyRootFilesystem: true,
};

/** What differs between the containers of the engine. */
export type EngineContainer = Pick<
  types.input.core.v1.Container,
  "image" | "args" | "env" | "ports" | "readinessProbe" | "livenessProbe" | "volumeMounts" | "workingDir"
> & {
  readonly name: string;
  readonly memory: EngineMemory;
  /** Thousandths of a core that it is given where others want it too. No limit: one would only slow a sync down. */
  readonly cpuMilli: number;
};

/**
 * The template of a process' pod. It runs on the server, whatever its taints: it is what repairs the device.
 * @param volumes of the container's mounts
 * @param serviceAccountName absent: none, and no token
 */
export function podTemplate(
  process: EngineProcess,
  { memory, cpuMilli, ...container }: EngineContainer,
  volumes: types.input.core.v1.Volume[],
  serviceAccountName?: string,
): types.input.core.v1.PodTemplateSpec {
  return {
    metadata: { labels: podLabels(process) },
    spec: {
      ...(serviceAccountName === undefined ? {} : { serviceAccountName }),
      automountServiceAccountToken: serviceAccountName !== undefined,
      enableServiceLinks: false,
      priorityClassName: ENGINE_PRIORITY,
      nodeSelector: { [ENGINE_NODE_LABEL]: "argocd" },
      tolerations: [{ operator: "Exists" }],
      securityContext: {
        runAsNonRoot: true,
        runAsUser: ENGINE_USER,
        runAsGroup: ENGINE_USER,
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          ...container,
          imagePullPolicy: "IfNotPresent",
          resources: {
            requests: { cpu: `${cpuMilli}m`, memory: `${memory.requestMiB}Mi` },
            limits: { memory: `${memory.limitMiB}Mi` },
          },
          securityContext: CONFINED,
        },
      ],
      ...(volumes.length === 0 ? {} : { volumes }),
    },
  };
}

/** A workload of one pod at most: it goes before the next one comes, since two would share a volume or a name. */
export function deployment(
  process: EngineProcess,
  template: types.input.core.v1.PodTemplateSpec,
): types.input.apps.v1.Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: engineMeta(process),
    spec: {
      replicas: 1,
      strategy: { type: "Recreate" },
      selector: { matchLabels: podLabels(process) },
      template,
    },
  };
}

/** Go's collector works harder from 80 % of the limit on, before the kernel ends the process. */
export function goMemoryLimit({ limitMiB }: EngineMemory): types.input.core.v1.EnvVar {
  return { name: "GOMEMLIMIT", value: `${Math.floor(limitMiB * 0.8)}MiB` };
}

/** Redis' password, which the device makes itself, once. */
export const REDIS_PASSWORD: types.input.core.v1.EnvVar = {
  name: "REDIS_PASSWORD",
  valueFrom: { secretKeyRef: { name: "argocd-redis", key: "auth" } },
};
