/**
 * What the principals of a region may do and who may talk to them: their account, its rights and their network policies.
 *
 * Upstream gives it all verbs on Applications, projects and sets of every namespace. It needs less with managed agents: it
 * lists and watches Applications of every namespace, whatever it is told (argocd-agent acb60cd1, principal/server.go:
 * `Applications("").List`), and changes those of its own alone. ApplicationSets it reads with its own replication only,
 * Secrets it writes with self-registration only; neither is on.
 */
import type { types } from "@pulumi/kubernetes";
import { meta, podLabels } from "./object.ts";
import { PRINCIPAL, PRINCIPAL_PORTS, type PrincipalSettings } from "./settings.ts";

type Rule = types.input.rbac.v1.PolicyRule;

const READ = ["get", "list", "watch"];
const RBAC = "rbac.authorization.k8s.io";

/** The account, its role in the namespace, and what it may read beyond. */
export function principalAccount({ namespace }: Pick<PrincipalSettings, "namespace">): object[] {
  const own = meta(PRINCIPAL, namespace);
  const wide = { name: `${PRINCIPAL}-${namespace}`, labels: own.labels };
  const subjects = [{ kind: "ServiceAccount", name: PRINCIPAL, namespace }];
  const granted = (kind: string, name: string) => ({ roleRef: { apiGroup: RBAC, kind, name }, subjects });
  const apiVersion = `${RBAC}/v1`;
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: own },
    { apiVersion, kind: "Role", metadata: own, rules: namespaceRules() },
    { apiVersion, kind: "RoleBinding", metadata: own, ...granted("Role", PRINCIPAL) },
    { apiVersion, kind: "ClusterRole", metadata: wide, rules: clusterRules() },
    { apiVersion, kind: "ClusterRoleBinding", metadata: wide, ...granted("ClusterRole", wide.name) },
  ];
}

function namespaceRules(): Rule[] {
  return [
    {
      apiGroups: ["argoproj.io"],
      resources: ["applications"],
      verbs: [...READ, "create", "update", "patch", "delete"],
    },
    { apiGroups: ["argoproj.io"], resources: ["appprojects"], verbs: [...READ, "update", "patch"] },
    { apiGroups: [""], resources: ["secrets"], verbs: READ },
    // It writes down who it is, once: pkg/principal/identity.go.
    { apiGroups: [""], resources: ["configmaps"], verbs: [...READ, "create"] },
    { apiGroups: [""], resources: ["events"], verbs: ["create", "list"] },
  ];
}

function clusterRules(): Rule[] {
  return [
    { apiGroups: ["argoproj.io"], resources: ["applications"], verbs: READ },
    { apiGroups: [""], resources: ["namespaces"], verbs: READ },
  ];
}

/** Ports of an API server, before and after kube-proxy. */
const API_PORTS = [443, 6443, 16443];

/**
 * Two policies: the principals' own, and one that lets them to redis, which Argo CD's own policy keeps for its processes.
 * Upstream's admits only agents that are pods of the hub.
 */
export function principalPolicies({
  namespace,
  exposure,
  scraper,
}: PrincipalSettings): types.input.networking.v1.NetworkPolicy[] {
  const apiVersion = "networking.k8s.io/v1";
  const kind = "NetworkPolicy";
  const redis = { matchLabels: { "app.kubernetes.io/name": "argocd-redis" } };
  const principal = { matchLabels: podLabels() };
  const agents = exposure.sourceRanges.map((cidr) => ({ ipBlock: { cidr } }));
  return [
    {
      apiVersion,
      kind,
      metadata: meta(PRINCIPAL, namespace),
      spec: {
        podSelector: principal,
        policyTypes: ["Ingress", "Egress"],
        ingress: [
          // Without a list everybody may: a rule without `from`.
          { ...(agents.length === 0 ? {} : { from: agents }), ports: [tcp(PRINCIPAL_PORTS.agents)] },
          ...(scraper === undefined
            ? []
            : [
                {
                  from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": scraper } } }],
                  ports: [tcp(PRINCIPAL_PORTS.metrics), tcp(PRINCIPAL_PORTS.healthz)],
                },
              ]),
        ],
        egress: [
          { ports: [{ protocol: "UDP", port: 53 }, tcp(53)] },
          { to: [{ podSelector: redis }], ports: [tcp(6379)] },
          { ports: API_PORTS.map(tcp) },
        ],
      },
    },
    {
      apiVersion,
      kind,
      metadata: meta(`${PRINCIPAL}-redis`, namespace),
      spec: {
        podSelector: redis,
        policyTypes: ["Ingress"],
        ingress: [{ from: [{ podSelector: principal }], ports: [tcp(6379)] }],
      },
    },
  ];
}

function tcp(port: number): { protocol: string; port: number } {
  return { protocol: "TCP", port };
}
