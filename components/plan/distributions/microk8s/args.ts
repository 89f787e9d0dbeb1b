/**
 * The arguments of MicroK8s' services. kubelite reads one file per service, a `--key=value` a line, without quotes or
 * blanks (https://canonical.com/microk8s/docs/configuring-services). The device program replaces the keys named here in
 * the snap's own files and leaves the rest to the snap. Pure.
 */
import type { Profile } from "../../../inventory/types.ts";
import { kubeletDropIn } from "../kubelet.ts";

/** Folder of edge-fleet's files for MicroK8s on a device. */
export const MICROK8S_CONFIG = "/etc/edge-fleet/microk8s";

/** Values by flag. */
export type Arguments = Readonly<Record<`--${string}`, string>>;

/** Services whose arguments are set, by the name of their file below `args/`. */
export interface ServiceArguments {
  readonly "kube-apiserver": Arguments;
  readonly "kube-controller-manager": Arguments;
  readonly kubelet: Arguments;
}

/** Address of the DNS add-on, which the snap fixes together with its service network. */
const CLUSTER_DNS = "10.152.183.10";

/** Flags of the fields of a kubelet's configuration. Those without one cannot be set with MicroK8s. */
const KUBELET_FLAGS: Readonly<Record<string, `--${string}`>> = {
  evictionHard: "--eviction-hard",
  systemReserved: "--system-reserved",
  kubeReserved: "--kube-reserved",
  maxPods: "--max-pods",
  podPidsLimit: "--pod-max-pids",
  seccompDefault: "--seccomp-default",
  tlsMinVersion: "--tls-min-version",
  tlsCipherSuites: "--tls-cipher-suites",
  serializeImagePulls: "--serialize-image-pulls",
  imageGCHighThresholdPercent: "--image-gc-high-threshold",
  imageGCLowThresholdPercent: "--image-gc-low-threshold",
  containerLogMaxSize: "--container-log-max-size",
  containerLogMaxFiles: "--container-log-max-files",
  eventRecordQPS: "--event-qps",
  eventBurst: "--event-burst",
};

/**
 * The arguments of all services. RBAC is always on: MicroK8s' own default is `AlwaysAllow`.
 * @throws RangeError where the model has too little memory
 */
export function serviceArguments(profile: Profile): ServiceArguments {
  return {
    "kube-apiserver": apiServer(profile),
    "kube-controller-manager": { "--profiling": "false", "--terminated-pod-gc-threshold": "10" },
    kubelet: kubelet(profile),
  };
}

/** One file below `args/`. */
export function argumentLines(values: Arguments): string {
  return Object.entries(values)
    .map(([flag, value]) => `${flag}=${value}\n`)
    .join("");
}

function apiServer({ security }: Profile): Arguments {
  return {
    "--authorization-mode": "RBAC,Node",
    ...(security === "cis"
      ? {
          "--enable-admission-plugins": "NodeRestriction,EventRateLimit",
          "--admission-control-config-file": `${MICROK8S_CONFIG}/psa.yaml`,
        }
      : {}),
    "--audit-policy-file": `${MICROK8S_CONFIG}/audit.yaml`,
    "--audit-log-path": "/var/log/edge-fleet/audit.log",
    "--audit-log-maxsize": "4",
    "--audit-log-maxbackup": "10",
    "--audit-log-maxage": "30",
    "--encryption-provider-config": `${MICROK8S_CONFIG}/encryption.yaml`,
    "--service-account-extend-token-expiration": "false",
    "--tls-min-version": "VersionTLS12",
  };
}

function kubelet(profile: Profile): Arguments {
  const { network, microk8s, security } = profile;
  const settings = Object.entries(kubeletDropIn(profile, "server")).flatMap(([field, value]) => {
    const flag = KUBELET_FLAGS[field];
    return flag === undefined ? [] : [[flag, flagValue(value, field === "evictionHard" ? "<" : "=")] as const];
  });
  return {
    ...(microk8s.addons.includes("dns") ? { "--cluster-dns": CLUSTER_DNS, "--cluster-domain": "cluster.local" } : {}),
    ...Object.fromEntries(settings),
    ...(security === "cis" ? { "--protect-kernel-defaults": "true" } : {}),
    ...(network.nodeIp === undefined ? {} : { "--node-ip": network.nodeIp }),
    ...(network.resolvConf === undefined ? {} : { "--resolv-conf": network.resolvConf }),
  };
}

/** A map becomes `key=value,key=value`, a list its members. */
function flagValue(value: unknown, between: "=" | "<"): string {
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) return value.join(",");
  return Object.entries(value)
    .map((entry) => entry.join(between))
    .join(",");
}
