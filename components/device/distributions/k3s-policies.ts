/**
 * The two API server policies of an edge device: who may run what (Pod Security admission) and what is worth a write to
 * flash (audit). Both are plain objects; K3s reads them as files.
 */
import type { Profile } from "../../inventory/types.ts";

const ENGINE_NAMESPACE: Readonly<Record<Profile["gitops"]["engine"], string>> = {
  "argocd-agent": "argocd",
  argocd: "argocd",
  flux: "flux-system",
};

/**
 * Restricted everywhere but in kube-system and in the namespace of the pull engine.
 * https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-admission-controller/
 */
export function admissionConfiguration(engine: Profile["gitops"]["engine"]): Record<string, unknown> {
  const levels = ["enforce", "audit", "warn"].flatMap((mode) => [
    [mode, "restricted"],
    [`${mode}-version`, "latest"],
  ]);
  return {
    apiVersion: "apiserver.config.k8s.io/v1",
    kind: "AdmissionConfiguration",
    plugins: [
      {
        name: "PodSecurity",
        configuration: {
          apiVersion: "pod-security.admission.config.k8s.io/v1",
          kind: "PodSecurityConfiguration",
          defaults: Object.fromEntries(levels),
          exemptions: { usernames: [], runtimeClasses: [], namespaces: ["kube-system", ENGINE_NAMESPACE[engine]] },
        },
      },
    ],
  };
}

/**
 * Metadata of every change and of every read of a Secret by people and workloads; nothing of heartbeats, events and
 * the control plane's own reads: they are most of the requests of an idle node.
 * https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
 */
export function auditPolicy(): Record<string, unknown> {
  const reads = ["get", "list", "watch"];
  return {
    apiVersion: "audit.k8s.io/v1",
    kind: "Policy",
    omitStages: ["RequestReceived"],
    rules: [
      {
        level: "None",
        resources: [
          { group: "", resources: ["events", "nodes/status", "pods/status"] },
          { group: "coordination.k8s.io", resources: ["leases"] },
          { group: "events.k8s.io", resources: ["events"] },
        ],
      },
      {
        level: "None",
        users: ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"],
        verbs: reads,
      },
      { level: "None", userGroups: ["system:nodes"], verbs: reads },
      { level: "Metadata", resources: [{ group: "", resources: ["secrets"] }] },
      { level: "None", verbs: reads },
      { level: "Metadata" },
    ],
  };
}
