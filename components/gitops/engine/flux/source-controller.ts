/**
 * The source-controller: fetches from Git and keeps each commit as an archive, which it serves to the
 * kustomize-controller. Its workload, its rights, and the volume on the device's own disk that holds the archives: with
 * them a device heals after a boot without Git. Upstream keeps them in an `emptyDir`, which goes with its pod. The
 * device program makes the folder, owned by {@link FLUX_USER}. Read at v1.9.1.
 */
import type { types } from "@pulumi/kubernetes";
import { goMemoryLimit, localVolume } from "../pod.ts";
import { fluxAccount, fluxClusterMeta, fluxDeployment, fluxMeta, RUNTIME_NAMESPACE } from "./object.ts";
import { FLUX_NODE, FLUX_PARTS, type FluxController, type FluxSettings, fluxSize } from "./settings.ts";

const NAME: FluxController = "source-controller";

/** Port of the archives. */
export const ARCHIVE_PORT = 9090;

/** Folder of the archives on the device. */
const ARCHIVES = "/var/lib/edge-fleet/engine/source";

const CLAIM = "source-controller-archives";

/**
 * The part of an interval by which it comes sooner or later, at random, in percent (runtime/jitter of fluxcd/pkg).
 * Upstream's, 5, would let a fleet that was rolled out at once ask Git in step for weeks.
 */
export const JITTER_PERCENT = 25;

/** The controller's workload. */
export function sourceController({ images, memoryMiB }: FluxSettings): types.input.apps.v1.Deployment {
  const { sourceController: memory, fetches } = fluxSize(memoryMiB);
  const container = {
    name: "manager",
    image: images.sourceController,
    args: [
      "--watch-all-namespaces=false",
      "--log-encoding=json",
      "--storage-path=/data",
      `--storage-adv-addr=${NAME}.$(RUNTIME_NAMESPACE).svc.cluster.local.`,
      `--concurrent=${fetches}`,
      `--interval-jitter-percentage=${JITTER_PERCENT}`,
    ],
    env: [RUNTIME_NAMESPACE, { name: "TUF_ROOT", value: "/tmp/.sigstore" }, goMemoryLimit(memory)],
    ports: [{ containerPort: ARCHIVE_PORT }, { containerPort: 9440 }],
    readinessProbe: { httpGet: { path: "/", port: ARCHIVE_PORT } },
    livenessProbe: { httpGet: { path: "/healthz", port: 9440 }, initialDelaySeconds: 30, periodSeconds: 30 },
    volumeMounts: [
      { name: "archives", mountPath: "/data" },
      { name: "tmp", mountPath: "/tmp" },
    ],
    memory,
    cpuMilli: 20,
  };
  return fluxDeployment(NAME, container, [
    { name: "archives", persistentVolumeClaim: { claimName: CLAIM } },
    { name: "tmp", emptyDir: { sizeLimit: "1Gi" } },
  ]);
}

/** Its account, which reads Secrets and writes objects of its own kinds in Flux' namespace, and nothing anywhere else. */
export function sourceAccount(): object[] {
  const { group, kinds } = FLUX_PARTS.sourceController;
  const own = (suffix: string) => kinds.map((kind) => `${kind}${suffix}`);
  return fluxAccount(NAME, [
    { apiGroups: [group], resources: own(""), verbs: ["get", "list", "watch", "patch", "update"] },
    { apiGroups: [group], resources: [...own("/status"), ...own("/finalizers")], verbs: ["get", "patch", "update"] },
    { apiGroups: [""], resources: ["secrets", "serviceaccounts"], verbs: ["get", "list", "watch"] },
    { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
  ]);
}

/** The volume of the archives and the claim on it. */
export function archiveVolume(): [types.input.core.v1.PersistentVolume, types.input.core.v1.PersistentVolumeClaim] {
  return localVolume(fluxClusterMeta(CLAIM), fluxMeta(CLAIM), FLUX_NODE, ARCHIVES);
}
