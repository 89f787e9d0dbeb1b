/**
 * The kustomize-controller: builds what an archive holds, applies it, and corrects what has drifted. Its workload and
 * its rights. Read at v1.9.1.
 */
import type { types } from "@pulumi/kubernetes";
import { goMemoryLimit } from "../pod.ts";
import { fluxAccount, fluxDeployment, RUNTIME_NAMESPACE } from "./object.ts";
import { FLUX_PARTS, type FluxController, type FluxSettings, fluxSize } from "./settings.ts";
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
      "--default-service-account=default",
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
 * Its account, which reads sources and writes Kustomizations in Flux' namespace. Whatever these hold it applies as an account of
 * ../../flux-accounts.ts, and a Kustomization that names none as one without rights.
 * https://fluxcd.io/flux/installation/configuration/multitenancy/
 */
export function kustomizeAccount(): object[] {
  const { group, kinds } = FLUX_PARTS.kustomizeController;
  const own = (suffix: string) => kinds.map((kind) => `${kind}${suffix}`);
  return fluxAccount(NAME, [
    { apiGroups: [group], resources: own(""), verbs: ["get", "list", "watch", "patch", "update"] },
    { apiGroups: [group], resources: [...own("/status"), ...own("/finalizers")], verbs: ["get", "patch", "update"] },
    {
      apiGroups: [FLUX_PARTS.sourceController.group],
      resources: ["buckets", "gitrepositories", "ocirepositories"],
      verbs: ["get", "list", "watch"],
    },
    { apiGroups: [""], resources: ["serviceaccounts"], verbs: ["get", "list", "watch"] },
    { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
  ]);
}
