/**
 * Memory of workloads against the memory of a model: what rendered objects request, and what the kubelet's reservations
 * and the pull engine leave for them.
 */
import { MINIMUM_MEMORY_MIB, podMemoryMiB } from "../../components/plan/distributions/reservations.ts";
import { asList, asMap, isYamlMap, nameOfObject, type YamlMap } from "../manifests/objects.ts";

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
 * MiB that kubelet and pull engine leave for workloads on a model.
 * @param memoryMiB RAM of the model
 * @param engineMiB what the pull engine's own pods request
 * @returns undefined for a model that is too small for a server
 */
export function workloadMemory(memoryMiB: number, engineMiB: number): number | undefined {
  return memoryMiB < MINIMUM_MEMORY_MIB ? undefined : podMemoryMiB(memoryMiB) - engineMiB;
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

/** The field that says how many pods of a workload one node runs at a time. */
const COPIES: Readonly<Record<string, string>> = {
  Deployment: "replicas",
  StatefulSet: "replicas",
  ReplicaSet: "replicas",
  ReplicationController: "replicas",
  DaemonSet: "(one)",
  Job: "parallelism",
};

/** The pod spec of a built-in workload and how many such pods one node runs at a time. */
function podOf(object: unknown): { readonly spec: YamlMap; readonly replicas: number } | undefined {
  const { kind, spec: own } = asMap(object);
  if (!isYamlMap(own)) return undefined;
  if (kind === "Pod") return { spec: own, replicas: 1 };
  if (kind === "CronJob") return own.suspend === true ? undefined : podOf({ ...asMap(own.jobTemplate), kind: "Job" });
  const field = Object.hasOwn(COPIES, String(kind)) ? COPIES[String(kind)] : undefined;
  const { spec } = asMap(own.template);
  if (field === undefined || !isYamlMap(spec)) return undefined;
  const replicas = own[field];
  return { spec, replicas: typeof replicas === "number" ? replicas : 1 };
}

/**
 * Bytes that the scheduler counts for a pod: its own request where it has one, else the larger of its containers with its
 * sidecars, and of each init container with the sidecars before it.
 * https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers
 */
function podRequest(pod: YamlMap): number {
  const whole = memoryOf(pod);
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
  const { requests, limits } = asMap(resources);
  return parseQuantity(asMap(requests).memory) ?? parseQuantity(asMap(limits).memory) ?? 0;
}
