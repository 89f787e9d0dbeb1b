/**
 * The repo-server: fetches from Git and renders what a commit holds. Its workload, and the volume on the
 * device's own disk that holds its checkouts.
 *
 * An Application that is pinned to a commit heals without Git as long as the repo-server has that commit or redis has what
 * came of it. Redis forgets with its pod, and an `emptyDir` goes with its pod too, so the checkouts lie in a volume of kind
 * `local`: `hostPath` is what Pod Security's `restricted` forbids a pod, and of a claim it asks nothing. The device program
 * makes the folder, owned by {@link ENGINE_USER}.
 */
import type { types } from "@pulumi/kubernetes";
import { goMemoryLimit, localVolume } from "../pod.ts";
import { clusterMeta, deployment, ENGINE_NODE, engineMeta, podTemplate, REDIS_PASSWORD } from "./object.ts";
import { type EngineSettings, engineSize, reconciliation } from "./settings.ts";

const NAME = "argocd-repo-server";

/** Folder of the checkouts on the device. */
const CHECKOUTS = "/var/lib/edge-fleet/engine/repo";

/** The same in the pod: below its TMPDIR, see reposerver/server.go. */
const CHECKOUTS_MOUNT = "/tmp/_argocd-repo";

const CLAIM = "argocd-repo-server-checkouts";

/**
 * What runs before the repo-server, at each start of its container. A power cut, or the kernel that ends a process for its
 * memory, leaves Git's lock files and a half-written index behind; Git then refuses every checkout, and the repo-server
 * repairs neither (checkoutRevision in reposerver/repository/repository.go). An index is made anew from the commit. What is
 * no repository goes: a clone that had just begun, a chart that no process remembers.
 */
const START = `set -eu
cd ${CHECKOUTS_MOUNT}
chmod 700 .
for checkout in */; do
  [ -d "$checkout" ] || continue
  chmod 700 "$checkout"
  if git --git-dir "$checkout.git" rev-parse --git-dir >/dev/null 2>&1; then
    rm -f "$checkout.git/index"
    find "$checkout.git" -name '*.lock' -type f -exec rm -f {} +
  else
    rm -rf "$checkout"
  fi
done
cd /
exec "$0" "$@"
`;

/**
 * Git's settings beside the image's own: what a fetch has written is on the disk before it counts, loose objects included;
 * a transfer that stands still for a minute is given up, since a slow one may take half an hour.
 */
export const GIT_CONFIG = `[include]
\tpath = /etc/gitconfig
[core]
\tfsync = all
[http]
\tlowSpeedLimit = 10
\tlowSpeedTime = 60
`;

/** ConfigMap of {@link GIT_CONFIG}. */
export const GIT_CONFIG_MAP = "argocd-git-config";

/** How long one command of Git, Kustomize or Helm may take. Upstream's is 90 s, in which a slow link fetches 1 MB. */
const COMMAND_LIMIT = "30m";

/** How long the repo-server keeps what it has rendered of a commit; redis drops what has not been used for longest. */
const RENDERED_HOURS = 24 * 30;

/** The repo-server's workload. It has one pod at most: two would change the same checkouts. */
export function repoServer(settings: EngineSettings): types.input.apps.v1.Deployment {
  const { repoServer: memory } = engineSize(settings.memoryMiB);
  const container = {
    name: NAME,
    image: settings.images.argocd,
    args: ["sh", "-c", START, NAME, ...repoServerArguments(settings)],
    env: [REDIS_PASSWORD, goMemoryLimit(memory), ...environment()],
    ports: [{ containerPort: 8081 }, { containerPort: 8084 }],
    readinessProbe: { httpGet: { path: "/healthz", port: 8084 }, initialDelaySeconds: 5, periodSeconds: 10 },
    livenessProbe: {
      httpGet: { path: "/healthz?full=true", port: 8084 },
      initialDelaySeconds: 30,
      periodSeconds: 30,
      timeoutSeconds: 5,
      failureThreshold: 3,
    },
    volumeMounts: MOUNTS.map(([name, mountPath]) => ({ name, mountPath })),
    memory,
    cpuMilli: 20,
  };
  return deployment(NAME, podTemplate(NAME, container, volumes()));
}

function repoServerArguments(settings: EngineSettings): string[] {
  return [
    `--parallelismlimit=${engineSize(settings.memoryMiB).parallel}`,
    `--revision-cache-expiration=${reconciliation(settings).everySeconds}s`,
    `--repo-cache-expiration=${RENDERED_HOURS}h`,
  ];
}

/** No signatures (GNUPG would want a keyring), no submodules (they come from elsewhere), patience with the link. */
function environment(): types.input.core.v1.EnvVar[] {
  const values = {
    ARGOCD_EXEC_TIMEOUT: COMMAND_LIMIT,
    ARGOCD_GIT_ATTEMPTS_COUNT: "3",
    ARGOCD_GIT_MODULES_ENABLED: "false",
    ARGOCD_GIT_REQUEST_TIMEOUT: "60s",
    ARGOCD_GPG_ENABLED: "false",
    GIT_CONFIG_SYSTEM: "/app/config/git/gitconfig",
    HELM_CACHE_HOME: "/helm-working-dir",
    HELM_CONFIG_HOME: "/helm-working-dir",
    HELM_DATA_HOME: "/helm-working-dir",
  };
  return Object.entries(values).map(([name, value]) => ({ name, value }));
}

const MOUNTS = [
  ["tmp", "/tmp"],
  ["checkouts", CHECKOUTS_MOUNT],
  ["helm", "/helm-working-dir"],
  ["plugins", "/home/argocd/cmp-server/plugins"],
  ["git-config", "/app/config/git"],
  ["ssh-known-hosts", "/app/config/ssh"],
  ["tls-certs", "/app/config/tls"],
] as const;

/** The host keys and CAs are the Git access', which the device gets in a file of its own; without any the pod starts. */
function volumes(): types.input.core.v1.Volume[] {
  return [
    { name: "tmp", emptyDir: { sizeLimit: "1Gi" } },
    { name: "checkouts", persistentVolumeClaim: { claimName: CLAIM } },
    { name: "helm", emptyDir: { sizeLimit: "256Mi" } },
    { name: "plugins", emptyDir: { sizeLimit: "1Mi" } },
    { name: "git-config", configMap: { name: GIT_CONFIG_MAP } },
    { name: "ssh-known-hosts", configMap: { name: "argocd-ssh-known-hosts-cm", optional: true } },
    { name: "tls-certs", configMap: { name: "argocd-tls-certs-cm", optional: true } },
  ];
}

/** The volume of the checkouts and the claim on it. */
export function checkoutVolume(): [types.input.core.v1.PersistentVolume, types.input.core.v1.PersistentVolumeClaim] {
  return localVolume(clusterMeta(CLAIM), engineMeta(CLAIM), ENGINE_NODE, CHECKOUTS);
}
