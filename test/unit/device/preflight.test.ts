import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { diagnosisText } from "../../../cli/doctor/script.ts";
import {
  neededKib,
  PREFLIGHT_CHECKS,
  preflightReference,
  preflightSetting,
} from "../../../components/plan/preflight.ts";
import {
  type FakeMachine,
  listening,
  MACHINES,
  Machine,
  mounted,
  NOW,
  OPENRC,
  onDisk,
  readFindings,
  SD_CARD,
  SHELLS,
  type Shell,
} from "./preflight-fakes.ts";
import { buildProfile } from "./profile.ts";

const PROGRAM = join(import.meta.dirname, "../../../components/device/program");
const MODULES_WITHOUT = { "/lib/modules/6.6.31+rpt-rpi-v8/modules.dep": "kernel/net/llc/llc.ko.xz:\n" };
const CONTROLLERS = "/sys/fs/cgroup/cgroup.controllers";
const USB_DISK = { removable: "0\n", dev: "8:0\n", "queue/rotational": "1\n" };
const SPACE = (total: number, free: number): string => `df() { printf 'head\\n/dev/x ${total} 1 ${free} 1%% /\\n'; }`;
const STARTED = { "/var/lib/rancher/k3s/server/tls/": "" };

/** Findings that only `diagnose` prints: preflight-fix.test.ts. */
const IN_DIAGNOSIS = ["memory-cgroup-fixed", "preflight-broken"];

/** A machine and every finding of it, as `id` or `id severity` (default error), with a part of the text. */
interface Case {
  readonly name: string;
  readonly machine: FakeMachine;
  readonly found: Readonly<Record<string, RegExp>>;
  readonly shells?: readonly Shell[];
}

