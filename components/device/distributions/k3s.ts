/**
 * From a profile to K3s as edge-fleet runs it: one hardened server with the embedded SQLite datastore, configured by
 * files alone. Upstream's install.sh is not used: it resolves versions over the network, drops settings on a re-run and
 * takes the unit away before it writes it anew (https://github.com/k3s-io/k3s/blob/master/install.sh).
 */
import { stringify } from "yaml";
import type { Profile } from "../../inventory/types.ts";
import type { DeviceFile, DistributionPlan } from "./index.ts";
import { admissionConfiguration, auditPolicy } from "./k3s-policies.ts";
import { kubeletReservations } from "./reservations.ts";

const BINARY = "/usr/local/bin/k3s";
const CONFIG = "/etc/rancher/k3s";
const DATA = "/var/lib/rancher/k3s";
const UNIT = "/etc/systemd/system/k3s.service";

/** Oldest minor release with the secretbox provider for secrets encryption. */
const OLDEST_MINOR = 33;

/**
 * Plans K3s for one device.
 * @throws Error naming the device and the mend: release older than v1.33, or too little memory
 */
export function renderK3s(profile: Profile): DistributionPlan {
  checkProfile(profile);
  const labels = nodeLabels(profile);
  return {
    version: profile.k3s.version,
    binary: BINARY,
    service: "k3s",
    unit: UNIT,
    configDirectory: CONFIG,
    foreignSetting: "datastore-endpoint",
    kubectl: `${BINARY} kubectl --request-timeout=10s`,
    deployments: profile.k3s.disable.includes("coredns") ? [] : ["coredns"],
    labels,
    files: [
      file("/etc/sysctl.d/90-edge-fleet.conf", "0644", KERNEL),
      file(`${CONFIG}/psa.yaml`, "0600", yaml(admissionConfiguration(profile.gitops.engine))),
      file(`${CONFIG}/audit.yaml`, "0600", yaml(auditPolicy())),
      file(`${CONFIG}/config.yaml`, "0600", yaml(serverConfig(profile))),
      {
        ...file(`${CONFIG}/config.yaml.d/10-labels.yaml`, "0600", yaml({ "node-label": labels.filter(kubeletMaySet) })),
        live: true,
      },
      file(`${DATA}/agent/etc/kubelet.conf.d/50-edge-fleet.conf`, "0600", yaml(kubeletConfig(profile.memoryMiB))),
      file(UNIT, "0644", SERVICE),
    ],
  };
}

function checkProfile(profile: Profile): void {
  const minor = Number(/^v1\.(\d+)\./.exec(profile.k3s.version)?.[1]);
  if (!(minor >= OLDEST_MINOR)) {
    throw new Error(
      `device ${profile.id}: k3s.version ${profile.k3s.version} is not supported - use v1.${OLDEST_MINOR}.0+k3s1 or later`,
    );
  }
  try {
    kubeletReservations(profile.memoryMiB);
  } catch (error) {
    throw new Error(`device ${profile.id}: model ${profile.model}: ${(error as Error).message}`);
  }
}

/**
 * Labels of the node. They act at the first registration only; later the apply script reconciles them
 * (https://docs.k3s.io/cli/agent).
 */
function nodeLabels(profile: Profile): string[] {
  const labels = {
    ...profile.labels,
    "edge-fleet.dev/region": profile.region,
    "edge-fleet.dev/model": profile.model,
    "edge-fleet.dev/ring": profile.ring,
  };
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort();
}

/**
 * A kubelet refuses to start with labels of Kubernetes' own domains other than these two
 * (https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction).
 */
function kubeletMaySet(label: string): boolean {
  const prefix = /^([^/=]+)\//.exec(label)?.[1] ?? "";
  return !/(^|\.)(kubernetes|k8s)\.io$/.test(prefix) || /(^|\.)(kubelet|node)\.kubernetes\.io$/.test(prefix);
}

/** `config.yaml`: https://docs.k3s.io/cli/server, hardened after https://docs.k3s.io/security/hardening-guide. */
function serverConfig(profile: Profile): Record<string, unknown> {
  return {
    "node-name": profile.id,
    "write-kubeconfig-mode": "0600",
    disable: profile.k3s.disable,
    "flannel-backend": profile.k3s.flannelBackend,
    "cluster-cidr": profile.k3s.clusterCidr,
    "service-cidr": profile.k3s.serviceCidr,
    "secrets-encryption": true,
    "secrets-encryption-provider": "secretbox",
    "protect-kernel-defaults": true,
    "kube-apiserver-arg": [
      `admission-control-config-file=${CONFIG}/psa.yaml`,
      `audit-policy-file=${CONFIG}/audit.yaml`,
      `audit-log-path=${DATA}/server/logs/audit.log`,
      "audit-log-maxsize=10",
      "audit-log-maxbackup=3",
      "audit-log-maxage=30",
      "service-account-extend-token-expiration=false",
      "tls-min-version=VersionTLS12",
      "event-ttl=15m",
    ],
    "kube-controller-manager-arg": ["terminated-pod-gc-threshold=10"],
    "kubelet-arg": ["streaming-connection-idle-timeout=5m"],
  };
}

/** Kubelet drop-in. It replaces whole maps of K3s' own file, so the disk thresholds are repeated here. */
function kubeletConfig(memoryMiB: number): Record<string, unknown> {
  const { systemMiB, kubernetesMiB, evictionMiB } = kubeletReservations(memoryMiB);
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    evictionHard: { "memory.available": `${evictionMiB}Mi`, "nodefs.available": "5%", "imagefs.available": "5%" },
    systemReserved: { cpu: "100m", memory: `${systemMiB}Mi` },
    kubeReserved: { cpu: "200m", memory: `${kubernetesMiB}Mi` },
    maxPods: 30,
    serializeImagePulls: true,
    imageGCHighThresholdPercent: 80,
    imageGCLowThresholdPercent: 70,
    containerLogMaxSize: "5Mi",
    containerLogMaxFiles: 2,
    podPidsLimit: 1024,
    shutdownGracePeriod: "30s",
    shutdownGracePeriodCriticalPods: "10s",
  };
}

/** What the kubelet demands with `protect-kernel-defaults`. */
const KERNEL = `vm.panic_on_oom=0
vm.overcommit_memory=1
kernel.panic=10
kernel.panic_on_oops=1
`;

/** Upstream's unit, plus the folder that the audit log needs before the first start. */
const SERVICE = `[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStartPre=/bin/mkdir -p -m 0700 ${DATA}/server/logs
ExecStart=${BINARY} server

[Install]
WantedBy=multi-user.target
`;

function file(path: string, mode: string, content: string): DeviceFile {
  return { path, mode, content, live: false };
}

function yaml(value: unknown): string {
  return stringify(value, { lineWidth: 0 });
}
