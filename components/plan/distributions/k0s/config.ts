/** K0s' own configuration, `ClusterConfig`: https://docs.k0sproject.io/stable/configuration/. Pure. */
import type { Profile } from "../../../inventory/types.ts";
import { kubeletDropIn } from "../kubelet.ts";

/** Folder of K0s' settings on a device. */
export const K0S_CONFIG = "/etc/k0s";
/** Folder of K0s' data on a device. */
export const K0S_DATA = "/var/lib/k0s";
/** Archives of images, imported as they come: pkg/component/worker/ocibundle.go of K0s */
export const K0S_IMAGES = `${K0S_DATA}/images`;
/** Manifests that K0s applies at its start and whenever they change: the folder is a stack of its own. */
export const K0S_MANIFESTS = `${K0S_DATA}/manifests/edge-fleet`;

/**
 * The cluster's configuration. The datastore is kine's SQLite with K0s' own, tuned data source: one that is set here
 * would lose its parameters.
 * @throws RangeError where the model has too little memory
 */
export function clusterConfig(profile: Profile): Record<string, unknown> {
  const { nodeIp } = profile.network;
  return {
    apiVersion: "k0s.k0sproject.io/v1beta1",
    kind: "ClusterConfig",
    metadata: { name: "k0s" },
    spec: {
      api: {
        ...(nodeIp === undefined ? {} : { address: nodeIp, sans: [nodeIp] }),
        extraArgs: apiServerArguments(profile),
      },
      controllerManager: { extraArgs: { "terminated-pod-gc-threshold": "10" } },
      storage: { type: "kine" },
      network: { provider: "kuberouter", podCIDR: profile.k0s.podCidr, serviceCIDR: profile.k0s.serviceCidr },
      telemetry: { enabled: false },
      images: { default_pull_policy: profile.artifacts.images ? "Never" : "IfNotPresent" },
      workerProfiles: [{ name: "default", values: kubeletValues(profile) }],
    },
  };
}

/** The kubelet's drop-in of K3s without its head, which K0s refuses, and what K3s is given as flags. */
function kubeletValues(profile: Profile): Record<string, unknown> {
  const { apiVersion: _apiVersion, kind: _kind, ...values } = kubeletDropIn(profile, "server");
  return {
    ...values,
    ...(profile.security === "cis" ? { protectKernelDefaults: true } : {}),
    streamingConnectionIdleTimeout: "5m",
    eventRecordQPS: 5,
    eventBurst: 20,
  };
}

/** The files that these name are beside `k0s.yaml`; the key of the secrets is made on the device and never leaves it. */
function apiServerArguments({ security }: Profile): Record<string, string> {
  return {
    ...(security === "cis"
      ? {
          "enable-admission-plugins": "NodeRestriction,EventRateLimit",
          "admission-control-config-file": `${K0S_CONFIG}/psa.yaml`,
        }
      : {}),
    "audit-policy-file": `${K0S_CONFIG}/audit.yaml`,
    "audit-log-path": `${K0S_DATA}/audit/audit.log`,
    "audit-log-maxsize": "4",
    "audit-log-maxbackup": "10",
    "audit-log-maxage": "30",
    "encryption-provider-config": `${K0S_CONFIG}/encryption.yaml`,
    "service-account-extend-token-expiration": "false",
    "tls-min-version": "VersionTLS12",
    "event-ttl": "15m",
  };
}