const CASES: readonly Case[] = [
  {
    name: "a log-in user who is not root",
    machine: { commands: "id() { echo 1000; }" },
    found: { "root error": /not root/ },
  },
  {
    name: "no gzip and no download tool",
    machine: { without: ["gzip", "curl"] },
    found: { "tools error": /missing: gzip curl-or-wget - / },
    shells: ["dash"],
  },
  {
    name: "MicroK8s without snapd",
    machine: { ...MACHINES["device with MicroK8s"], also: [] },
    found: { "tools error": /missing: snap - / },
  },
  {
    name: "a device of another architecture",
    machine: { commands: "uname() { echo aarch64; }" },
    found: { "architecture error": /^arm64, the model says amd64 - / },
  },
  {
    name: "a kernel before 5.8",
    machine: { files: { "/proc/sys/kernel/osrelease": "5.4.0-1100-raspi\n" } },
    found: { "kernel warning": /^5\.4\.0-1100-raspi is older than 5\.8/ },
  },
  {
    name: "a kernel before 4.15",
    machine: { files: { "/proc/sys/kernel/osrelease": "4.9.253-tegra\n" } },
    found: { "kernel error": /older than 4\.15/ },
  },
  {
    name: "OpenRC that the inventory does not name",
    machine: { files: OPENRC },
    found: { "init error": /^OpenRC runs, the inventory says systemd - set init: openrc for the device or its model$/ },
  },
  {
    name: "systemd where the inventory names OpenRC",
    machine: { settings: { INIT: "openrc" } },
    found: { "init error": /^systemd runs, the inventory says openrc - set init: systemd / },
  },
  {
    name: "neither systemd nor OpenRC",
    machine: { files: { "/run/systemd/system/": null } },
    found: { "init error": /^neither systemd nor OpenRC is running - / },
  },
  {
    name: "OpenRC that is installed and has not booted the machine",
    machine: {
      files: { ...OPENRC, "/run/openrc/": null, "/sbin/openrc-run": "", "/run/crond.pid": "7\n" },
      settings: { INIT: "openrc" },
    },
    found: { "init error": /has not booted this machine/ },
  },
  {
    name: "OpenRC without supervise-daemon",
    machine: { files: { ...OPENRC, "/sbin/supervise-daemon": null }, settings: { INIT: "openrc" } },
    found: { "init error": /no supervise-daemon/ },
  },
  {
    name: "OpenRC without cron",
    machine: { files: { ...OPENRC, "/run/openrc/started/crond": null }, settings: { INIT: "openrc" } },
    found: { "cron warning": /rc-update add crond default/ },
  },
  {
    name: "a log-in user who is not root, without sudo",
    machine: { commands: "id() { echo 1000; }", without: ["sudo"] },
    found: { "root error": /no sudo; doas is not used.* - install sudo/ },
  },
  {
    name: "cgroup v1",
    machine: { files: { [CONTROLLERS]: null } },
    found: { "cgroup error": /systemd\.unified_cgroup_hierarchy=1/ },
  },
  {
    name: "a kernel without two controllers",
    machine: { files: { [CONTROLLERS]: "io cpu memory\n" } },
    found: { "cgroup-controllers error": /^off: cpuset pids - / },
  },
  {
    name: "a Raspberry Pi without the memory controller",
    machine: {
      ...MACHINES["Raspberry Pi"],
      files: {
        ...MACHINES["Raspberry Pi"].files,
        [CONTROLLERS]: "cpuset cpu io pids\n",
        "/boot/firmware/cmdline.txt": "console=tty1 root=PARTUUID=1\n",
      },
    },
    found: {
      "memory-cgroup error":
        /^off - run edge-fleet doctor edge-0001 --allow-reboot, or add .* one line of .*\/boot\/firmware\/cmdline\.txt and reboot$/,
    },
  },
  {
    name: "a Raspberry Pi whose command line was fixed since its boot",
    machine: {
      ...MACHINES["Raspberry Pi"],
      files: {
        ...MACHINES["Raspberry Pi"].files,
        [CONTROLLERS]: "cpuset cpu io pids\n",
        "/boot/firmware/cmdline.txt": "console=tty1 root=x cgroup_enable=memory\n",
      },
    },
    found: { "memory-cgroup error": /^off until the device boots with the line of .*cmdline\.txt - reboot it$/ },
  },
  {
    name: "a Raspberry Pi whose kernel does not obey its command line",
    machine: {
      ...MACHINES["Raspberry Pi"],
      files: {
        ...MACHINES["Raspberry Pi"].files,
        [CONTROLLERS]: "cpuset cpu io pids\n",
        "/proc/cmdline": "console=tty1 root=x cgroup_enable=memory\n",
      },
    },
    found: {
      "memory-cgroup error": /^off: the kernel does not obey cgroup_enable=memory - use a kernel with CONFIG_MEMCG$/,
    },
  },
  {
    name: "a Raspberry Pi that was asked to reboot a minute ago",
    machine: {
      files: {
        [CONTROLLERS]: "cpuset cpu io pids\n",
        "/var/lib/edge-fleet/fixed/memory-cgroup": "first-boot 3540 Mon Sep 21\n",
      },
    },
    found: { "memory-cgroup error": /^the device reboots to turn it on - run again in a minute$/ },
  },
  {
    name: "a Raspberry Pi that was asked to reboot an hour ago and did not",
    machine: {
      files: {
        [CONTROLLERS]: "cpuset cpu io pids\n",
        "/var/lib/edge-fleet/fixed/memory-cgroup": "first-boot 10 Mon Sep 21\n",
      },
    },
    found: { "memory-cgroup error": /^off: the reboot that was to turn it on did not come - reboot the device$/ },
  },
  {
    name: "another machine without the memory controller",
    machine: { files: { [CONTROLLERS]: "cpuset cpu io pids\n" } },
    found: { "memory-cgroup error": /the kernel command line and reboot$/ },
  },
  {
    name: "a Raspberry Pi that was rebooted for nothing",
    machine: { files: { [CONTROLLERS]: "cpuset cpu io pids\n", "/var/lib/edge-fleet/fixed/memory-cgroup": "now\n" } },
    found: { "memory-cgroup error": /^still off after the managed reboot/ },
  },
  {
    name: "VXLAN on a kernel without it",
    machine: { files: MODULES_WITHOUT, preflight: "flannel=vxlan" },
    found: { "kernel-modules error": /^kernel 6\.6\.31\+rpt-rpi-v8 lacks vxlan - .*linux-modules-extra-raspi/ },
  },
  {
    name: "WireGuard on a kernel without it",
    machine: { files: MODULES_WITHOUT, preflight: "flannel=wireguard-native" },
    found: { "kernel-modules error": /lacks wireguard - / },
  },
  {
    name: "a module that is on the disk and not loaded",
    machine: {
      files: {
        "/sys/module/overlay/": null,
        ...MODULES_WITHOUT,
        "/lib/modules/6.6.31+rpt-rpi-v8/modules.builtin": "kernel/fs/overlayfs/overlay.ko\n",
      },
    },
    found: {},
  },
  {
    name: "a kernel that was replaced since the last boot",
    machine: { files: { "/sys/module/br_netfilter/": null } },
    found: { "kernel-modules warning": /6\.6\.31\+rpt-rpi-v8 is missing and br_netfilter not loaded/ },
  },
  {
    name: "a clock in 1970",
    machine: { commands: "CLOCK=1000" },
    found: { "clock error": /the clock says 1970-01-01T00:16:40Z, which is past/ },
  },
  {
    name: "a clock half an hour ahead",
    machine: { commands: `CLOCK=${NOW + 1800}` },
    found: {
      "clock error": /^the clock says 2026-09-21T14:43:20Z, the workstation 2026-09-21T14:13:20Z: .* - set it /,
    },
  },
  {
    name: "a clock half an hour behind on a device that has a cluster",
    machine: { files: STARTED, commands: `CLOCK=${NOW - 1800}` },
    found: { "clock warning": /^the clock says 2026-09-21T13:43:20Z, the workstation 2026-09-21T14:13:20Z: / },
  },
  { name: "a clock 30 seconds away", machine: { commands: `CLOCK=${NOW - 30}` }, found: {} },
  {
    name: "a clock that is far away while nobody knows the time",
    machine: { commands: `CLOCK=${NOW - 1800}`, settings: { EDGE_FLEET_NOW: "" } },
    found: {},
  },
  {
    name: "a clock that is set while the preflight waits for it",
    machine: {
      files: { "/run/systemd/timesync/synchronized": null, "/run/systemd/timesync/": "" },
      commands: `CLOCK=1000\nsleep() { [ "$waited" -lt 4 ] || CLOCK=$((${NOW} + waited)); }`,
    },
    found: {},
  },
  {
    name: "a clock that is not set while the preflight waits for it",
    machine: {
      files: { "/run/systemd/timesync/synchronized": null, "/run/systemd/timesync/": "" },
      commands: "CLOCK=1000",
    },
    found: { "clock error": /which is past/ },
  },
  {
    name: "windows in a time zone that it has no file of",
    machine: { preflight: "zone=Asia/Tokyo" },
    found: { "time-zone error": /no Asia\/Tokyo, .* - install tzdata/ },
  },
  {
    name: "windows in a time zone that it has a file of",
    machine: { preflight: "zone=Asia/Tokyo", files: { "/usr/share/zoneinfo/Asia/Tokyo": "TZif" } },
    found: {},
  },
  {
    name: "no clock chip and no time service",
    machine: {
      files: {
        "/sys/class/rtc/rtc0/": null,
        "/run/systemd/timesync/synchronized": null,
        "/run/systemd/timesync/": null,
      },
    },
    found: { "clock-memory warning": /fake-hwclock/, "clock-sync warning": /chrony/ },
  },
  {
    name: "a root that the kernel has made read-only",
    machine: { files: { "/proc/self/mountinfo": mounted("259:2", "ext4", "ro") } },
    found: { "read-only error": /^read-only: \/var\/lib \/etc \/usr\/local - / },
  },
  {
    name: "a read-only /usr alone",
    machine: {
      files: {
        "/proc/self/mountinfo": `${mounted("259:2", "ext4")}30 25 259:3 / /usr ro - ext4 /dev/x ro\n31 25 259:4 / /var/li ro - ext4 /dev/y ro\n`,
      },
    },
    found: { "read-only error": /^read-only: \/usr\/local - / },
  },
  {
    name: "/var/lib on NFS",
    machine: {
      files: { "/proc/self/mountinfo": `${mounted("259:2", "ext4")}30 25 0:50 / /var/lib rw - nfs4 srv:/x rw\n` },
    },
    found: { "disk-network error": /is on nfs4/ },
  },
  {
    name: "an overlay root",
    machine: { files: { "/proc/self/mountinfo": mounted("0:30", "overlay") } },
    found: { "disk-volatile warning": /is on overlay: the cluster is gone after a reboot/ },
  },
  {
    name: "a card with metrics-server and a journal without a limit",
    machine: { files: { ...SD_CARD, "/var/log/journal/": "" }, preflight: "writes=metrics-server" },
    found: {
      "disk-flash warning": /is on an SD card, and these write much: metrics-server, a journal without SystemMaxUse - /,
    },
  },
  {
    name: "a card with a limited journal",
    machine: {
      files: {
        ...SD_CARD,
        "/var/log/journal/": "",
        "/etc/systemd/journald.conf.d/size.conf": "[Journal]\nSystemMaxUse=50M\n",
      },
    },
    found: {},
  },
  {
    name: "eMMC with dqlite",
    machine: {
      files: onDisk("mmcblk1", "179:34", { "device/type": "MMC\n", dev: "179:32\n" }),
      preflight: "writes=dqlite",
    },
    found: { "disk-flash warning": /is on eMMC, and these write much: dqlite - / },
  },
  {
    name: "a USB stick behind an encrypted volume",
    machine: {
      files: {
        ...onDisk("sda", "8:2", { removable: "1\n", dev: "8:0\n" }),
        "/sys/devices/dm-0/slaves/sda2": { link: "../../sda/sdap2" },
        "/sys/dev/block/254:0": { link: "../../devices/dm-0" },
        "/proc/self/mountinfo": mounted("254:0", "ext4"),
      },
      preflight: "writes=backups",
    },
    found: { "disk-flash warning": /is on a removable disk, and these write much: backups - / },
  },
  {
    name: "a rotating disk",
    machine: { files: onDisk("sda", "8:2", USB_DISK) },
    found: { "disk-slow warning": /rotating disk/ },
  },
  {
    name: "a virtual disk that calls itself rotating",
    machine: { files: onDisk("vda", "253:2", { ...USB_DISK, dev: "253:0\n" }) },
    found: {},
  },
  {
    name: "too little room before the first start",
    machine: { commands: SPACE(50_000_000, 399_999) },
    found: { "disk-space error": /^399999 KiB free under \/var\/lib, 400000 are needed - / },
  },
  {
    name: "too little room on a device that has a cluster",
    machine: { files: STARTED, commands: SPACE(50_000_000, 399_999) },
    found: { "disk-space warning": /399999 KiB free/ },
  },
  {
    name: "a small disk for MicroK8s",
    machine: { ...MACHINES["device with MicroK8s"], commands: SPACE(15_000_000, 9_000_000) },
    found: { "disk-space warning": /^the disk has 14 GiB, MicroK8s wants 20 GB - / },
  },
  {
    name: "a full disk for K0s",
    machine: { ...MACHINES["device with K0s"], commands: SPACE(50_000_000, 7_000_000) },
    found: { "disk-space warning": /^under 15 % free/ },
  },
  {
    name: "less memory than the model",
    machine: { files: { "/proc/meminfo": "MemTotal:        3700000 kB\n" } },
    found: { "memory-model error": /^3613 MiB, the model says 4096 - / },
  },
  {
    name: "1 GiB with K3s",
    machine: { files: { "/proc/meminfo": "MemTotal:   949000 kB\n" }, settings: { MEMORY_MIB: "1024" } },
    found: { "memory-minimum warning": /^926 MiB, k3s is documented for 2048 - / },
  },
  {
    name: "1 GiB with K3s as an agent",
    machine: {
      files: { "/proc/meminfo": "MemTotal:   949000 kB\n" },
      settings: { MEMORY_MIB: "1024" },
      preflight: "role=agent",
    },
    found: {},
  },
  {
    name: "512 MiB with K3s",
    machine: { files: { "/proc/meminfo": "MemTotal:   480000 kB\n" }, settings: { MEMORY_MIB: "512" } },
    found: { "memory-minimum error": /^468 MiB, k3s needs 1024 - / },
  },
  {
    name: "1 GiB with MicroK8s",
    machine: {
      ...MACHINES["device with MicroK8s"],
      files: { "/sys/module/vxlan/": "", "/proc/meminfo": "MemTotal:   949000 kB\n" },
      settings: { DISTRIBUTION: "microk8s", MEMORY_MIB: "1024" },
    },
    found: { "memory-minimum error": /microk8s needs 2048/ },
  },
  {
    name: "a swap file",
    machine: { files: { "/proc/swaps": "Filename Type Size Used Priority\n/var/swap file 1 0 -2\n" } },
    found: { "swap warning": /swap on \/var\/swap / },
  },
  {
    name: "under-voltage",
    machine: { files: { "/sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n" } },
    found: { "power warning": /under-voltage/ },
  },
  {
    name: "throttling by heat alone",
    machine: { files: { "/sys/devices/platform/soc/soc:firmware/get_throttled": "80008\n" } },
    found: {},
  },
  {
    name: "an image's host name",
    machine: { files: { "/proc/sys/kernel/hostname": "localhost.localdomain\n" } },
    found: { "host-name warning": /hostnamectl set-hostname edge-0001$/ },
  },
  {
    name: "an image's host name under OpenRC",
    machine: { files: { ...OPENRC, "/proc/sys/kernel/hostname": "localhost\n" }, settings: { INIT: "openrc" } },
    found: { "host-name warning": /write edge-0001 to \/etc\/hostname, then: hostname edge-0001$/ },
  },
  ...["", "uninitialized\n", null].map(
    (text): Case => ({
      name: `a machine id that is ${JSON.stringify(text)}`,
      machine: { files: { "/etc/machine-id": text } },
      found: { "machine-id error": /^\/etc\/machine-id is (empty|uninitialized) - / },
    }),
  ),
  {
    name: "an interface that is not there",
    machine: { preflight: "interface=eth9" },
    found: { "interface error": /there is no eth9/ },
  },
  { name: "an address of the device", machine: { preflight: "ip=10.0.0.5" }, found: {} },
  {
    name: "an address of nobody",
    machine: { preflight: "ip=10.0.0.0" },
    found: { "node-ip error": /no interface has 10\.0\.0\.0/ },
  },
  {
    name: "no default route and no dummy",
    machine: { files: { "/proc/net/route": "Iface\tDestination\n" }, preflight: "dummy=" },
    found: { "default-route error": /network\.dummyRoute: true/ },
  },
  {
    name: "an IPv6 default route alone",
    machine: {
      files: {
        "/proc/net/route": "Iface\tDestination\n",
        "/proc/net/ipv6_route":
          "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00450003 eth0\n" +
          "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n",
      },
      preflight: "dummy=",
    },
    found: {},
  },
  {
    name: "an uplink with a small MTU",
    machine: { files: { "/sys/class/net/eth0/mtu": "1200\n" } },
    found: { "mtu warning": /eth0 carries 1200 bytes/ },
  },
  {
    name: "a VXLAN that was made on a larger uplink",
    machine: {
      files: {
        "/sys/class/net/eth0/mtu": "1420\n",
        "/sys/class/net/flannel.1/mtu": "1450\n",
        "/sys/class/net/cni0/mtu": "1400\n",
      },
    },
    found: { "mtu-mismatch warning": /^flannel\.1 has MTU 1450, too much for eth0 with 1420/ },
  },
  {
    name: "a loopback name server alone",
    machine: { files: { "/etc/resolv.conf": "nameserver 127.0.0.53\n" } },
    found: { "dns warning": /8\.8\.8\.8 - set network\.resolvConf/ },
  },
  {
    name: "systemd-resolved with servers",
    machine: {
      files: {
        "/etc/resolv.conf": "nameserver 127.0.0.53\n",
        "/run/systemd/resolve/resolv.conf": "nameserver 10.0.0.1\n",
      },
    },
    found: {},
  },
  {
    name: "a resolv.conf of the inventory that is not there",
    machine: { preflight: "resolv=/etc/edge-resolv.conf" },
    found: { "dns warning": /^\/etc\/edge-resolv\.conf names no server/ },
  },
  {
    name: "WASM on a Raspberry Pi OS without D-Bus",
    machine: {
      ...MACHINES["Raspberry Pi"],
      settings: { ARCH: "arm64", WASM: "spin" },
      files: {
        ...MACHINES["Raspberry Pi"].files,
        "/proc/self/maps":
          "5580000000-5580001000 r-xp 0 b3:02 1 /bin/dash\n7fd1234000-7fd1255000 rw-p 00000000 00:00 0 [stack]\n",
      },
    },
    found: { "dbus error": /install dbus/, "address-space warning": /^39-bit/ },
  },
  {
    name: "WASM with all that it needs",
    machine: {
      ...MACHINES["Raspberry Pi"],
      settings: { ARCH: "arm64", WASM: "spin" },
      files: { ...MACHINES["Raspberry Pi"].files, "/run/dbus/system_bus_socket": "" },
    },
    found: {},
  },
  {
    name: "the API's port in other hands",
    machine: { files: { "/proc/net/tcp": `header\n${listening(6443, 4242)}` } },
    found: { "port-taken error": /^port 6443 is taken by haproxy \(process 812\) - / },
  },
  {
    name: "the kubelet's port in hands that cannot be seen, over IPv6",
    machine: { files: { "/proc/net/tcp6": `header\n${listening(10250, 99)}${listening(10250, 98)}` } },
    found: { "port-taken error": /^port 10250 is taken by another process - / },
  },
  {
    name: "a port that is MicroK8s' own business",
    machine: {
      ...MACHINES["device with MicroK8s"],
      files: { "/sys/module/vxlan/": "", "/proc/net/tcp": `header\n${listening(6443, 4242)}` },
    },
    found: {},
  },
  {
    name: "a K0s beside the K3s that is wanted, and kubeadm",
    machine: { files: { "/etc/systemd/system/k0scontroller.service": "", "/etc/kubernetes/kubelet.conf": "" } },
    found: { "conflict error": /^k0s is installed \(\/etc\/systemd\/system\/k0scontroller\.service\) - / },
  },
  {
    name: "a K0s that may be replaced",
    machine: { files: { "/etc/systemd/system/k0scontroller.service": "" }, settings: { REPLACE: "1" } },
    found: {},
  },
  {
    name: "RKE2, which nothing replaces",
    machine: { files: { "/var/lib/rancher/rke2/": "" }, settings: { REPLACE: "1" } },
    found: { "conflict error": /^rke2 is installed/ },
  },
  { name: "Docker", machine: { files: { "/run/docker.sock": "" } }, found: { "docker warning": /Docker runs/ } },
  {
    name: "ufw without a rule for pods",
    machine: { files: { "/etc/ufw/ufw.conf": "ENABLED=yes\n", "/etc/ufw/user.rules": "### RULES ###\n" } },
    found: { "firewall warning": /ufw allow from 10\.42\.0\.0\/16 && ufw route allow from 10\.42\.0\.0\/16$/ },
  },
  {
    name: "ufw with a rule for pods",
    machine: {
      files: {
        "/etc/ufw/ufw.conf": "ENABLED=yes\n",
        "/etc/ufw/user.rules": "-A ufw-user-input -s 10.42.0.0/16 -j ACCEPT\n",
      },
    },
    found: {},
  },
  { name: "ufw that is off", machine: { files: { "/etc/ufw/ufw.conf": "ENABLED=no\n" } }, found: {} },
  {
    name: "firewalld without a rule for pods",
    machine: { files: { "/run/firewalld/": "" } },
    found: { "firewall warning": /--zone=trusted --add-source=10\.42\.0\.0\/16/ },
  },
  {
    name: "SELinux without the policy, and AppArmor without its parser",
    machine: { files: { "/sys/fs/selinux/enforce": "1\n", "/sys/module/apparmor/parameters/enabled": "Y\n" } },
    found: {
      "selinux warning":
        /^SELinux enforces without the k3s policy and without restorecon: .* - install k3s-selinux policycoreutils$/,
      "apparmor warning": /install apparmor$/,
    },
  },
  {
    name: "SELinux with the policy, and AppArmor with its parser",
    machine: {
      files: {
        "/sys/fs/selinux/enforce": "1\n",
        "/var/lib/selinux/targeted/active/modules/200/k3s/": "",
        "/sys/module/apparmor/parameters/enabled": "Y\n",
      },
      also: ["apparmor_parser", "restorecon"],
    },
    found: {},
  },
  {
    name: "SELinux with the policy, and no restorecon that would label what is put",
    machine: {
      files: { "/sys/fs/selinux/enforce": "1\n", "/var/lib/selinux/targeted/active/modules/200/k3s/": "" },
    },
    found: { "selinux warning": /^SELinux enforces without restorecon: .* - install policycoreutils$/ },
  },
  {
    name: "SELinux that does not enforce",
    machine: { files: { "/sys/fs/selinux/enforce": "0\n" } },
    found: {},
  },
];

