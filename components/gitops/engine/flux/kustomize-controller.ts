/**
 * The kustomize-controller: builds what an archive holds, applies it, and corrects what has drifted. Its workload and
 * its rights. Read at v1.9.1.
 */
import type { types } from "@pulumi/kubernetes";
import { goMemoryLimit } from "../pod.ts";
import { fluxClusterMeta, fluxDeployment, fluxMeta, RUNTIME_NAMESPACE } from "./object.ts";
import { FLUX_NAMESPACE, type FluxController, type FluxSettings, fluxSize } from "./settings.ts";
import { JITTER_PERCENT } from "./source-controller.ts";

const NAME: FluxController = "kustomize-controller";

/**
 * Field manager of Argo CD's syncs (common/common.go, ArgoCDSSAManager). What it has set on a device that had Argo CD before
 * is taken over: a field that leaves Git would else be Argo CD's for ever, and stay.
 */
const FORMER_MANAGER = "argocd-controller";

/**
 * No watch of ConfigMaps and Secrets, which no Kustomization of ours names. And a commit is not waited for once another one is
 * there: a release that cannot get well would else keep its successor, or the way back, from the device for as long as
 * `timeout`.
 */
const FEATURES: readonly string[] = ["DisableConfigWatchers", "CancelHealthCheckOnNewRevision"];

/** The controller's workload. No bases from elsewhere: a commit is pinned, what it would fetch is not. */
export function kustomizeController({ images, memoryMiB }: FluxSettings): types.input.apps.v1.Deployment {
  const { kustomizeController: memory } = fluxSize(memoryMiB);
  const container = {
    name: "manager",
    image: images.kustomizeController,
    args: [
      "--watch-all-namespaces=false",
      "--no-cross-namespace-refs",
      "--no-remote-bases",
      "--log-encoding=json",
      `--feature-gates=${FEATURES.map((feature) => `${feature}=true`).join(",")}`,
      `--override-manager=${FORMER_MANAGER}`,
      `--interval-jitter-percentage=${JITTER_PERCENT}`,
    ],
    env: [RUNTIME_NAMESPACE, goMemoryLimit(memory)],
    ports: [{ containerPort: 9440 }],
    readinessProbe: { httpGet: { path: "/readyz", port: 9440 } },
    livenessProbe: { httpGet: { path: "/healthz", port: 9440 }, initialDelaySeconds: 30, periodSeconds: 30 },
    volumeMounts: [{ name: "tmp", mountPath: "/tmp" }],
    memory,
    cpuMilli: 30,
  };
  return fluxDeployment(NAME, container, [{ name: "tmp", emptyDir: { sizeLimit: "512Mi" } }]);
}

/**
 * Its account may do everything. That is upstream's (`cluster-reconciler`), and cannot be less here: which kinds the
 * workloads are of is known in Git and not to this program, and a role can only be granted by who has what it grants. Flux
 * has no projects, so on the device nothing bounds a workload to its project; `edge-fleet check` does, before it is pinned.
 */
export function kustomizeAccount(): object[] {
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: fluxMeta(NAME) },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: fluxClusterMeta(NAME),
      rules: [
        { apiGroups: ["*"], resources: ["*"], verbs: ["*"] },
        { nonResourceURLs: ["*"], verbs: ["*"] },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: fluxClusterMeta(NAME),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: NAME },
      subjects: [{ kind: "ServiceAccount", name: NAME, namespace: FLUX_NAMESPACE }],
    },
  ];
}
