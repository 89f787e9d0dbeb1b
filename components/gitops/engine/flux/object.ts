/**
 * What Flux' objects have in common: their namespace, names, labels, and how a pod of it is confined. Names are upstream's
 * own (config/manager of each controller), by which its command and its documentation find them.
 */
import type { types } from "@pulumi/kubernetes";
import { CONFINED, ENGINE_NODE_LABEL, type EngineContainer, type EngineObject } from "../argocd/object.ts";
import { FLUX_NAMESPACE, FLUX_NODE } from "./settings.ts";

/** Class of its pods: not Argo CD's, which goes with that engine. */
export const FLUX_PRIORITY = "edge-fleet-engine-flux";

/** User of both images: `USER 65534:65534` in their Dockerfiles. */
export const FLUX_USER = 65534;

/** Name of a controller, of its objects and of its pods' label `app`. */
export type FluxController = "source-controller" | "kustomize-controller";

type ObjectMeta = types.input.meta.v1.ObjectMeta;

/** Metadata of an object in Flux' namespace. */
export function fluxMeta(name: string): ObjectMeta {
  return { ...fluxClusterMeta(name), namespace: FLUX_NAMESPACE };
}

/** Metadata of an object without a namespace. */
export function fluxClusterMeta(name: string): ObjectMeta {
  return {
    name,
    labels: {
      "app.kubernetes.io/name": name,
      "app.kubernetes.io/part-of": "flux",
      "app.kubernetes.io/managed-by": "edge-fleet",
    },
  };
}

/** Labels that select the pods of a controller. */
export function fluxPodLabels(controller: FluxController): Record<string, string> {
  return { app: controller };
}

/**
 * A controller: one pod at most, since it elects no leader, which would cost a write to the flash every few seconds. It
 * runs on the server, whatever its taints: it is what repairs the device.
 * @param volumes of the container's mounts
 */
export function fluxDeployment(
  controller: FluxController,
  { memory, cpuMilli, ...container }: EngineContainer,
  volumes: types.input.core.v1.Volume[],
): EngineObject {
  const labels = fluxPodLabels(controller);
  const spec: types.input.core.v1.PodSpec = {
    serviceAccountName: controller,
    enableServiceLinks: false,
    priorityClassName: FLUX_PRIORITY,
    nodeSelector: { [ENGINE_NODE_LABEL]: FLUX_NODE },
    tolerations: [{ operator: "Exists" }],
    securityContext: {
      runAsNonRoot: true,
      runAsUser: FLUX_USER,
      runAsGroup: FLUX_USER,
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
    volumes,
  };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: fluxMeta(controller),
    spec: {
      replicas: 1,
      strategy: { type: "Recreate" },
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec },
    },
  } as EngineObject;
}

/** The namespace of a controller's pod, by the name that both read it from. */
export const RUNTIME_NAMESPACE: types.input.core.v1.EnvVar = {
  name: "RUNTIME_NAMESPACE",
  valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } },
};
