/**
 * The engine's configuration: its namespace, the class of its pods, and what Argo CD reads from ConfigMaps. What a pod is
 * started with is in its flags, see controller.ts. argocd-ssh-known-hosts-cm and argocd-tls-certs-cm are the Git access',
 * which comes in a file of its own; argocd-rbac-cm is read by argocd-server, which no device runs.
 */
import type { types } from "@pulumi/kubernetes";
import { stringify } from "yaml";
import { clusterMeta, ENGINE_NAMESPACE, ENGINE_PRIORITY, engineMeta } from "./object.ts";
import { GIT_CONFIG, GIT_CONFIG_MAP } from "./repo-server.ts";

/** Pod Security's `restricted`, also where the API server enforces nothing by itself. */
export const RESTRICTED = Object.fromEntries(
  ["enforce", "audit", "warn"].map((mode) => [`pod-security.kubernetes.io/${mode}`, "restricted"]),
);

/** Largest priority that is not Kubernetes' own. */
const PRIORITY = 1_000_000_000;

/** The namespace and the priority class. */
export function engineNamespace(): [types.input.core.v1.Namespace, types.input.scheduling.v1.PriorityClass] {
  const meta = clusterMeta(ENGINE_NAMESPACE);
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { ...meta, labels: { ...meta.labels, ...RESTRICTED } } },
    {
      apiVersion: "scheduling.k8s.io/v1",
      kind: "PriorityClass",
      metadata: clusterMeta(ENGINE_PRIORITY),
      value: PRIORITY,
      description: "The pull engine: evicted after every workload, since it is what brings them back.",
    },
  ];
}

/**
 * Kinds that the controller does not watch: they change all the time and no workload is made of them.
 * The list is upstream's, manifests/base/config/argocd-cm.yaml of v3.2.11.
 */
const EXCLUSIONS = [
  { apiGroups: ["", "discovery.k8s.io"], kinds: ["Endpoints", "EndpointSlice"] },
  { apiGroups: ["coordination.k8s.io"], kinds: ["Lease"] },
  {
    apiGroups: ["authentication.k8s.io", "authorization.k8s.io"],
    kinds: [
      "SelfSubjectReview",
      "TokenReview",
      "LocalSubjectAccessReview",
      "SelfSubjectAccessReview",
      "SelfSubjectRulesReview",
      "SubjectAccessReview",
    ],
  },
  { apiGroups: ["certificates.k8s.io"], kinds: ["CertificateSigningRequest"] },
  { apiGroups: ["cert-manager.io"], kinds: ["CertificateRequest"] },
  { apiGroups: ["cilium.io"], kinds: ["CiliumIdentity", "CiliumEndpoint", "CiliumEndpointSlice"] },
  {
    apiGroups: ["kyverno.io", "reports.kyverno.io", "wgpolicyk8s.io"],
    kinds: [
      "PolicyReport",
      "ClusterPolicyReport",
      "EphemeralReport",
      "ClusterEphemeralReport",
      "AdmissionReport",
      "ClusterAdmissionReport",
      "BackgroundScanReport",
      "ClusterBackgroundScanReport",
      "UpdateRequest",
    ],
  },
];

/** Changes of objects that make no Application look again, by kind; upstream's as well. */
const IGNORED_UPDATES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  all: { jsonPointers: ["/status"] },
  ConfigMap: {
    jqPathExpressions: [
      '.metadata.annotations."cluster-autoscaler.kubernetes.io/last-updated"',
      '.metadata.annotations."control-plane.alpha.kubernetes.io/leader"',
    ],
  },
  Endpoints: { jsonPointers: ["/metadata", "/subsets"] },
  apps_ReplicaSet: {
    jqPathExpressions: [
      '.metadata.annotations."deployment.kubernetes.io/desired-replicas"',
      '.metadata.annotations."deployment.kubernetes.io/max-replicas"',
      '.metadata.annotations."rollout.argoproj.io/desired-replicas"',
    ],
  },
  "argoproj.io_Application": {
    jqPathExpressions: [
      '.metadata.annotations."notified.notifications.argoproj.io"',
      '.metadata.annotations."argocd.argoproj.io/refresh"',
      '.metadata.annotations."argocd.argoproj.io/hydrate"',
      ".operation",
    ],
  },
  "argoproj.io_Rollout": { jqPathExpressions: ['.metadata.annotations."notified.notifications.argoproj.io"'] },
  autoscaling_HorizontalPodAutoscaler: {
    jqPathExpressions: [
      '.metadata.annotations."autoscaling.alpha.kubernetes.io/behavior"',
      '.metadata.annotations."autoscaling.alpha.kubernetes.io/conditions"',
      '.metadata.annotations."autoscaling.alpha.kubernetes.io/metrics"',
      '.metadata.annotations."autoscaling.alpha.kubernetes.io/current-metrics"',
    ],
  },
  "discovery.k8s.io_EndpointSlice": { jsonPointers: ["/metadata", "/endpoints", "/ports"] },
};

/** The ConfigMaps. */
export function configMaps(): types.input.core.v1.ConfigMap[] {
  const ignored = Object.entries(IGNORED_UPDATES).map(([kind, paths]) => [
    `resource.customizations.ignoreResourceUpdates.${kind}`,
    stringify(paths, { lineWidth: 0 }),
  ]);
  return [
    configMap("argocd-cm", {
      // An object of ours carries the whole name of its Application, so none can be taken for another's.
      "application.resourceTrackingMethod": "annotation",
      ...Object.fromEntries(ignored),
      "resource.exclusions": stringify(EXCLUSIONS, { lineWidth: 0 }),
    }),
    configMap(GIT_CONFIG_MAP, { gitconfig: GIT_CONFIG }),
  ];
}

function configMap(name: string, data: Record<string, string>): types.input.core.v1.ConfigMap {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: engineMeta(name), data };
}