/** Findings of a machine as the cases write them. */
function examine(shell: Shell, fake: FakeMachine): ReturnType<typeof readFindings> {
  const machine = new Machine(fake);
  try {
    const { code, stdout, stderr } = machine.run(shell, "findings");
    assert.deepEqual([code, stderr], [0, ""]);
    return readFindings(stdout);
  } finally {
    machine.remove();
  }
}

for (const shell of Object.keys(SHELLS) as Shell[]) {
  describe(`preflight under ${shell}`, () => {
    for (const [name, machine] of Object.entries(MACHINES)) {
      test(`nothing is wrong with a healthy ${name}`, () => assert.deepEqual(examine(shell, machine), []));
    }
    for (const { name, machine, found, shells } of CASES) {
      test(name, { skip: shells !== undefined && !shells.includes(shell) }, () => {
        const findings = examine(shell, machine);
        const kinds = new Set(findings.map(({ id, severity }) => `${id} ${severity}`));
        assert.deepEqual([...kinds].sort(), Object.keys(found).sort());
        for (const [kind, text] of Object.entries(found))
          assert.match(findings.find(({ id, severity }) => `${id} ${severity}` === kind)?.text ?? "", text);
        for (const { text } of findings) assert.match(text, /^.{1,280} - .+$/);
      });
    }
  });
}

