/**
 * How an agent is configured: the ConfigMap that upstream names for it, and its container's environment. Each name is
 * one that its command reads (argocd-agent acb60cd1, cmd/argocd-agent/agent.go), each key the one of upstream's own
 * ConfigMap (install/kubernetes/agent/agent-params-cm.yaml). Both ends default to nothing that a dead link is found by.
 */
import type { types } from "@pulumi/kubernetes";
import { ENGINE_NAMESPACE, REDIS_PASSWORD } from "../argocd/object.ts";
import { type EngineMemory, goMemoryLimit } from "../pod.ts";
import { type AgentSettings, clientSecretName } from "./settings.ts";

/** ConfigMap that upstream's Deployment and `argocd-agentctl` read. */
export const PARAMETERS = "argocd-agent-params";

/** Secret with the certificate of the fleet's authority in `ca.crt`, and nothing else: every field is read as one. */
export const AUTHORITY_SECRET = "argocd-agent-ca";

/** Variable, key, value. */
function parameters(settings: AgentSettings): readonly (readonly [variable: string, key: string, value: string])[] {
  return [
    ["ARGOCD_AGENT_MODE", "mode", "managed"],
    ["ARGOCD_AGENT_CREDS", "creds", "mtls:any"],
    ["ARGOCD_AGENT_REMOTE_SERVER", "server.address", settings.address],
    ["ARGOCD_AGENT_REMOTE_PORT", "server.port", String(settings.port)],
    ["ARGOCD_AGENT_NAMESPACE", "namespace", ENGINE_NAMESPACE],
    ["ARGOCD_AGENT_ALLOWED_NAMESPACES", "allowed-namespaces", ENGINE_NAMESPACE],
    ["ARGOCD_AGENT_DESTINATION_BASED_MAPPING", "destination-based-mapping", "true"],
    ["ARGOCD_AGENT_TLS_SECRET_NAME", "tls.secret-name", clientSecretName(settings.generation)],
    ["ARGOCD_AGENT_TLS_ROOT_CA_SECRET_NAME", "tls.root-ca-secret-name", AUTHORITY_SECRET],
    ["ARGOCD_AGENT_TLS_MIN_VERSION", "tls.min-version", "tls1.3"],
    ["ARGOCD_AGENT_KEEP_ALIVE_PING_INTERVAL", "keep-alive.interval", "50s"],
    ["ARGOCD_AGENT_ENABLE_COMPRESSION", "compression.enable", "true"],
    // A board reads its definitions and Applications from a slow card; the default of 10 s ends the process.
    ["ARGOCD_AGENT_INFORMER_SYNC_TIMEOUT", "informer-sync-timeout", "120s"],
    ["ARGOCD_AGENT_ENABLE_RESOURCE_PROXY", "resource-proxy.enable", "false"],
    ["ARGOCD_AGENT_LOG_FORMAT", "log.format", "json"],
    ["REDIS_ADDR", "redis.address", "argocd-redis:6379"],
  ];
}

/** What upstream has no key for. */
const ONLY_ENVIRONMENT = {
  ARGOCD_AGENT_HEARTBEAT_INTERVAL: "60s",
  // The default, 10 s, costs ten times the traffic: 27 MB a day instead of 2.7.
  ARGOCD_AGENT_CACHE_REFRESH_INTERVAL: "5m",
  // The default deletes and makes anew what a hub that was built anew sends.
  ARGOCD_AGENT_SOURCE_UID_MISMATCH_POLICY: "upsert",
} as const;

/** The ConfigMap's data. */
export function parameterData(settings: AgentSettings): Record<string, string> {
  return Object.fromEntries(parameters(settings).map(([, key, value]) => [`agent.${key}`, value]));
}

/** The container's environment. */
export function agentEnvironment(settings: AgentSettings, memory: EngineMemory): types.input.core.v1.EnvVar[] {
  return [
    ...parameters(settings).map(([name, key]) => ({
      name,
      valueFrom: { configMapKeyRef: { name: PARAMETERS, key: `agent.${key}` } },
    })),
    ...Object.entries(ONLY_ENVIRONMENT).map(([name, value]) => ({ name, value })),
    REDIS_PASSWORD,
    goMemoryLimit(memory),
  ];
}
