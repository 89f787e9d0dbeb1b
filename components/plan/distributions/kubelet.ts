/**
 * The kubelet's drop-in file: what pods may not use, and how little is written to flash. Flags beat the file, and a map
 * that the file names replaces the whole map of K3s' own defaults
 * (https://docs.k3s.io/cli/agent#kubelet-configuration-files).
 */
import type { Profile } from "../../inventory/types.ts";
import { kubeletReservations, type NodeRole } from "./reservations.ts";

/** TLS 1.2 suites with forward secrecy and authenticated encryption; those of TLS 1.3 are not configurable. */
const CIPHER_SUITES = [
  "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
  "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/**
 * The drop-in as an object: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/
 * @param role what the machine is in its cluster
 * @throws RangeError where the model has too little memory for the role
 */
export function kubeletDropIn(profile: Profile, role: NodeRole): Record<string, unknown> {
  const { systemMiB, kubernetesMiB, evictionMiB } = kubeletReservations(profile.memoryMiB, role);
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    evictionHard: { "memory.available": `${evictionMiB}Mi`, "nodefs.available": "5%", "imagefs.available": "5%" },
    systemReserved: { cpu: "100m", memory: `${systemMiB}Mi` },
    kubeReserved: { cpu: "200m", memory: `${kubernetesMiB}Mi` },
    maxPods: profile.kubelet.maxPods,
    podPidsLimit: 1024,
    ...(profile.security === "cis" ? { seccompDefault: true } : {}),
    eventRecordQPS: 5,
    eventBurst: 20,
    streamingConnectionIdleTimeout: "5m",
    tlsMinVersion: "VersionTLS12",
    tlsCipherSuites: CIPHER_SUITES,
    serializeImagePulls: true,
    imageGCHighThresholdPercent: 80,
    imageGCLowThresholdPercent: 70,
    containerLogMaxSize: "5Mi",
    containerLogMaxFiles: 2,
    shutdownGracePeriod: "30s",
    shutdownGracePeriodCriticalPods: "10s",
  };
}
