/**
 * The Kubernetes objects of a controller that brings Secrets: one pod in a namespace of its own that nobody reaches, with the
 * rights and the ways out that it is given. Pure.
 */
import type { types } from "@pulumi/kubernetes";
import { RESTRICTED } from "./argocd/configuration.ts";
import { API_PORTS, tcp } from "./argocd/policies.ts";
import { type EngineContainer, type EngineObject, type EnginePod, enginePod, goMemoryLimit, singlePod } from "./pod.ts";
import { SECRETS_CONTROLLERS, type SecretsSource } from "./secrets.ts";

const RBAC = "rbac.authorization.k8s.io";

/** What differs between the controllers. */
export interface SecretsWorkload
  extends Pick<EngineContainer, "image" | "args" | "volumeMounts">,
    Pick<EnginePod, "user" | "volumes"> {
  /** Of its Deployment, its account and its roles. */
  readonly name: string;
  /** Of the whole cluster. */
  readonly rules: readonly types.input.rbac.v1.PolicyRule[];
  /** Port of `/healthz`. */
  readonly port: number;
  /** Ways out. Default: to the API server, by its address. */
  readonly egress?: readonly types.input.networking.v1.NetworkPolicyEgressRule[];
}

/** Its objects but for the namespace, in the order in which they are applied. */
export function secretsObjects(source: SecretsSource, workload: SecretsWorkload): EngineObject[] {
  return [
    priorityClass(source),
    ...account(source, workload),
    ...policies(source, workload),
    deployment(source, workload),
  ] as EngineObject[];
}

/** Its namespace. */
export function secretsNamespace(source: SecretsSource): object {
  const { labels, ...named } = metadata(source, source, false);
  return { apiVersion: "v1", kind: "Namespace", metadata: { ...named, labels: { ...labels, ...RESTRICTED } } };
}

function metadata(source: SecretsSource, name: string, namespaced = true): types.input.meta.v1.ObjectMeta {
  return {
    name,
    ...(namespaced ? { namespace: source } : {}),
    labels: { ...podLabels(name), "app.kubernetes.io/part-of": source, "app.kubernetes.io/managed-by": "edge-fleet" },
  };
}

function podLabels(name: string): Record<string, string> {
  return { "app.kubernetes.io/name": name };
}

function priorityClassName(source: SecretsSource): string {
  return `edge-fleet-${source}`;
}

function priorityClass(source: SecretsSource): object {
  return {
    apiVersion: "scheduling.k8s.io/v1",
    kind: "PriorityClass",
    metadata: metadata(source, priorityClassName(source), false),
    value: 999_999_999,
    description: "What brings Secrets: evicted after every workload, since they wait for what it brings.",
  };
}

function account(source: SecretsSource, { name, rules }: SecretsWorkload): object[] {
  const apiVersion = `${RBAC}/v1`;
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata(source, name) },
    { apiVersion, kind: "ClusterRole", metadata: metadata(source, name, false), rules },
    {
      apiVersion,
      kind: "ClusterRoleBinding",
      metadata: metadata(source, name, false),
      roleRef: { apiGroup: RBAC, kind: "ClusterRole", name },
      subjects: [{ kind: "ServiceAccount", name, namespace: source }],
    },
  ];
}

/** Nobody reaches it. The kubelet's probes come from the node itself. */
function policies(source: SecretsSource, { name, egress }: SecretsWorkload): object[] {
  const policy = (of: string, spec: types.input.networking.v1.NetworkPolicySpec) => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: metadata(source, of),
    spec: { ...spec, policyTypes: ["Ingress", "Egress"] },
  });
  const ways = egress ?? [{ ports: API_PORTS.map(tcp) }];
  return [
    policy("deny-all", { podSelector: {} }),
    policy(name, { podSelector: { matchLabels: podLabels(name) }, egress: [...ways] }),
  ];
}

function deployment(source: SecretsSource, workload: SecretsWorkload): types.input.apps.v1.Deployment {
  const { name, image, args, volumeMounts, port, user, volumes } = workload;
  const { memory } = SECRETS_CONTROLLERS[source];
  const probe = { httpGet: { path: "/healthz", port }, periodSeconds: 30 };
  const container: EngineContainer = {
    name,
    image,
    args,
    env: [goMemoryLimit(memory)],
    ports: [{ containerPort: port }],
    readinessProbe: { ...probe, periodSeconds: 10 },
    livenessProbe: { ...probe, initialDelaySeconds: 60 },
    ...(volumeMounts === undefined ? {} : { volumeMounts }),
    memory,
    cpuMilli: 10,
  };
  const pod = { priorityClassName: priorityClassName(source), user, volumes };
  const spec = enginePod({ serviceAccountName: name }, pod, container);
  const labels = podLabels(name);
  return singlePod(metadata(source, name), { metadata: { labels }, spec }, labels);
}
