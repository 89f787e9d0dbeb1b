/**
 * What the pods that edge-fleet brings to a device have in common, whichever engine they are of: how they are confined, that
 * there is one of a kind at most, and the volume on the device's own disk that outlives them. Pure.
 */
import type { types } from "@pulumi/kubernetes";

type ObjectMeta = types.input.meta.v1.ObjectMeta;

/** A Kubernetes object. */
export type EngineObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
};

/** Label of the node that runs an engine: of a site with several machines, the server. */
export const ENGINE_NODE_LABEL = "edge-fleet.dev/engine";

/** Memory of one container in MiB. */
export interface EngineMemory {
  /** What the scheduler sets aside. */
  readonly requestMiB: number;
  /** Where the kernel ends it. */
  readonly limitMiB: number;
}

/** What {@link EngineMemory} of a container is. */
export type MemoryRow = readonly [requestMiB: number, limitMiB: number];

/** The row as an object. */
export function memoryOf([requestMiB, limitMiB]: MemoryRow): EngineMemory {
  return { requestMiB, limitMiB };
}

/**
 * What an engine may take on a model.
 * @param sizes each for models below so many MiB, the smallest first
 * @param memoryMiB RAM of the model
 */
export function sizeFor<Size>(sizes: readonly (readonly [belowMiB: number, size: Size])[], memoryMiB: number): Size {
  const row = sizes.find(([belowMiB]) => memoryMiB < belowMiB);
  if (row === undefined) throw new RangeError(`${memoryMiB} is no memory size`);
  return row[1];
}

/** What differs between containers. */
export type EngineContainer = Pick<
  types.input.core.v1.Container,
  "image" | "args" | "env" | "ports" | "readinessProbe" | "livenessProbe" | "volumeMounts" | "workingDir"
> & {
  readonly name: string;
  readonly memory: EngineMemory;
  /** Thousandths of a core that it is given where others want it too. No limit: one would only slow a sync down. */
  readonly cpuMilli: number;
};

/** What differs between pods, beside their containers. */
export interface EnginePod {
  readonly priorityClassName: string;
  /** Value of {@link ENGINE_NODE_LABEL}. Absent: any node. */
  readonly node?: string;
  /** User and group of the image. */
  readonly user: number;
  /** Of the container's mounts. */
  readonly volumes: types.input.core.v1.Volume[];
}

/**
 * A pod with everything that Pod Security's `restricted` asks of it, and more. It runs whatever the taints of its node: it is
 * what repairs the device.
 * @param account its service account, and whether it gets a token where that is not the account's to say
 */
export function enginePod(
  account: Pick<types.input.core.v1.PodSpec, "serviceAccountName" | "automountServiceAccountToken">,
  { priorityClassName, node, user, volumes }: EnginePod,
  { memory, cpuMilli, ...container }: EngineContainer,
): types.input.core.v1.PodSpec {
  return {
    ...account,
    enableServiceLinks: false,
    priorityClassName,
    ...(node === undefined ? {} : { nodeSelector: { [ENGINE_NODE_LABEL]: node } }),
    tolerations: [{ operator: "Exists" }],
    securityContext: {
      runAsNonRoot: true,
      runAsUser: user,
      runAsGroup: user,
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
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ["ALL"] },
          readOnlyRootFilesystem: true,
        },
      },
    ],
    ...(volumes.length === 0 ? {} : { volumes }),
  };
}

/** A workload of one pod at most: it goes before the next one comes, since two would share a volume or a name. */
export function singlePod(
  metadata: ObjectMeta,
  template: types.input.core.v1.PodTemplateSpec,
  matchLabels: Record<string, string>,
): types.input.apps.v1.Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata,
    spec: { replicas: 1, strategy: { type: "Recreate" }, selector: { matchLabels }, template },
  };
}

/** Go's collector works harder from 80 % of the limit on, before the kernel ends the process. */
export function goMemoryLimit({ limitMiB }: Pick<EngineMemory, "limitMiB">): { name: string; value: string } {
  return { name: "GOMEMLIMIT", value: `${Math.floor(limitMiB * 0.8)}MiB` };
}

/**
 * A volume of kind `local` and the claim on it. Its size is a formality: nothing enforces it.
 * @param volume without a namespace, of the claim's name
 * @param node value of {@link ENGINE_NODE_LABEL}
 * @param path of the folder, which the device program makes
 */
export function localVolume(
  volume: ObjectMeta,
  claim: ObjectMeta,
  node: string,
  path: string,
): [types.input.core.v1.PersistentVolume, types.input.core.v1.PersistentVolumeClaim] {
  const accessModes = ["ReadWriteOnce"];
  const { name, namespace } = claim;
  return [
    {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: volume,
      spec: {
        accessModes,
        capacity: { storage: "1Gi" },
        persistentVolumeReclaimPolicy: "Retain",
        claimRef: { namespace, name },
        local: { path },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: ENGINE_NODE_LABEL, operator: "In", values: [node] }] }],
          },
        },
      },
    },
    {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: claim,
      // No class: the default one's provisioner would make a volume of its own.
      spec: { accessModes, storageClassName: "", volumeName: name, resources: { requests: { storage: "1Gi" } } },
    },
  ];
}