test("a machine that tells nothing at all is examined to the end", () => {
  for (const shell of Object.keys(SHELLS) as Shell[]) {
    const machine = new Machine({ commands: "df() { return 1; }" });
    for (const path of ["/proc", "/sys", "/etc", "/run", "/var"]) machine.put(path, null);
    const { code, stdout, stderr } = machine.run(shell, "findings");
    machine.remove();
    assert.deepEqual([code, stderr], [0, ""]);
    const expected = [
      "init",
      "cgroup",
      "kernel-modules",
      "clock-memory",
      "clock-sync",
      "host-name",
      "machine-id",
      "dns",
    ];
    assert.deepEqual(
      readFindings(stdout).map(({ id }) => id),
      expected,
    );
  }
});

test("a machine that tells nonsense is examined to the end", () => {
  const files = [
    "/proc/meminfo",
    "/proc/sys/kernel/osrelease",
    "/proc/net/route",
    "/proc/net/tcp",
    "/proc/self/mountinfo",
  ];
  const more = ["/sys/class/net/eth0/mtu", "/sys/devices/platform/soc/soc:firmware/get_throttled", "/proc/self/maps"];
  const nonsense = Object.fromEntries([...files, ...more].map((path) => [path, "$(touch /tmp/x) * a'b\"c \\ -\n"]));
  for (const shell of Object.keys(SHELLS) as Shell[]) {
    const machine = new Machine({
      files: nonsense,
      commands: SPACE(Number.NaN, Number.NaN),
      settings: { EDGE_FLEET_NOW: "soon" },
    });
    const { code, stdout, stderr } = machine.run(shell, "findings; echo end");
    machine.remove();
    assert.deepEqual([code, stdout.split("\n").at(-2)], [0, "end"], stderr);
  }
});

