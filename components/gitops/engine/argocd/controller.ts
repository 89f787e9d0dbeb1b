/**
 * The application-controller: compares the cluster with what Git says and corrects it. Its account, and its
 * StatefulSet, which upstream has it as (its shard is the number that ends its host name).
 */
import type { types } from "@pulumi/kubernetes";
import { goMemoryLimit } from "../pod.ts";
import { clusterMeta, ENGINE_NAMESPACE, engineMeta, podLabels, podTemplate, REDIS_PASSWORD } from "./object.ts";
import { REPO_SERVER_PORT } from "./policies.ts";
import { type EngineSettings, engineSize, reconciliation } from "./settings.ts";

const NAME = "argocd-application-controller";

/**
 * Looks at Git that may fail before an Application says so: on a poor link one in two does, and each change of its status is
 * a write to the flash. Until then it says what it said before; what it is pinned to by a commit heals all the while.
 */
const FAILED_LOOKS = 3;

/** Seconds that a manifest may take to come: the repo-server may have to fetch over a slow link first. Upstream's: 60. */
const MANIFEST_SECONDS = 300;

/**
 * What runs before the controller, at each start of its container. A look at an Application that finds no repo-server has
 * failed, and the next one comes after a whole interval (controller/appcontroller.go, v3.2.11); both start at the same moment.
 * After two to three minutes it goes on all the same: it may have to tell why.
 */
const START = `tries=0
until timeout 2 bash -c '</dev/tcp/argocd-repo-server/${REPO_SERVER_PORT}' 2>/dev/null || [ "$tries" -ge 60 ]; do
  tries=$((tries + 1))
  sleep 1
done
exec "$0" "$@"
`;

/** The controller's workload. */
export function controller(settings: EngineSettings): types.input.apps.v1.StatefulSet {
  const { controller: memory } = engineSize(settings.memoryMiB);
  const container = {
    name: NAME,
    image: settings.images.argocd,
    args: ["sh", "-c", START, ...controllerArguments(settings)],
    env: [
      REDIS_PASSWORD,
      goMemoryLimit(memory),
      { name: "ARGOCD_CONTROLLER_REPLICAS", value: "1" },
      { name: "KUBECACHEDIR", value: "/tmp/kubecache" },
    ],
    ports: [{ containerPort: 8082 }],
    readinessProbe: { httpGet: { path: "/healthz", port: 8082 }, initialDelaySeconds: 5, periodSeconds: 10 },
    volumeMounts: [
      { name: "home", mountPath: "/home/argocd" },
      { name: "tmp", mountPath: "/tmp" },
    ],
    workingDir: "/home/argocd",
    memory,
    cpuMilli: 50,
  };
  const volumes = [
    { name: "home", emptyDir: { sizeLimit: "64Mi" } },
    { name: "tmp", emptyDir: { sizeLimit: "256Mi" } },
  ];
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: engineMeta(NAME),
    spec: {
      replicas: 1,
      serviceName: NAME,
      // With OrderedReady a pod that never becomes ready is not replaced by that of the next, better template:
      // https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
      podManagementPolicy: "Parallel",
      selector: { matchLabels: podLabels(NAME) },
      template: podTemplate(NAME, container, volumes, NAME),
    },
  };
}

/** Flags, not argocd-cmd-params-cm: a changed flag is a changed pod, a changed ConfigMap waits for the next restart. */
function controllerArguments(settings: EngineSettings): string[] {
  const { everySeconds, jitterSeconds } = reconciliation(settings);
  const parallel = String(engineSize(settings.memoryMiB).parallel);
  return [
    NAME,
    `--app-resync=${everySeconds}`,
    `--app-resync-jitter=${jitterSeconds}`,
    `--repo-error-grace-period-seconds=${FAILED_LOOKS * (everySeconds + jitterSeconds)}`,
    `--repo-server-timeout-seconds=${MANIFEST_SECONDS}`,
    `--status-processors=${parallel}`,
    `--operation-processors=${parallel}`,
    `--kubectl-parallelism-limit=${parallel}`,
  ];
}

/**
 * Its account may do everything. That is upstream's, and cannot be less here: which kinds the workloads are of, operators
 * and their own roles included, is known in Git and not to this program, and a role can only be granted by who has what it
 * grants. What an Application may touch is bounded by its AppProject.
 */
export function controllerAccount(): [
  types.input.core.v1.ServiceAccount,
  types.input.rbac.v1.ClusterRole,
  types.input.rbac.v1.ClusterRoleBinding,
] {
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: engineMeta(NAME) },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: clusterMeta(NAME),
      rules: [
        { apiGroups: ["*"], resources: ["*"], verbs: ["*"] },
        { nonResourceURLs: ["*"], verbs: ["*"] },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: clusterMeta(NAME),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: NAME },
      subjects: [{ kind: "ServiceAccount", name: NAME, namespace: ENGINE_NAMESPACE }],
    },
  ];
}
