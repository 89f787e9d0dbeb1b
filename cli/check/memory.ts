/**
 * Memory of workloads against the memory of a model: from rendered objects to MiB, and from the model's RAM to what the
 * kubelet's reservations leave for pods.
 */
import { MINIMUM_MEMORY_MIB, podMemoryMiB } from "../../components/plan/distributions/reservations.ts";
import { asList, isYamlMap, nameOfObject, type YamlMap } from "../manifests/objects.ts";

const MIB = 1024 * 1024;
/** https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity */
const SUFFIXES: Readonly<Record<string, number>> = {
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 1024,
  Mi: MIB,
  Gi: 1024 * MIB,
  Ti: MIB * MIB,
};

/** Memory that one workload asks for. */
export interface WorkloadMemory {
  /** `Deployment edge-apps/web` */
  readonly name: string;
  /** MiB of all replicas that run at the same time. */
  readonly mebibytes: number;
}

/**
 * MiB that the kubelet leaves for pods on a model.
 * @param memoryMiB RAM of the model
 * @returns undefined for a model that is too small for a server
 */
export function podMemory(memoryMiB: number): number | undefined {
  return memoryMiB < MINIMUM_MEMORY_MIB ? undefined : podMemoryMiB(memoryMiB);
}

/** What each workload of a device asks for, the largest first; workloads that ask for nothing are left out. */
export function requestedMemory(objects: readonly unknown[]): WorkloadMemory[] {
  return objects
    .flatMap((object): WorkloadMemory[] => {
      const pod = podOf(object);
      return pod === undefined
        ? []
        : [{ name: nameOfObject(object), mebibytes: (podRequest(pod.spec) * pod.replicas) / MIB }];
    })
    .filter(({ mebibytes }) => mebibytes > 0)
    .sort((a, b) => b.mebibytes - a.mebibytes || (a.name < b.name ? -1 : 1));
}

/** Bytes of a Kubernetes quantity; undefined for what is none. */
export function parseQuantity(quantity: unknown): number | undefined {
  const [, number, suffix = ""] = /^\+?(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)([a-zA-Z]*)$/.exec(String(quantity)) ?? [];
  const factor = Object.hasOwn(SUFFIXES, suffix) ? SUFFIXES[suffix] : undefined;
  return number === undefined || factor === undefined ? undefined : Number(number) * factor;
}

/** The pod spec of a built-in workload and how many such pods one node runs at a time. */
function podOf(object: unknown): { readonly spec: YamlMap; readonly replicas: number } | undefined {
  if (!isYamlMap(object) || !isYamlMap(object.spec)) return undefined;
  const { kind, spec } = object;
  const template = (owner: YamlMap): YamlMap | undefined =>
    isYamlMap(owner.template) && isYamlMap(owner.template.spec) ? owner.template.spec : undefined;
  const withReplicas = (pod: YamlMap | undefined, replicas: unknown) =>
    pod === undefined ? undefined : { spec: pod, replicas: typeof replicas === "number" ? replicas : 1 };
  switch (kind) {
    case "Pod":
      return { spec, replicas: 1 };
    case "Deployment":
    case "StatefulSet":
    case "ReplicaSet":
    case "ReplicationController":
      return withReplicas(template(spec), spec.replicas);
    case "DaemonSet":
      return withReplicas(template(spec), 1);
    case "Job":
      return withReplicas(template(spec), spec.parallelism);
    case "CronJob": {
      const job = isYamlMap(spec.jobTemplate) && isYamlMap(spec.jobTemplate.spec) ? spec.jobTemplate.spec : {};
      return spec.suspend === true ? undefined : withReplicas(template(job), job.parallelism);
    }
    default:
      return undefined;
  }
}

/**
 * Bytes that the scheduler counts for a pod: its own request where it has one, else the larger of its containers with its
 * sidecars, and of each init container with the sidecars before it.
 * https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers
 */
function podRequest(pod: YamlMap): number {
  const whole = isYamlMap(pod.resources) ? memoryOf(pod) : 0;
  if (whole > 0) return whole;
  let sidecars = 0;
  let start = 0;
  for (const container of asList(pod.initContainers).filter(isYamlMap)) {
    start = Math.max(start, sidecars + memoryOf(container));
    if (container.restartPolicy === "Always") sidecars += memoryOf(container);
  }
  const containers = asList(pod.containers).filter(isYamlMap);
  return Math.max(
    start,
    containers.reduce((sum, container) => sum + memoryOf(container), sidecars),
  );
}

/** A request that is not written is the limit. */
function memoryOf({ resources }: YamlMap): number {
  if (!isYamlMap(resources)) return 0;
  const { requests, limits } = resources;
  const read = (list: unknown) => (isYamlMap(list) ? parseQuantity(list.memory) : undefined);
  return read(requests) ?? read(limits) ?? 0;
}
