/** What a profile may not ask of K0s, each as a finding with its fix. Pure. */
import type { Profile } from "../../../inventory/types.ts";
import { error, type Finding } from "../finding.ts";
import { type ClusterNetwork, checkAddresses, checkCidrs, prefixOf } from "../network.ts";
import { MINIMUM_MEMORY_MIB } from "../reservations.ts";
import { checkSingleNode } from "../single-node.ts";

/**
 * First minor release with containerd 2: embedded-bins/Makefile.variables, 1.7.34 in v1.35.7+k0s.0 and 2.3.3 in v1.36.3+k0s.2.
 */
export const CONTAINERD_2_MINOR = 36;

/** What stands against K0s on a device. Upstream's support of 1.34 ends in autumn 2026. */
export function checkK0s(profile: Profile): Finding[] {
  const { podCidr, serviceCidr, disable } = profile.k0s;
  const pods: ClusterNetwork = ["k0s.podCidr", podCidr];
  const services: ClusterNetwork = ["k0s.serviceCidr", serviceCidr];
  return [
    ...checkSingleNode(profile, {
      oldest: "v1.34.0+k0s.0",
      containerd2: CONTAINERD_2_MINOR,
      joining: "K0s with --single never joins another machine - use distribution: k3s for both",
      memoryMiB: MINIMUM_MEMORY_MIB,
      memoryFix: "K0s - use a model with at least 1Gi",
      dns: !disable.includes("coredns"),
    }),
    ...[pods, services].flatMap(checkAligned),
    ...checkCidrs(pods, services, "10.96.0.0/12"),
    ...checkAddresses(profile, [pods, services]),
  ];
}

/** https://docs.k0sproject.io/stable/configuration/#specnetwork */
function checkAligned([name, cidr]: ClusterNetwork): Finding[] {
  const aligned = alignedCidr(cidr);
  return aligned === cidr ? [] : [error(name, `${cidr} has host bits set - write ${aligned}`)];
}

/** `10.1.2.3/16` -> `10.1.0.0/16`. */
function alignedCidr(cidr: string): string {
  const length = prefixOf(cidr);
  const octets = cidr.slice(0, cidr.indexOf("/")).split(".").map(Number);
  const masked = octets.map((octet, index) => {
    const bits = Math.max(0, Math.min(8, length - 8 * index));
    return octet - (octet % 2 ** (8 - bits));
  });
  return `${masked.join(".")}/${length}`;
}
