/**
 * What the preflight finds around the cluster, for people: the checks of program/preflight-network.sh, and those that compare
 * devices with each other.
 */
import { type CheckEntry, EITHER, ERROR, WARNING } from "./preflight-entry.ts";

/** In the order in which the checks run. */
export const NETWORK_CHECKS: readonly CheckEntry[] = [
  [
    "interface",
    ERROR,
    "The interface of `network.interface` does not exist",
    "The pod network does not start",
    "Correct the name",
  ],
  [
    "node-ip",
    ERROR,
    "No interface has the address of `network.nodeIp`",
    "The kubelet stops with `node IP not found in the host's network interfaces`",
    "Give the address to the device, statically, or correct the setting",
  ],
  [
    "default-route",
    ERROR,
    "There is no default route, and `network.dummyRoute` is off",
    "K3s stops with `no default routes found`, also where it needs none (k3s-io/k3s#1144)",
    "Add one, or set `network.dummyRoute: true`",
  ],
  [
    "mtu",
    WARNING,
    "The MTU of the uplink is under 1280",
    "IPv6 does not work, and tunnels leave little room",
    "Raise it on the interface",
  ],
  [
    "mtu-mismatch",
    WARNING,
    "The pod network's MTU is too large for the uplink's",
    "Large packets vanish: pulls and TLS hang while ping works. It is fixed when flannel starts",
    "Restart the cluster, or set the uplink's MTU before it starts",
  ],
  [
    "dns",
    WARNING,
    "resolv.conf names no server, or a loopback one, and systemd-resolved has no better list",
    "K3s then writes 8.8.8.8 for the pods; elsewhere CoreDNS asks itself",
    "Set `network.resolvConf` to a file with servers that pods reach",
  ],
  [
    "dbus",
    ERROR,
    "The device has WASM runtimes and no system D-Bus",
    "The shims make their cgroups through it",
    "Install dbus",
  ],
  [
    "address-space",
    WARNING,
    "The device has WASM runtimes and a kernel with 39-bit addresses, as Raspberry Pi OS and Jetson have",
    "The runtimes fall back from pooled memory, and each instance takes 4 GiB of addresses: 512 GiB hold about a hundred",
    "Expect fewer instances, or use a kernel with 48-bit addresses",
  ],
  [
    "port-taken",
    ERROR,
    "Another process listens on the API's port (6443, MicroK8s 16443) or the kubelet's (10250)",
    "The cluster restarts for ever",
    "Stop the process or move it to another port",
  ],
  [
    "conflict",
    ERROR,
    "Another Kubernetes is installed: K3s, K0s, MicroK8s, RKE2 or kubeadm",
    "Two of them fight for ports, iptables rules and cgroups",
    "Remove it; `replace: true` allows edge-fleet to change between the distributions that it runs",
  ],
  [
    "docker",
    WARNING,
    "Docker runs on the device",
    "It sets the policy for forwarded packets to drop, and takes memory",
    "Remove it where nothing uses it",
  ],
  [
    "firewall",
    WARNING,
    "ufw or firewalld is active and has no rule for the pod network",
    "The node is Ready, and CoreDNS never is",
    "`ufw allow from <pods>` and `ufw route allow from <pods>`, or put the pod network into firewalld's trusted zone",
  ],
  [
    "selinux",
    WARNING,
    "SELinux enforces, and the distribution's policy or restorecon is not installed",
    "What edge-fleet puts keeps the label of its folder: systemd may be denied the binary, containers their files. Containers themselves run without SELinux's labels in any case, see docs/hardening.md",
    "Install k3s-selinux (container-selinux for K0s and MicroK8s) and policycoreutils",
  ],
  [
    "apparmor",
    WARNING,
    "AppArmor is on and apparmor_parser is missing",
    "containerd cannot load its profile: containers run without one",
    "Install apparmor",
  ],
];

/** Found by `edge-fleet doctor` alone, by comparing the devices of one run. */
export const FLEET_CHECKS: readonly CheckEntry[] = [
  [
    "duplicate-host-name",
    WARNING,
    "Several devices have the same host name",
    "Logs and DHCP leases of the fleet cannot be told apart",
    "`hostnamectl set-hostname <device>` on each",
  ],
  [
    "duplicate-machine-id",
    ERROR,
    "Several devices have the same machine id: a cloned image",
    "DHCP gives both the same address, and `edge-fleet enroll` refuses both",
    "Remove /etc/machine-id on the clone and run `systemd-machine-id-setup`; see also its SSH host keys",
  ],
];

/** Found by the device program alone, which compares what is installed with what is wanted. */
export const PROGRAM_CHECKS: readonly CheckEntry[] = [
  [
    "damaged-file",
    WARNING,
    "An installed file no longer had its sum within the last 90 days: each is compared once a day, and before an apply touches anything",
    "It was put back from the store's own copy, or the next apply brings it anew; what else the disk has changed nobody can tell",
    "Replace the disk or the card",
  ],
  [
    "downgrade",
    ERROR,
    "The device runs a newer minor release of Kubernetes than the inventory asks for",
    "No distribution reads the datastore of a newer one",
    "Pin at least the running release, or reset the device",
  ],
  [
    "minor",
    ERROR,
    "The inventory's release is more than one minor release ahead of the device's",
    "Kubernetes does not support to skip one",
    "Pin the minor releases one after the other",
  ],
  [
    "fixed",
    ERROR,
    "The pod network, the service network or the node's name in the inventory is another one than that of the cluster's first start, or, with a K3s that somebody else installed, the token with which agents join. Flags, variables, drop-ins and flannel's own file are asked, too",
    "The cluster ignores it, or pods of the old and the new network cannot reach each other",
    "Put the old value back; or erase the device with `decommission: wipe` and add it anew, which loses its data",
  ],
  [
    "foreign",
    ERROR,
    "The installed cluster has what edge-fleet must not take over: an external datastore, embedded etcd, another data folder, a second K3s or several servers",
    "Its data is elsewhere, and would be lost sight of",
    "Reinstall the device",
  ],
  [
    "distribution",
    ERROR,
    "The device runs another distribution than the inventory says, and `replace` is not set",
    "The change erases the old cluster with its data",
    "Set `replace: true`, or correct `distribution`",
  ],
  [
    "engine",
    EITHER,
    "Before the first engine of edge-fleet's: the same engine that somebody else installed is on the device (error), or another one (warning): Argo CD or Flux",
    "Two of one kind share their definitions, and two engines change the same objects in turn",
    "Argo CD: remove the finalizers of its Applications, so that their workloads stay, then its namespace. Flux: `flux uninstall` leaves its workloads. Or keep it, with `gitops.engine: none`",
  ],
];
