/**
 * From a profile to its place in the network: which flannel backend suits the shape of a site, which addresses may not
 * meet, and the last-resort default route without which K3s does not start off-line. Pure.
 */
import { BlockList, isIPv4, isIPv6 } from "node:net";
import type { Profile } from "../../inventory/types.ts";
import { error, type Finding, warning } from "./finding.ts";

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

/**
 * What stands against the network settings of a device that runs K3s.
 * https://docs.k3s.io/networking/basic-network-options
 */
export function checkNetwork(profile: Profile): Finding[] {
  return [...backendFindings(profile), ...checkCidrs(profile), ...checkNodeIp(profile), ...checkHost(profile)];
}

function backendFindings(profile: Profile): Finding[] {
  return BACKEND_RULES.flatMap(({ applies, finding }) => (applies(profile) ? [finding] : []));
}

const BACKEND = "k3s.flannelBackend";

/** What stands against a backend, and where. https://docs.k3s.io/networking/basic-network-options */
const BACKEND_RULES: readonly { readonly applies: (profile: Profile) => boolean; readonly finding: Finding }[] = [
  {
    // The node would never become Ready, so each apply would fail at the health gate and be rolled back. edge-fleet
    // delivers no CNI, and one from Git would come too late: what pulls it needs the pod network.
    applies: ({ k3s }) => k3s.flannelBackend === "none" && !k3s.ownCni,
    finding: error(
      BACKEND,
      "none leaves the node without a pod network, and it would never become Ready - remove the field to use flannel, or set k3s.ownCni: true where the device's image brings a CNI",
    ),
  },
  {
    applies: ({ k3s }) => k3s.flannelBackend !== "none" && k3s.ownCni,
    finding: error("k3s.ownCni", `is true beside flannel - set ${BACKEND}: none, or remove the field`),
  },
  {
    // It would be ignored, and an operator would believe in it.
    applies: ({ k3s, network }) => k3s.flannelBackend === "none" && network.interface !== undefined,
    finding: error(
      "network.interface",
      `is flannel's, which ${BACKEND} none turns off - set it in the CNI, and remove the field`,
    ),
  },
  {
    applies: ({ k3s, network }) => network.shape === "multi-site" && k3s.flannelBackend === "host-gw",
    finding: error(
      BACKEND,
      "host-gw needs all nodes on one layer-2 network, routed sites are not - use wireguard-native, or network.shape lan",
    ),
  },
  {
    applies: ({ k3s, network }) => network.shape === "multi-site" && k3s.flannelBackend === "vxlan",
    finding: error(
      BACKEND,
      "vxlan carries pod traffic unencrypted, and the way between sites is not to be trusted - use wireguard-native",
    ),
  },
  {
    // It works: no backend carries traffic on a single node. But the module must be there for nothing.
    applies: ({ k3s, network }) => network.shape === "single" && k3s.flannelBackend === "wireguard-native",
    finding: warning(
      BACKEND,
      "wireguard-native has no traffic to encrypt on a single node, and the kernel must have wireguard for it - remove the field to use host-gw",
    ),
  },
  {
    applies: ({ network }) => network.shape !== "single" && network.nodeIp === undefined,
    finding: warning(
      "network.nodeIp",
      "is not set, and the other nodes lose this one when DHCP changes its address - set it, or reserve the address",
    ),
  },
];

function checkCidrs({ k3s: { clusterCidr, serviceCidr } }: Profile): Finding[] {
  const findings: Finding[] = [];
  if (cidrsOverlap(clusterCidr, serviceCidr)) {
    findings.push(
      error("k3s.serviceCidr", `${serviceCidr} overlaps k3s.clusterCidr ${clusterCidr} - use two separate networks`),
    );
  }
  if (prefixOf(clusterCidr) > 24) {
    findings.push(
      error("k3s.clusterCidr", `${clusterCidr} has no room for the /24 that each node gets - use a /24 or larger`),
    );
  }
  const service = prefixOf(serviceCidr);
  if (service < 12 || service > 28) {
    findings.push(
      error(
        "k3s.serviceCidr",
        `${serviceCidr} is not between /12, the API server's limit, and /28, which the DNS service's address needs - use e.g. 10.43.0.0/16`,
      ),
    );
  }
  return findings;
}

function checkNodeIp({ network: { nodeIp }, k3s }: Profile): Finding[] {
  if (nodeIp === undefined) return [];
  if (isIPv6(nodeIp)) {
    return [error("network.nodeIp", `${nodeIp} is IPv6, but the pod network is IPv4 - use the node's IPv4 address`)];
  }
  if (UNUSABLE.check(nodeIp)) {
    return [error("network.nodeIp", `${nodeIp} is no address that a node can have - use that of its interface`)];
  }
  return insideFindings("network.nodeIp", nodeIp, k3s, "renumber the cluster's networks or the site");
}

/** The controller's way to the device ends at an address that pods or services would take over. */
function checkHost({ host, k3s }: Profile): Finding[] {
  return isIPv4(host) ? insideFindings("host", host, k3s, "renumber the cluster's networks or the site") : [];
}

function insideFindings(setting: string, address: string, k3s: Profile["k3s"], fix: string): Finding[] {
  return (["clusterCidr", "serviceCidr"] as const).flatMap((name) =>
    addressInCidr(address, k3s[name])
      ? [error(setting, `${address} lies inside k3s.${name} ${k3s[name]} - ${fix}`)]
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

function prefixOf(cidr: string): number {
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
