/** What a profile may not ask of MicroK8s, each as a finding with its fix. Pure. */
import type { Profile } from "../../../inventory/types.ts";
import { error, type Finding, warning } from "../finding.ts";
import { checkAddresses } from "../network.ts";
import { checkSingleNode } from "../single-node.ts";

/** MicroK8s brings snapd, dqlite and Calico; Canonical recommends 4 GB: https://canonical.com/microk8s/docs/getting-started */
export const MEMORY_MIB = 4096;

/** Calico's network, which the snap fixes. https://microk8s.io/docs/change-cidr */
export const PODS = "10.1.0.0/16";

/** Network of services, which the snap fixes. */
const SERVICES = "10.152.183.0/24";

/**
 * First minor release with containerd 2: https://github.com/canonical/microk8s/blob/1.36/build-scripts/components/containerd/version.sh,
 * 1.7.29 in branch 1.34 and 2.1.6 in 1.35.
 */
const CONTAINERD_2_MINOR = 35;

/** What stands against MicroK8s on a device. Upstream's support of 1.34 ends in autumn 2026. */
export function checkMicroK8s(profile: Profile): Finding[] {
  const dns = profile.microk8s.addons.includes("dns");
  return [
    ...checkSingleNode(profile, {
      oldest: "v1.34.0",
      containerd2: CONTAINERD_2_MINOR,
      joining: "MicroK8s runs as a single node here - use distribution: k3s for both",
      memoryMiB: MEMORY_MIB,
      memoryFix: "MicroK8s with snapd, dqlite and Calico - use a model with at least 4Gi, or distribution: k3s",
      dns,
    }),
    ...(profile.init === "openrc"
      ? [error("init", "openrc is refused: MicroK8s is a snap, and snapd needs systemd - use distribution: k3s or k0s")]
      : []),
    ...(dns
      ? []
      : [
          warning(
            "microk8s.addons",
            "is without dns, so pods resolve no service names - add dns unless nothing needs it",
          ),
        ]),
    ...checkImages(profile),
    ...checkAddresses(profile, [
      ["MicroK8s' pod network", PODS],
      ["MicroK8s' service network", SERVICES],
    ]),
  ];
}

/** Upstream publishes no archive of MicroK8s' images that a lock could name. https://canonical.com/microk8s/docs/install-offline */
function checkImages({ artifacts, registries }: Profile): Finding[] {
  if (!artifacts.images || Object.keys(registries).length > 0) return [];
  return [
    warning(
      "artifacts.images",
      "brings the snaps alone, since MicroK8s publishes no archive of its images - set registries to a mirror that the device reaches",
    ),
  ];
}
