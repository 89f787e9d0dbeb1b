/**
 * K3s' `config.yaml`, for a server and for an agent. Hardened after https://docs.k3s.io/security/hardening-guide;
 * docs/hardening.md says which setting answers which control. There is never a `datastore-endpoint`: without one K3s
 * opens its SQLite with WAL and a busy timeout that an endpoint would lose.
 */
import type { Profile } from "../../../inventory/types.ts";
import { flannelBackend } from "./network.ts";
import { ADMISSION, AGENT_TOKEN, AUDIT_LOGS, AUDIT_POLICY, TOKEN } from "./paths.ts";

/**
 * Seconds until pods leave a node that does not answer, by the shape of the site; Kubernetes' own default is 300. A
 * reboot with a long file system check must not move pods of a LAN, and a link between sites may be down for a day.
 */
const TOLERATION_SECONDS = { single: undefined, lan: 900, "multi-site": 86_400 } as const;

/**
 * `config.yaml` of a server: https://docs.k3s.io/cli/server
 * @param joined whether agents join this server
 */
export function serverConfig(profile: Profile, joined: boolean): Record<string, unknown> {
  const { k3s, host } = profile;
  const backend = flannelBackend(profile);
  return {
    ...nodeConfig(profile),
    ...(joined ? { "agent-token-file": AGENT_TOKEN, "tls-san": [host] } : {}),
    "write-kubeconfig-mode": "0600",
    disable: k3s.disable,
    "flannel-backend": backend,
    ...(backend === "none" ? { "disable-network-policy": true } : {}),
    "cluster-cidr": k3s.clusterCidr,
    "service-cidr": k3s.serviceCidr,
    "secrets-encryption": true,
    "secrets-encryption-provider": "secretbox",
    "kube-apiserver-arg": apiserverArguments(profile),
    "kube-controller-manager-arg": ["terminated-pod-gc-threshold=10"],
  };
}

/**
 * `config.yaml` of an agent: https://docs.k3s.io/cli/agent
 * @param serverHost name or address of the server, without port
 */
export function agentConfig(profile: Profile, serverHost: string): Record<string, unknown> {
  const authority = serverHost.includes(":") ? `[${serverHost}]` : serverHost;
  return {
    server: `https://${authority}:6443`,
    "token-file": TOKEN,
    ...nodeConfig(profile),
  };
}

/** What a server and an agent say of the machine that they run on. */
function nodeConfig(profile: Profile): Record<string, unknown> {
  const { id, security, network } = profile;
  const { nodeIp, interface: networkInterface, resolvConf } = network;
  const ownInterface = flannelBackend(profile) === "none" ? undefined : networkInterface;
  return {
    "node-name": id,
    ...(nodeIp === undefined ? {} : { "node-ip": nodeIp }),
    ...(ownInterface === undefined ? {} : { "flannel-iface": ownInterface }),
    ...(resolvConf === undefined ? {} : { "resolv-conf": resolvConf }),
    ...(security === "cis" ? { "protect-kernel-defaults": true } : {}),
  };
}

function apiserverArguments({ security, network }: Profile): string[] {
  const seconds = TOLERATION_SECONDS[network.shape];
  return [
    ...(security === "cis"
      ? ["enable-admission-plugins=NodeRestriction,EventRateLimit", `admission-control-config-file=${ADMISSION}`]
      : []),
    `audit-policy-file=${AUDIT_POLICY}`,
    `audit-log-path=${AUDIT_LOGS}/audit.log`,
    "audit-log-maxsize=4",
    "audit-log-maxbackup=10",
    "audit-log-maxage=30",
    "service-account-extend-token-expiration=false",
    "tls-min-version=VersionTLS12",
    "event-ttl=15m",
    ...(seconds === undefined
      ? []
      : [`default-not-ready-toleration-seconds=${seconds}`, `default-unreachable-toleration-seconds=${seconds}`]),
  ];
}
