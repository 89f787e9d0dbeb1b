/**
 * Changes the objects of a control plane so that it outlives a node: two pods of what can be two, on different nodes,
 * of which a drain takes one at a time. Redis is a cache, and stays one. Pure.
 */
import type { ManifestObject } from "./manifests.ts";
import { type Container, podOf, type Workload, withPod } from "./workload.ts";

/** Pods of each process. */
const REPLICAS = 2;

/**
 * The processes that can be two, and what a container must be told then; argo-cd v3.2.11. The ApplicationSet controllers
 * elect one that works (cmd/argocd-applicationset-controller/commands/applicationset_controller.go). It is set on the
 * container, not by the key of argocd-cmd-params-cm: pods read that at their start alone, and the second one could start
 * before the ConfigMap has changed. The repo-server has no state. Servers divide what they let in at once (server/server.go).
 */
const PROCESSES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "argocd-applicationset-controller": { ARGOCD_APPLICATIONSET_CONTROLLER_ENABLE_LEADER_ELECTION: "true" },
  "argocd-repo-server": {},
  "argocd-server": { ARGOCD_API_SERVER_REPLICAS: String(REPLICAS) },
};

/** Doubles what can be two, and adds what a drain may do to it. @param objects of a control plane, without a namespace */
export function withHighAvailability(objects: readonly ManifestObject[]): ManifestObject[] {
  return objects.flatMap((object) => {
    const variables = object.kind === "Deployment" ? PROCESSES[object.metadata.name] : undefined;
    return variables === undefined ? [object] : [spread(object as Workload, variables), disruption(object)];
  });
}

/** With a node for each pod, a new one can only come after an old one has gone. */
function spread(object: Workload, variables: Readonly<Record<string, string>>): Workload {
  const { name } = object.metadata;
  const podAntiAffinity = {
    requiredDuringSchedulingIgnoredDuringExecution: [
      { labelSelector: selectorOf(name), topologyKey: "kubernetes.io/hostname" },
    ],
    preferredDuringSchedulingIgnoredDuringExecution: [
      { weight: 100, podAffinityTerm: { labelSelector: selectorOf(name), topologyKey: "topology.kubernetes.io/zone" } },
    ],
  };
  const containers = podOf(object).containers.map((container) => withVariables(container, variables));
  const { spec } = withPod(object, { ...podOf(object), affinity: { podAntiAffinity }, containers });
  const strategy = { type: "RollingUpdate", rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } };
  return { ...object, spec: { ...spec, replicas: REPLICAS, strategy } };
}

function withVariables(container: Container, variables: Readonly<Record<string, string>>): Container {
  const others = (container.env ?? []).filter(({ name }) => variables[name] === undefined);
  return { ...container, env: [...others, ...Object.entries(variables).map(([name, value]) => ({ name, value }))] };
}

function disruption({ metadata: { name, labels } }: ManifestObject): ManifestObject {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: { name, labels: labels ?? {} },
    spec: { maxUnavailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow", selector: selectorOf(name) },
  };
}

/** Upstream's pods have their Deployment's name as their one label. */
function selectorOf(name: string): object {
  return { matchLabels: { "app.kubernetes.io/name": name } };
}
