/** Whom the agent may talk to, in a namespace that the engine's own policies have closed (../argocd/policies.ts). */
import type { types } from "@pulumi/kubernetes";
import { engineMeta, podLabels } from "../argocd/object.ts";
import { API_PORTS, DNS, tcp } from "../argocd/policies.ts";
import type { AgentSettings } from "./settings.ts";

const AGENT = "argocd-agent-agent";
const REDIS = "argocd-redis";

/** The agent's own policy, and one that lets it to redis. The principal may be at any address. */
export function agentPolicies({ port }: AgentSettings): types.input.networking.v1.NetworkPolicy[] {
  const agent = { matchLabels: podLabels(AGENT) };
  const redis = { matchLabels: podLabels(REDIS) };
  const ports = [...new Set([...API_PORTS, port])].map(tcp);
  const policy = (name: string, spec: types.input.networking.v1.NetworkPolicySpec) => ({
    apiVersion: "networking.k8s.io/v1" as const,
    kind: "NetworkPolicy" as const,
    metadata: engineMeta(name),
    spec,
  });
  return [
    policy(AGENT, {
      podSelector: agent,
      policyTypes: ["Ingress", "Egress"],
      ingress: [],
      egress: [DNS, { to: [{ podSelector: redis }], ports: [tcp(6379)] }, { ports }],
    }),
    policy(`${AGENT}-redis`, {
      podSelector: redis,
      policyTypes: ["Ingress"],
      ingress: [{ from: [{ podSelector: agent }], ports: [tcp(6379)] }],
    }),
  ];
}
