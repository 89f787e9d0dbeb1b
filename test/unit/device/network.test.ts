import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import type { Profile } from "../../../components/inventory/types.ts";
import { describeFinding } from "../../../components/plan/distributions/finding.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { checkNetwork } from "../../../components/plan/distributions/k3s/network.ts";
import {
  addressInCidr,
  cidrsOverlap,
  kernelModules,
  routeUnit,
} from "../../../components/plan/distributions/network.ts";
import { fileOf, hasFile, PATHS } from "./plan-files.ts";
import { buildProfile } from "./profile.ts";

const { network, k3s } = buildProfile();
type Changes = { network?: Partial<Profile["network"]>; k3s?: Partial<Profile["k3s"]>; host?: string };

function profileOf(changes: Changes): Profile {
  return buildProfile({
    network: { ...network, nodeIp: "192.168.1.5", ...changes.network },
    k3s: { ...k3s, ...changes.k3s },
    ...(changes.host === undefined ? {} : { host: changes.host }),
  });
}

const CASES: readonly { name: string; changes: Changes; findings: string[] }[] = [
  { name: "a single node with host-gw", changes: {}, findings: [] },
  {
    name: "a LAN with host-gw, which is one layer-2 network",
    changes: { network: { shape: "lan" }, k3s: { flannelBackend: "host-gw" } },
    findings: [],
  },
  { name: "a LAN with vxlan", changes: { network: { shape: "lan" }, k3s: { flannelBackend: "vxlan" } }, findings: [] },
  {
    name: "routed sites with wireguard-native",
    changes: { network: { shape: "multi-site" }, k3s: { flannelBackend: "wireguard-native" } },
    findings: [],
  },
  {
    name: "routed sites with host-gw",
    changes: { network: { shape: "multi-site" } },
    findings: [
      "error k3s.flannelBackend: host-gw needs all nodes on one layer-2 network, routed sites are not - use wireguard-native, or network.shape lan",
    ],
  },
  {
    name: "routed sites with vxlan",
    changes: { network: { shape: "multi-site" }, k3s: { flannelBackend: "vxlan" } },
    findings: [
      "error k3s.flannelBackend: vxlan carries pod traffic unencrypted, and the way between sites is not to be trusted - use wireguard-native",
    ],
  },
  {
    name: "no backend at all",
    changes: { k3s: { flannelBackend: "none" } },
    findings: [
      "error k3s.flannelBackend: none leaves the node without a pod network, and it would never become Ready - remove the field to use flannel, or set k3s.ownCni: true where the device's image brings a CNI",
    ],
  },
  {
    name: "no backend beside a CNI of the device's image",
    changes: { k3s: { flannelBackend: "none", ownCni: true } },
    findings: [],
  },
  {
    name: "no backend between sites, beside a CNI of the device's image",
    changes: { network: { shape: "multi-site" }, k3s: { flannelBackend: "none", ownCni: true } },
    findings: [],
  },
  {
    name: "flannel beside a CNI of the device's image",
    changes: { k3s: { ownCni: true } },
    findings: ["error k3s.ownCni: is true beside flannel - set k3s.flannelBackend: none, or remove the field"],
  },
  {
    name: "an interface of flannel without flannel",
    changes: { network: { interface: "eth1" }, k3s: { flannelBackend: "none", ownCni: true } },
    findings: [
      "error network.interface: is flannel's, which k3s.flannelBackend none turns off - set it in the CNI, and remove the field",
    ],
  },
  {
    name: "wireguard on a single node",
    changes: { k3s: { flannelBackend: "wireguard-native" } },
    findings: [
      "warning k3s.flannelBackend: wireguard-native has no traffic to encrypt on a single node, and the kernel must have wireguard for it - remove the field to use host-gw",
    ],
  },
  {
    name: "vxlan on a single node, which has no traffic",
    changes: { k3s: { flannelBackend: "vxlan" } },
    findings: [],
  },
  {
    name: "several machines without a fixed address",
    changes: { network: { shape: "lan", nodeIp: undefined }, k3s: { flannelBackend: "vxlan" } },
    findings: [
      "warning network.nodeIp: is not set, and the other nodes lose this one when DHCP changes its address - set it, or reserve the address",
    ],
  },
  {
    name: "pods and services in one network",
    changes: { k3s: { serviceCidr: "10.42.128.0/17" } },
    findings: [
      "error k3s.serviceCidr: 10.42.128.0/17 overlaps k3s.clusterCidr 10.42.0.0/16 - use two separate networks",
    ],
  },
  {
    name: "a pod network without room for a node",
    changes: { k3s: { clusterCidr: "10.42.0.0/25" } },
    findings: ["error k3s.clusterCidr: 10.42.0.0/25 has no room for the /24 that each node gets - use a /24 or larger"],
  },
  {
    name: "a service network without room for the DNS service",
    changes: { k3s: { serviceCidr: "10.43.0.0/29" } },
    findings: [
      "error k3s.serviceCidr: 10.43.0.0/29 is not between /12, the API server's limit, and /28, which the DNS service's address needs - use e.g. 10.43.0.0/16",
    ],
  },
  {
    name: "a node's address inside the pod network",
    changes: { network: { nodeIp: "10.42.3.4" } },
    findings: [
      "error network.nodeIp: 10.42.3.4 lies inside k3s.clusterCidr 10.42.0.0/16 - renumber the cluster's networks or the site",
    ],
  },
  {
    name: "a host inside the service network",
    changes: { host: "10.43.0.10" },
    findings: [
      "error host: 10.43.0.10 lies inside k3s.serviceCidr 10.43.0.0/16 - renumber the cluster's networks or the site",
    ],
  },
  {
    name: "a node's address of the wrong family",
    changes: { network: { nodeIp: "2001:db8::1" } },
    findings: ["error network.nodeIp: 2001:db8::1 is IPv6, but the pod network is IPv4 - use the node's IPv4 address"],
  },
  ...["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"].map((nodeIp) => ({
    name: `the address ${nodeIp} for a node`,
    changes: { network: { nodeIp } },
    findings: [`error network.nodeIp: ${nodeIp} is no address that a node can have - use that of its interface`],
  })),
];

