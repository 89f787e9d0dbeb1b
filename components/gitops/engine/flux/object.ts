/**
 * What Flux' objects have in common: their namespace, names, labels, and how a pod of it is confined. Names are upstream's
 * own (config/manager of each controller), by which its command and its documentation find them.
 */
import type { types } from "@pulumi/kubernetes";
import { type EngineContainer, enginePod, singlePod } from "../pod.ts";
import { FLUX_NAMESPACE, FLUX_NODE, type FluxController } from "./settings.ts";

/** Class of its pods: not Argo CD's, which goes with that engine. */
export const FLUX_PRIORITY = "edge-fleet-engine-flux";

/** User of both images: `USER 65534:65534` in their Dockerfiles. */
export const FLUX_USER = 65534;

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

/** A role, and its binding to an account in Flux' namespace. @param metadata of both */
export function roleBinding(
  kind: "Role" | "ClusterRole",
  metadata: ObjectMeta,
  account: string,
  rules: readonly object[],
): object[] {
  const [apiGroup, name] = ["rbac.authorization.k8s.io", metadata.name];
  return [
    { apiVersion: `${apiGroup}/v1`, kind, metadata, rules },
    {
      apiVersion: `${apiGroup}/v1`,
      kind: `${kind}Binding`,
      metadata,
      roleRef: { apiGroup, kind, name },
      subjects: [{ kind: "ServiceAccount", name: account, namespace: FLUX_NAMESPACE }],
    },
  ];
}

/** An account with rights in Flux' namespace alone. */
export function fluxAccount(name: string, rules: readonly object[]): object[] {
  const metadata = fluxMeta(name);
  return [{ apiVersion: "v1", kind: "ServiceAccount", metadata }, ...roleBinding("Role", metadata, name, rules)];
}

/** Labels that select the pods of a controller. */
export function fluxPodLabels(controller: FluxController): Record<string, string> {
  return { app: controller };
}

/**
 * A controller. It elects no leader, which would cost a write to the flash every few seconds.
 * @param volumes of the container's mounts
 */
export function fluxDeployment(
  controller: FluxController,
  container: EngineContainer,
  volumes: types.input.core.v1.Volume[],
): types.input.apps.v1.Deployment {
  const labels = fluxPodLabels(controller);
  const pod = { priorityClassName: FLUX_PRIORITY, node: FLUX_NODE, user: FLUX_USER, volumes };
  const spec = enginePod({ serviceAccountName: controller }, pod, container);
  return singlePod(fluxMeta(controller), { metadata: { labels }, spec }, labels);
}

/** The namespace of a controller's pod, by the name that both read it from. */
export const RUNTIME_NAMESPACE: types.input.core.v1.EnvVar = {
  name: "RUNTIME_NAMESPACE",
  valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } },
};
