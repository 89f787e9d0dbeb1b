/**
 * Who may talk to whom in the engine's namespace: nobody, but for what is listed here. The kubelet's probes come from the
 * node itself, which network policies let through.
 */
import type { types } from "@pulumi/kubernetes";
import { type EngineProcess, engineMeta, podLabels } from "./object.ts";

type NetworkPolicy = types.input.networking.v1.NetworkPolicy;
type Egress = types.input.networking.v1.NetworkPolicyEgressRule;

const CONTROLLER = "argocd-application-controller";
const REPO_SERVER = "argocd-repo-server";
const REDIS = "argocd-redis";
const REDIS_PORT = 6379;
/** Where the repo-server answers: common/common.go of Argo CD. */
export const REPO_SERVER_PORT = 8081;

/**
 * Ports of an API server, before and after kube-proxy: the Service's, K3s' and K0s', MicroK8s'. A policy is judged behind
 * kube-proxy, where the address is the node's own, which no selector names.
 */
export const API_PORTS = [443, 6443, 16443];

/** DNS at any address: the cluster's own, one on the node, or one that the team runs in its place. */
export const DNS: Egress = {
  ports: [
    { protocol: "UDP", port: 53 },
    { protocol: "TCP", port: 53 },
  ],
};

/** The engine's network policies: one that closes the namespace, and one for each process. */
export function networkPolicies(): NetworkPolicy[] {
  return [
    {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: engineMeta("deny-all"),
      spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] },
    },
    policy(CONTROLLER, { egress: [DNS, to(REDIS), to(REPO_SERVER), { ports: API_PORTS.map(tcp) }] }),
    // Git, chart and image registries may be at any address and port: fleet.yaml and the team's charts name them.
    policy(REPO_SERVER, { ingress: from(CONTROLLER), egress: [DNS, to(REDIS), { ports: [{ protocol: "TCP" }] }] }),
    policy(REDIS, { ingress: from(CONTROLLER, REPO_SERVER) }),
  ];
}

const PORTS: Readonly<Partial<Record<EngineProcess, number>>> = {
  [REPO_SERVER]: REPO_SERVER_PORT,
  [REDIS]: REDIS_PORT,
};

interface Flows {
  /** Processes that may connect. Absent: none. */
  readonly ingress?: readonly EngineProcess[];
  /** Absent: none. */
  readonly egress?: Egress[];
}

/** An empty list is left out: what a server drops as empty, a server-side apply would change each time. */
function policy(process: EngineProcess, { ingress = [], egress }: Flows): NetworkPolicy {
  const port = PORTS[process];
  const peers = ingress.map((peer) => ({ podSelector: { matchLabels: podLabels(peer) } }));
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: engineMeta(process),
    spec: {
      podSelector: { matchLabels: podLabels(process) },
      policyTypes: ["Ingress", "Egress"],
      ...(peers.length === 0 || port === undefined ? {} : { ingress: [{ from: peers, ports: [tcp(port)] }] }),
      ...(egress === undefined ? {} : { egress }),
    },
  };
}

function from(...processes: EngineProcess[]): EngineProcess[] {
  return processes;
}

function to(process: EngineProcess): Egress {
  return { to: [{ podSelector: { matchLabels: podLabels(process) } }], ports: [tcp(PORTS[process] ?? 0)] };
}

/** A port of TCP. */
export function tcp(port: number): { protocol: string; port: number } {
  return { protocol: "TCP", port };
}
