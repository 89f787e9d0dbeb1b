/**
 * How a principal is configured: the ConfigMap that upstream names for it, and its container's environment. Each name
 * is one that its command reads (argocd-agent acb60cd1, cmd/argocd-agent/principal.go), each key the one of upstream's
 * own ConfigMap (install/kubernetes/principal/principal-params-cm.yaml).
 */
import type { types } from "@pulumi/kubernetes";
import { goMemoryLimit } from "../../gitops/engine/pod.ts";
import { PRINCIPAL_PORTS, principalName } from "./settings.ts";

/** Upstream's name of the ConfigMap, which each release has one of. */
export const PARAMETERS = "argocd-agent-params";

/** Name of the Secret with a principal's certificate and key. */
export function serverSecretName(version: string): string {
  return principalName(version, "argocd-agent-principal-tls");
}

/** Everything that differs from a default, or must not change with one: variable, key, value. */
function parameters(
  namespace: string,
  version: string,
): readonly (readonly [variable: string, key: string, value: string])[] {
  return [
    ["LISTEN_HOST", "listen.host", "0.0.0.0"],
    ["LISTEN_PORT", "listen.port", String(PRINCIPAL_PORTS.agents)],
    ["METRICS_PORT", "metrics.port", String(PRINCIPAL_PORTS.metrics)],
    ["HEALTH_CHECK_PORT", "healthz.port", String(PRINCIPAL_PORTS.healthz)],
    ["NAMESPACE", "namespace", namespace],
    ["ALLOWED_NAMESPACES", "allowed-namespaces", namespace],
    ["DESTINATION_BASED_MAPPING", "destination-based-mapping", "true"],
    // The whole subject, as Go prints it: a certificate with an organization is no agent's.
    ["AUTH", "auth", "mtls:subject:^CN=([a-z0-9-]+)$"],
    ["TLS_SECRET_NAME", "tls.secret-name", serverSecretName(version)],
    ["TLS_CLIENT_CERT_REQUIRE", "tls.client-cert.require", "true"],
    ["TLS_CLIENT_CERT_MATCH_SUBJECT", "tls.client-cert.match-subject", "true"],
    ["TLS_MIN_VERSION", "tls.min-version", "tls1.3"],
    // Unset it is gRPC's own 5 min, stricter than the 50 s at which agents ping.
    ["KEEP_ALIVE_MIN_INTERVAL", "keep-alive.min-interval", "30s"],
    ["REDIS_SERVER_ADDRESS", "redis.server.address", "argocd-redis:6379"],
    // No live view: it asks agents for rights on everything that it shows.
    ["ENABLE_RESOURCE_PROXY", "resource-proxy.enable", "false"],
    ["LOG_FORMAT", "log.format", "json"],
  ];
}

/** The ConfigMap's data. */
export function parameterData(namespace: string, version: string): Record<string, string> {
  return Object.fromEntries(parameters(namespace, version).map(([, key, value]) => [`principal.${key}`, value]));
}

/** The container's environment: what the ConfigMap says, and what upstream has no key for. */
export function principalEnvironment(
  namespace: string,
  version: string,
  memoryLimitMiB: number,
): types.input.core.v1.EnvVar[] {
  const referred = parameters(namespace, version).map(([variable, key]) => ({
    name: `ARGOCD_PRINCIPAL_${variable}`,
    valueFrom: { configMapKeyRef: { name: principalName(version, PARAMETERS), key: `principal.${key}` } },
  }));
  return [
    ...referred,
    { name: "ARGOCD_PRINCIPAL_DISABLE_REDIS_PROXY", value: "true" },
    { name: "REDIS_PASSWORD", valueFrom: { secretKeyRef: { name: "argocd-redis", key: "auth" } } },
    goMemoryLimit({ limitMiB: memoryLimitMiB }),
  ];
}
