/**
 * The API server policies of an edge device: who may run what (Pod Security admission), how many events are worth a row
 * in the datastore (EventRateLimit), and what is worth a write to flash (audit). All are plain objects, which
 * an API server reads as files.
 */

/**
 * Bounds on events: each one is a row, and a crash loop makes them for ever. One bucket for the whole server, and a
 * smaller one for each pair of reporter and object, so that one bad pod does not silence the others.
 * https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#eventratelimit
 */
const EVENT_LIMITS = [
  { type: "Server", qps: 10, burst: 200 },
  { type: "SourceAndObject", qps: 1, burst: 20, cacheSize: 1024 },
];

/**
 * Restricted everywhere but in kube-system, the engine that edge-fleet installs included; events are bounded.
 * https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-admission-controller/
 */
export function admissionConfiguration(): Record<string, unknown> {
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
          exemptions: { usernames: [], runtimeClasses: [], namespaces: ["kube-system"] },
        },
      },
      {
        name: "EventRateLimit",
        configuration: {
          apiVersion: "eventratelimit.admission.k8s.io/v1alpha1",
          kind: "Configuration",
          limits: EVENT_LIMITS,
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