test("the preflight takes few processes: a slow board answers within a second", () => {
  const machine = new Machine({});
  const counted = "awk cut df grep id ls sha256sum uname date"
    .split(" ")
    .map((tool) => `${tool}() { echo ${tool} >>"$MACHINE_ROOT/log"; command ${tool} "$@"; }`);
  const { stdout } = machine.run("dash", `${counted.join("\n")}\nfindings >/dev/null; cat "$MACHINE_ROOT/log"`);
  machine.remove();
  const used = stdout.trim().split("\n");
  assert.ok(used.length >= 4 && used.length <= 8, used.join(" "));
});

test("every finding of the device is in the catalogue with its severities, and the reverse", () => {
  const printed = new Map<string, Set<string>>();
  const add = (id: string, severities: readonly string[]): void => {
    printed.set(id, new Set([...(printed.get(id) ?? []), ...severities]));
  };
  for (const [, id = "", severity = ""] of diagnosisText().matchAll(/\bfound ([a-z-]+) (\S+) "/g))
    add(id, severity === '"$BEFORE_START"' ? ["error", "warning"] : [severity]);
  const program = ["damage.sh", "engine.sh", "findings.sh", "kept.sh"]
    .map((file) => readFileSync(join(PROGRAM, file), "utf8"))
    .join("");
  for (const [, id = "", severity = ""] of program.matchAll(/'([a-z-]+)\\t(error|warning)\\t/g)) add(id, [severity]);
  const catalogue = PREFLIGHT_CHECKS.filter(({ source }) => source !== "fleet");
  assert.deepEqual(
    [...printed].map(([id, severities]) => [id, [...severities].sort()]).sort(),
    catalogue.map(({ id, severities }) => [id, [...severities].sort()]).sort(),
  );
  assert.equal(new Set(PREFLIGHT_CHECKS.map(({ id }) => id)).size, PREFLIGHT_CHECKS.length);
});

test("every finding of the machine and its network has a case here, in each of its severities", () => {
  const covered = new Set(CASES.flatMap(({ found }) => Object.keys(found)));
  const kinds = PREFLIGHT_CHECKS.filter(
    ({ source, id }) => /machine|network/.test(source) && !IN_DIAGNOSIS.includes(id),
  );
  const missing = kinds.flatMap(({ id, severities }) => severities.map((severity) => `${id} ${severity}`));
  assert.deepEqual(
    missing.filter((kind) => !covered.has(kind)),
    [],
  );
});

test("the page has a section per finding, to which the command's report links", () => {
  const page = preflightReference();
  for (const { id, what, fix } of PREFLIGHT_CHECKS) {
    assert.ok(page.includes(`\n### ${id}\n`), id);
    for (const text of [what, fix]) assert.match(text, /[^.]$/);
  }
});

test("what the checks need to know of a profile, in plain words", () => {
  assert.equal(
    preflightSetting(buildProfile()),
    "flannel=host-gw pods=10.42.0.0/16 dummy=1 delivery=fetch floor=1767225600 copies=24",
  );
  const profile = buildProfile();
  const agent = buildProfile({
    joins: "edge-0002",
    network: { shape: "lan", nodeIp: "10.0.0.5", interface: "eth0", resolvConf: "/etc/r.conf", dummyRoute: false },
    k3s: { ...profile.k3s, disable: [], flannelBackend: "vxlan" },
    backup: { everyHours: 1, keep: 1, push: undefined },
  });
  assert.equal(
    preflightSetting(agent),
    "role=agent flannel=vxlan pods=10.42.0.0/16 resolv=/etc/r.conf interface=eth0 ip=10.0.0.5 delivery=fetch writes=metrics-server,backups floor=1767225600",
  );
  assert.match(preflightSetting(buildProfile({ distribution: "microk8s" })), /^pods=10\.1\.0\.0\/16 .* writes=dqlite /);
});

test("the room that artifacts need is four times their size, with a guess where the lock does not tell", () => {
  assert.equal(neededKib([{ kind: "binary", size: 1024 * 1024 }]), 4096);
  assert.equal(neededKib([{ kind: "binary" }, { kind: "assertions" }]), 96 * 1024 * 4);
});