for (const { name, changes, findings } of CASES) {
  test(`${name} ${findings.length === 0 ? "is accepted" : "is found, with the fix"}`, () => {
    assert.deepEqual(
      checkNetwork(profileOf(changes)).map((finding) => `${finding.severity} ${describeFinding(finding)}`),
      findings,
    );
  });
}

test("what cannot work is not rendered, and every reason is told at once", () => {
  const changes: Changes = {
    network: { shape: "multi-site", nodeIp: "10.42.3.4" },
    k3s: { serviceCidr: "10.42.0.0/20" },
  };
  assert.throws(
    () => renderDistribution(profileOf(changes)),
    /^Error: device edge-0001: k3s\.flannelBackend: host-gw .*; k3s\.serviceCidr: .* overlaps .*; network\.nodeIp: .*$/,
  );
});

test("warnings do not stop the rendering", () => {
  const plan = renderDistribution(profileOf({ k3s: { flannelBackend: "wireguard-native" } }));
  assert.equal(plan.warnings?.length, 1);
});

const octet = fc.integer({ min: 0, max: 255 });
const address = fc.tuple(octet, octet, octet, octet).map((parts) => parts.join("."));
const cidr = fc.tuple(address, fc.integer({ min: 1, max: 32 })).map(([base, prefix]) => `${base}/${prefix}`);
const numberOf = (text: string) => text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);

function rangeOf(text: string): [first: number, last: number] {
  const [base = "", prefix = ""] = text.split("/");
  const size = 2 ** (32 - Number(prefix));
  const first = Math.floor(numberOf(base) / size) * size;
  return [first, first + size - 1];
}

test("networks overlap exactly where their ranges of addresses do", () => {
  fc.assert(
    fc.property(cidr, cidr, (one, other) => {
      const [[firstOne, lastOne], [firstOther, lastOther]] = [rangeOf(one), rangeOf(other)];
      assert.equal(cidrsOverlap(one, other), firstOne <= lastOther && firstOther <= lastOne);
    }),
  );
});

test("an address is in a network exactly where it is in its range", () => {
  fc.assert(
    fc.property(address, cidr, (one, network) => {
      const [first, last] = rangeOf(network);
      assert.equal(addressInCidr(one, network), numberOf(one) >= first && numberOf(one) <= last);
    }),
  );
});

test("each backend loads its own kernel module", () => {
  const modules = (flannelBackend: string) => kernelModules(profileOf({}), flannelBackend);
  assert.deepEqual(modules("host-gw"), ["overlay", "br_netfilter", "nf_conntrack", "dummy"]);
  assert.ok(modules("vxlan").includes("vxlan"));
  assert.ok(modules("wireguard-native").includes("wireguard"));
});

test("the last-resort route is there only where it is asked for, and the service pulls it in", () => {
  const unit = (plan: ReturnType<typeof renderDistribution>) => fileOf(plan, plan.unit).content;
  const on = renderDistribution(profileOf({}));
  assert.ok(hasFile(on, PATHS.route));
  for (const key of ["Wants", "After"]) {
    assert.match(unit(on), new RegExp(`^${key}=.*edge-fleet-route\\.service$`, "m"), "started without being enabled");
  }
  assert.match(fileOf(on, PATHS.modules).content, /^dummy$/m);
  const off = renderDistribution(profileOf({ network: { dummyRoute: false } }));
  assert.equal(hasFile(off, PATHS.route), false);
  assert.doesNotMatch(unit(off), /edge-fleet-route/);
  assert.doesNotMatch(fileOf(off, PATHS.modules).content, /^dummy$/m);
});

/** Interfaces of the kind that every kernel has: a kernel of a test machine may lack `dummy`, so it is there already. */
const INTERFACES = ["dummy0", "eth9"].map(
  (name) => `ip link add ${name} type veth peer name p${name}; ip link set p${name} up`,
);

test("the last-resort route loses to every real one, and may be set again", () => {
  const commands = [...routeUnit("k3s.service").matchAll(/^ExecStart=\/bin\/sh -c '(.*)'$/gm)].map(([, text]) => text);
  assert.equal(commands.length, 4);
  const script = [
    "set -eu",
    ...INTERFACES,
    ...commands,
    "ip route get 198.51.100.1",
    "ip address add 192.0.2.2/24 dev eth9; ip link set eth9 up",
    "ip route add default via 192.0.2.1 dev eth9 metric 20700",
    ...commands,
    "ip route get 198.51.100.1",
  ].join("\n");
  const { stdout, stderr, status } = spawnSync("unshare", ["--net", "sh", "-c", script], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  const ways = stdout.match(/dev \S+/g);
  assert.deepEqual(ways, ["dev dummy0", "dev eth9"], "alone it is the way out, beside a route of a network it is not");
});
