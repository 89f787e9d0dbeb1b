/**
 * The place of a device in the network: which addresses may not meet, which kernel modules a node needs, and the
 * last-resort default route without which K3s does not start off-line. Pure.
 */
import { BlockList, isIPv4, isIPv6 } from "node:net";
import type { Profile } from "../../inventory/types.ts";
import { error, type Finding } from "./finding.ts";

/** Kernel modules of a node, by what asks for them. */
const MODULES = {
  always: ["overlay", "br_netfilter", "nf_conntrack"],
  vxlan: ["vxlan"],
  "wireguard-native": ["wireguard"],
} as const;

/**
 * Kernel modules that the node needs, in load order.
 * @param backend flannel backend, or another name of {@link MODULES}. Default: none
 */
export function kernelModules({ network }: Profile, backend = ""): string[] {
  const more = backend === "vxlan" || backend === "wireguard-native" ? MODULES[backend] : [];
  return [...MODULES.always, ...more, ...(network.dummyRoute ? ["dummy"] : [])];
}

/** A network of a cluster: its setting, or what people call it, and its IPv4 network. */
export type ClusterNetwork = readonly [name: string, cidr: string];

/**
 * What stands against the networks that a cluster is given.
 * @param example a service network that works
 */
export function checkCidrs(pods: ClusterNetwork, services: ClusterNetwork, example: string): Finding[] {
  const [podsName, podCidr] = pods;
  const [servicesName, serviceCidr] = services;
  const findings: Finding[] = [];
  if (cidrsOverlap(podCidr, serviceCidr))
    findings.push(error(servicesName, `${serviceCidr} overlaps ${podsName} ${podCidr} - use two separate networks`));
  if (prefixOf(podCidr) > 24)
    findings.push(error(podsName, `${podCidr} has no room for the /24 that each node gets - use a /24 or larger`));
  const service = prefixOf(serviceCidr);
  if (service < 12 || service > 28)
    findings.push(
      error(
        servicesName,
        `${serviceCidr} is not between /12, the API server's limit, and /28, which the DNS service's address needs - use e.g. ${example}`,
      ),
    );
  return findings;
}

/** What stands against the addresses by which a device is reached: they lie in none of its cluster's networks. */
export function checkAddresses({ host, network }: Profile, networks: readonly ClusterNetwork[]): Finding[] {
  return [...checkNodeIp(network.nodeIp, networks), ...(isIPv4(host) ? insideFindings("host", host, networks) : [])];
}

function checkNodeIp(nodeIp: string | undefined, networks: readonly ClusterNetwork[]): Finding[] {
  if (nodeIp === undefined) return [];
  if (isIPv6(nodeIp))
    return [error("network.nodeIp", `${nodeIp} is IPv6, but the pod network is IPv4 - use the node's IPv4 address`)];
  if (UNUSABLE.check(nodeIp))
    return [error("network.nodeIp", `${nodeIp} is no address that a node can have - use that of its interface`)];
  return insideFindings("network.nodeIp", nodeIp, networks);
}

function insideFindings(setting: string, address: string, networks: readonly ClusterNetwork[]): Finding[] {
  return networks.flatMap(([name, cidr]) =>
    addressInCidr(address, cidr)
      ? [error(setting, `${address} lies inside ${name} ${cidr} - renumber the cluster's networks or the site`)]
      : [],
  );
}

const UNUSABLE = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["127.0.0.0", 8],
  ["224.0.0.0", 3],
] as const)
  UNUSABLE.addSubnet(network, prefix, "ipv4");

/**
 * Whether two IPv4 networks share an address.
 * @param one e.g. `10.42.0.0/16`
 */
export function cidrsOverlap(one: string, other: string): boolean {
  return addressInCidr(baseOf(one), other) || addressInCidr(baseOf(other), one);
}

/** Whether an IPv4 address belongs to an IPv4 network. */
export function addressInCidr(address: string, cidr: string): boolean {
  const list = new BlockList();
  list.addSubnet(baseOf(cidr), prefixOf(cidr), "ipv4");
  return list.check(address, "ipv4");
}

function baseOf(cidr: string): string {
  return cidr.slice(0, cidr.indexOf("/"));
}

/** `10.42.0.0/16` -> 16. */
export function prefixOf(cidr: string): number {
  return Number(cidr.slice(cidr.indexOf("/") + 1));
}

/** What sets the last-resort default route, each command again at will. */
export const ROUTE_COMMANDS = [
  "ip link show dev dummy0 >/dev/null 2>&1 || ip link add dummy0 type dummy",
  "ip address replace 203.0.113.254/31 dev dummy0",
  "ip link set dummy0 up",
  "ip route replace default via 203.0.113.255 dev dummy0 metric 1000000",
] as const;

/** systemd unit of the last-resort default route; the distribution's unit pulls it in. */
export const ROUTE_UNIT = "edge-fleet-route.service";

/**
 * The unit's text. The address is the one of K3s' documentation, from a range that nobody routes (RFC 5737); the metric
 * is far above those of DHCP clients (systemd-networkd: 1024, NetworkManager: up to 20700 without connectivity), which a
 * route of K3s' documented metric 1000 would win against. https://docs.k3s.io/installation/airgap#default-network-route
 * @param before units that need the route, e.g. `k3s.service`
 */
export function routeUnit(before: string): string {
  return `[Unit]
Description=Last-resort default route, without which K3s does not start off-line
Documentation=https://docs.k3s.io/installation/airgap#default-network-route
After=network-pre.target
Before=${before}

[Service]
Type=oneshot
RemainAfterExit=yes
${ROUTE_COMMANDS.map((command) => `ExecStart=/bin/sh -c '${command}'\n`).join("")}`;
}
