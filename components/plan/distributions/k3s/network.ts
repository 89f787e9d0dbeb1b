/**
 * What stands against the network of a device that runs K3s: which flannel backend suits the shape of a site, and which
 * networks and addresses may not meet. Pure. https://docs.k3s.io/networking/basic-network-options
 */
import type { Profile } from "../../../inventory/types.ts";
import { error, type Finding, warning } from "../finding.ts";
import { type ClusterNetwork, checkAddresses, checkCidrs } from "../network.ts";

type Backend = NonNullable<Profile["k3s"]["flannelBackend"]>;

/** Flannel backend by the shape of a site. */
const BACKENDS = { single: "host-gw", lan: "vxlan", "multi-site": "wireguard-native" } as const;

/** Flannel's backend of a device: as it is set, or after the shape of its site. */
export function flannelBackend({ k3s, network }: Pick<Profile, "k3s" | "network">): Backend {
  return k3s.flannelBackend ?? BACKENDS[network.shape];
}

/** What stands against the network settings. */
export function checkNetwork(profile: Profile): Finding[] {
  const { clusterCidr, serviceCidr } = profile.k3s;
  const pods: ClusterNetwork = ["k3s.clusterCidr", clusterCidr];
  const services: ClusterNetwork = ["k3s.serviceCidr", serviceCidr];
  const backend = BACKEND_RULES.flatMap(({ applies, finding }) =>
    applies(profile, flannelBackend(profile)) ? [finding] : [],
  );
  return [...backend, ...checkCidrs(pods, services, "10.43.0.0/16"), ...checkAddresses(profile, [pods, services])];
}

const BACKEND = "k3s.flannelBackend";

interface BackendRule {
  readonly applies: (profile: Profile, backend: Backend) => boolean;
  readonly finding: Finding;
}

const BACKEND_RULES: readonly BackendRule[] = [
  {
    // The node would never become Ready, so each apply would fail at the health gate and be rolled back. edge-fleet
    // delivers no CNI, and one from Git would come too late: what pulls it needs the pod network.
    applies: ({ k3s }, backend) => backend === "none" && !k3s.ownCni,
    finding: error(
      BACKEND,
      "none leaves the node without a pod network, and it would never become Ready - remove the field to use flannel, or set k3s.ownCni: true where the device's image brings a CNI",
    ),
  },
  {
    applies: ({ k3s }, backend) => backend !== "none" && k3s.ownCni,
    finding: error("k3s.ownCni", `is true beside flannel - set ${BACKEND}: none, or remove the field`),
  },
  {
    // It would be ignored, and an operator would believe in it.
    applies: ({ network }, backend) => backend === "none" && network.interface !== undefined,
    finding: error(
      "network.interface",
      `is flannel's, which ${BACKEND} none turns off - set it in the CNI, and remove the field`,
    ),
  },
  {
    applies: ({ network }, backend) => network.shape === "multi-site" && backend === "host-gw",
    finding: error(
      BACKEND,
      "host-gw needs all nodes on one layer-2 network, routed sites are not - use wireguard-native, or network.shape lan",
    ),
  },
  {
    applies: ({ network }, backend) => network.shape === "multi-site" && backend === "vxlan",
    finding: error(
      BACKEND,
      "vxlan carries pod traffic unencrypted, and the way between sites is not to be trusted - use wireguard-native",
    ),
  },
  {
    // It works: no backend carries traffic on a single node. But the module must be there for nothing.
    applies: ({ network }, backend) => network.shape === "single" && backend === "wireguard-native",
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
