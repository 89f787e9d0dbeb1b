/**
 * A host without iptables, and the programs for it that a distribution brings, as stand-ins that keep the rules in a file.
 * No part of the product. Where each distribution has them:
 * K3s: data/<hash>/bin/aux, which install.sh (create_killall, v1.33 to v1.36) puts on its PATH.
 * K0s: bin, pkg/component/iptables/iptables.go (extractIPTablesBinaries), v1.34.10+k0s.0 and v1.36.3+k0s.2.
 * MicroK8s: sbin of the snap, snap/snapcraft.yaml (part iptables: exec-prefix /), branches 1.34 and master (1.36).
 */
import assert from "node:assert/strict";
import type { Device } from "./apply-device.ts";

const RULES = "/run/standin-firewall";

const BEFORE = [
  "*nat",
  ":PREROUTING ACCEPT [0:0]",
  ":CNI-HOSTPORT-DNAT - [0:0]",
  ":FLANNEL-POSTRTG - [0:0]",
  ":KUBE-SERVICES - [0:0]",
  '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
  '-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG',
  "COMMIT",
  "*filter",
  ":INPUT ACCEPT [0:0]",
  ":cali-INPUT - [0:0]",
  "-A INPUT -s 10.9.0.0/16 -j ACCEPT",
  '-A FORWARD -s 10.1.0.0/16 -m comment --comment "generated for MicroK8s pods" -j ACCEPT',
  "COMMIT",
];

const AFTER = [
  "*nat",
  ":PREROUTING ACCEPT [0:0]",
  "COMMIT",
  "*filter",
  ":INPUT ACCEPT [0:0]",
  "-A INPUT -s 10.9.0.0/16 -j ACCEPT",
  "COMMIT",
];

/** Takes iptables from the host, brings it in a folder of the distribution, and fills it with rules of every cluster. */
export function fillFirewall(device: Device, folder: string): void {
  device.sh(`rm -f /sbin/iptables* /sbin/ip6tables* /usr/sbin/iptables* /usr/sbin/ip6tables*; mkdir -p ${RULES} ${folder}
    for family in iptables ip6tables; do
      echo '${BEFORE.join("\n")}' >${RULES}/$family
      printf '#!/bin/sh\\ncat ${RULES}/%s\\n' $family >${folder}/$family-save
      printf '#!/bin/sh\\ncat >${RULES}/%s\\n' $family >${folder}/$family-restore
      chmod 755 ${folder}/$family-*
    done`);
}

/** Asserts that the device's own rules are left, and no other. */
export function assertFirewallIsOurs(device: Device): void {
  for (const family of ["iptables", "ip6tables"])
    assert.deepEqual(device.sh(`cat ${RULES}/${family}`).split("\n"), AFTER, family);
}
