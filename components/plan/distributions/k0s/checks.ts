/**
 * What a profile may not ask of K0s or MicroK8s, each as a finding with its fix. Pure.
 */
import { isIPv4, isIPv6 } from "node:net";
import type { Profile } from "../../../inventory/types.ts";
import { error, type Finding, warning } from "../finding.ts";
import { minorOf } from "../k3s/join.ts";
import { addressInCidr, cidrsOverlap } from "../network.ts";
import { checkRegistries } from "../registries.ts";
import { MINIMUM_MEMORY_MIB } from "../reservations.ts";
import { checkTaints } from "../taints.ts";
import { checkWasm } from "../wasm.ts";
import { checkTokenServers } from "./containerd.ts";

/** Oldest minor release of K0s and MicroK8s: upstream's support of 1.34 ends in autumn 2026. */
export const OLDEST_MINOR = 34;

/** MicroK8s brings snapd, dqlite and Calico; Canonical recommends 4 GB: https://canonical.com/microk8s/docs/getting-started */
export const MICROK8S_MEMORY_MIB = 4096;

/** Networks that the MicroK8s snap fixes: pods and services. */
export const MICROK8S_NETWORKS = { pods: "10.1.0.0/16", services: "10.152.183.0/24" } as const;

/** What stands against K0s on a device. */
export function checkK0s(profile: Profile): Finding[] {
  const { k0s, joins, memoryMiB } = profile;
  const joining = "K0s with --single never joins another machine - use distribution: k3s for both";
  return [
    ...checkVersion("k0s", k0s.version, `v1.${OLDEST_MINOR}.0+k0s.0`),
    ...(joins === undefined ? [] : [error("joins", `${joins} is refused: ${joining}`)]),
    ...(memoryMiB >= MINIMUM_MEMORY_MIB
      ? checkWasm(profile)
      : [error("memory", `${memoryMiB} MiB of memory is not enough for K0s - use a model with at least 1Gi`)]),
    ...checkForK3sAlone(profile),
    ...checkRegistries(profile),
    ...checkTokenServers(profile, "k0s"),
    ...checkTaints(profile, !k0s.disable.includes("coredns")),
    ...checkCidrs(k0s),
    ...checkAddresses(profile, { "k0s.podCidr": k0s.podCidr, "k0s.serviceCidr": k0s.serviceCidr }),
  ];
}

/** What stands against MicroK8s on a device. */
export function checkMicroK8s(profile: Profile): Finding[] {
  const { joins, memoryMiB, microk8s } = profile;
  const fix = "use a model with at least 4Gi, or distribution: k3s";
  const joining = "MicroK8s runs as a single node here - use distribution: k3s for both";
  return [
    ...checkVersion("microk8s", microk8s.version, `v1.${OLDEST_MINOR}.0`),
    ...(joins === undefined ? [] : [error("joins", `${joins} is refused: ${joining}`)]),
    ...(profile.init === "openrc"
      ? [error("init", "openrc is refused: MicroK8s is a snap, and snapd needs systemd - use distribution: k3s or k0s")]
      : []),
    ...(memoryMiB >= MICROK8S_MEMORY_MIB
      ? checkWasm(profile)
      : [
          error(
            "memory",
            `${memoryMiB} MiB of memory is not enough for MicroK8s with snapd, dqlite and Calico - ${fix}`,
          ),
        ]),
    ...(microk8s.addons.includes("dns")
      ? []
      : [
          warning(
            "microk8s.addons",
            "is without dns, so pods resolve no service names - add dns unless nothing needs it",
          ),
        ]),
    ...checkForK3sAlone(profile),
    ...checkRegistries(profile),
    ...checkTokenServers(profile, "microk8s"),
    ...checkTaints(profile, microk8s.addons.includes("dns")),
    ...checkImages(profile),
    ...checkAddresses(profile, {
      "MicroK8s' pod network": MICROK8S_NETWORKS.pods,
      "MicroK8s' service network": MICROK8S_NETWORKS.services,
    }),
  ];
}

function checkVersion(name: "k0s" | "microk8s", version: string, oldest: string): Finding[] {
  if (minorOf(version) >= OLDEST_MINOR) return [];
  return [error(`${name}.version`, `${version} is not supported - use ${oldest} or later`)];
}

/** A setting that K3s alone takes: to ignore it would let an operator believe in it. */
function checkForK3sAlone({ distribution, network }: Profile): Finding[] {
  if (network.interface === undefined) return [];
  return [error("network.interface", `has no meaning for ${distribution} - set network.nodeIp instead`)];
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

/** https://docs.k0sproject.io/stable/configuration/#specnetwork */
function checkCidrs({ podCidr, serviceCidr }: Profile["k0s"]): Finding[] {
  const findings: Finding[] = [];
  for (const [name, cidr] of Object.entries({ podCidr, serviceCidr })) {
    const aligned = alignedCidr(cidr);
    if (aligned !== cidr) findings.push(error(`k0s.${name}`, `${cidr} has host bits set - write ${aligned}`));
  }
  if (cidrsOverlap(podCidr, serviceCidr))
    findings.push(
      error("k0s.serviceCidr", `${serviceCidr} overlaps k0s.podCidr ${podCidr} - use two separate networks`),
    );
  if (lengthOf(podCidr) > 24)
    findings.push(error("k0s.podCidr", `${podCidr} has no room for the /24 of a node - use a /24 or larger`));
  const service = lengthOf(serviceCidr);
  if (service < 12 || service > 28)
    findings.push(
      error(
        "k0s.serviceCidr",
        `${serviceCidr} is not between /12, the API server's limit, and /28, which the DNS service's address needs - use e.g. 10.96.0.0/12`,
      ),
    );
  return findings;
}

/** Addresses by which the device is reached lie in none of its cluster's networks. */
function checkAddresses({ host, network: { nodeIp } }: Profile, networks: Readonly<Record<string, string>>): Finding[] {
  if (nodeIp !== undefined && isIPv6(nodeIp))
    return [error("network.nodeIp", `${nodeIp} is IPv6, but the pod network is IPv4 - use the node's IPv4 address`)];
  const addresses = Object.entries({ "network.nodeIp": nodeIp, host: isIPv4(host) ? host : undefined });
  return addresses.flatMap(([setting, address]) =>
    Object.entries(networks).flatMap(([name, cidr]) =>
      address !== undefined && addressInCidr(address, cidr)
        ? [error(setting, `${address} lies inside ${name} ${cidr} - renumber the cluster's networks or the site`)]
        : [],
    ),
  );
}

function lengthOf(cidr: string): number {
  return Number(cidr.slice(cidr.indexOf("/") + 1));
}

/** `10.1.2.3/16` -> `10.1.0.0/16`. */
function alignedCidr(cidr: string): string {
  const length = lengthOf(cidr);
  const octets = cidr.slice(0, cidr.indexOf("/")).split(".").map(Number);
  const masked = octets.map((octet, index) => {
    const bits = Math.max(0, Math.min(8, length - 8 * index));
    return octet - (octet % 2 ** (8 - bits));
  });
  return `${masked.join(".")}/${length}`;
}
