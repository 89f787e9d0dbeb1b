/**
 * Folders that stand for machines: the files from which the preflight reads what a machine is, and shell functions for the
 * four commands that it asks. Healthy unless a test says otherwise.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { diagnosisText } from "../../../cli/doctor/script.ts";

/** The shells of devices. */
export const SHELLS = { dash: ["dash"], busybox: ["busybox", "ash"] } as const;

/** One of {@link SHELLS}. */
export type Shell = keyof typeof SHELLS;

/** What a machine differs in from {@link MACHINES}.nuc. */
export interface FakeMachine {
  /** Text by path; `null`: not there; `{ link }`: a symbolic link. A path that ends in `/` is a folder. */
  readonly files?: Readonly<Record<string, string | null | { readonly link: string }>>;
  /** Settings of the device. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Words of the setting PREFLIGHT, added to `dummy=1 pods=10.42.0.0/16`. */
  readonly preflight?: string;
  /** Shell functions that stand for commands. */
  readonly commands?: string;
  /** Commands that are not on PATH. Those that are applets of busybox are there all the same. */
  readonly without?: readonly string[];
  /** Further commands on PATH. */
  readonly also?: readonly string[];
  /** Further commands on PATH as sh texts. */
  readonly scripts?: Readonly<Record<string, string>>;
}

/** The workstation's time and the clock of a healthy machine: 2026-09-21. */
export const NOW = 1_790_000_000;

const TOOLS =
  "awk base64 cat cp curl cut date df grep gzip id ls mkdir mktemp mv rm sed sha256sum sleep sudo sync tar timeout tr";

const COMMANDS = `
CLOCK=${NOW}
uname() { echo x86_64; }
id() { echo 0; }
date() { case "$*" in +%s) echo "$CLOCK" ;; *) command date "$@" ;; esac; }
df() { printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/x 50000000 1 40000000 1%% /\\n'; }
sleep() { :; }
`;

/** mountinfo of one file system. */
export function mounted(device: string, type: string, options = "rw"): string {
  return `22 1 0:21 / /proc rw,relatime - proc proc rw\n25 1 ${device} / / ${options},noatime shared:1 - ${type} /dev/root ${options}\n`;
}

/** Line of /proc/net/tcp of a listening socket. */
export function listening(port: number, inode: number): string {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return `   0: 00000000:${hex} 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0000000000000000 100 0 0 10 0\n`;
}

const MODULES = ["overlay", "br_netfilter", "nf_conntrack", "veth", "bridge", "dummy"];

const HEALTHY: NonNullable<FakeMachine["files"]> = {
  "/proc/sys/kernel/osrelease": "6.6.31+rpt-rpi-v8\n",
  "/proc/sys/kernel/hostname": "edge-0001\n",
  "/proc/meminfo": "MemTotal:        3885396 kB\nMemFree: 1 kB\n",
  "/proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0 partition 1 0 100\n",
  "/proc/self/mountinfo": mounted("259:2", "ext4"),
  "/proc/sys/kernel/random/boot_id": "first-boot\n",
  "/proc/uptime": "3600.25 7000.00\n",
  "/proc/cmdline": "console=tty1 root=PARTUUID=1 rw\n",
  "/proc/net/route":
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n" +
    "wlan0\t00000000\t0100000A\t0003\t0\t0\t600\t00000000\neth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\n",
  "/proc/net/tcp": `  sl  local_address rem_address   st\n${listening(22, 11)}`,
  "/proc/net/tcp6": "  sl  local_address rem_address   st\n",
  "/proc/net/fib_trie":
    "Local:\n        |-- 10.0.0.5\n           /32 host LOCAL\n        |-- 10.0.0.0\n           /24 link UNICAST\n",
  "/proc/self/maps":
    "aaaac0000000-aaaac0001000 r-xp 00000000 b3:02 1 /bin/dash\nffffd1234000-ffffd1255000 rw-p 00000000 00:00 0 [stack]\n",
  "/proc/1/comm": "systemd\n",
  "/proc/1/cgroup": "0::/init.scope\n",
  "/proc/1/fd/": "",
  "/proc/812/comm": "haproxy\n",
  "/proc/812/cgroup": "0::/system.slice/haproxy.service\n",
  "/proc/812/fd/7": { link: "socket:[4242]" },
  "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
  ...Object.fromEntries(MODULES.map((name) => [`/sys/module/${name}/`, ""])),
  "/sys/class/rtc/rtc0/": "",
  "/sys/class/net/eth0/mtu": "1500\n",
  "/sys/devices/nvme0n1/removable": "0\n",
  "/sys/devices/nvme0n1/dev": "259:0\n",
  "/sys/devices/nvme0n1/queue/rotational": "0\n",
  "/sys/devices/nvme0n1/nvme0n1p2/partition": "2\n",
  "/sys/dev/block/259:2": { link: "../../devices/nvme0n1/nvme0n1p2" },
  "/etc/machine-id": `${"0123456789abcdef".repeat(2)}\n`,
  "/etc/resolv.conf": "search lan\nnameserver 10.0.0.1\n",
  "/run/systemd/system/": "",
  "/run/systemd/timesync/synchronized": "",
  "/var/lib/": "",
};

/** Files of a disk of the given kind, mounted at `/`. */
export function onDisk(name: string, numbers: string, facts: Readonly<Record<string, string>>) {
  const files = Object.entries(facts).map(([path, text]): [string, string] => [`/sys/devices/${name}/${path}`, text]);
  return {
    ...Object.fromEntries(files),
    [`/sys/devices/${name}/${name}p2/partition`]: "2\n",
    [`/sys/dev/block/${numbers}`]: { link: `../../devices/${name}/${name}p2` },
    "/proc/self/mountinfo": mounted(numbers, "ext4"),
  };
}

/** A Raspberry Pi's card. */
export const SD_CARD = onDisk("mmcblk0", "179:2", {
  "device/type": "SD\n",
  removable: "0\n",
  dev: "179:0\n",
  "queue/rotational": "0\n",
});

/** What the boot of a machine with OpenRC leaves in place of systemd's. */
export const OPENRC = {
  "/run/systemd/system/": null,
  "/run/systemd/timesync/synchronized": null,
  "/run/chronyd.pid": "7\n",
  "/run/openrc/softlevel": "default\n",
  "/run/openrc/started/crond": "",
  "/sbin/supervise-daemon": "",
} as const;

/** A machine on which K3s listens, process 900. */
const LISTENING = {
  "/proc/net/tcp6": `header\n${listening(6443, 4243)}${listening(10250, 4244)}`,
  "/proc/900/comm": "k3s-server\n",
  "/proc/900/fd/3": { link: "socket:[4243]" },
  "/proc/900/fd/4": { link: "socket:[4244]" },
} as const;

/** Machines with nothing wrong. */
export const MACHINES = {
  nuc: {},
  "Raspberry Pi": {
    files: {
      ...SD_CARD,
      "/sys/class/rtc/rtc0/": null,
      "/etc/fake-hwclock.data": "2026-09-21 00:00:00\n",
      "/boot/firmware/cmdline.txt": "console=tty1 root=PARTUUID=1 cgroup_enable=memory\n",
      "/sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    },
    settings: { ARCH: "arm64" },
    commands: "uname() { echo aarch64; }",
  },
  "device with K0s": { settings: { DISTRIBUTION: "k0s" }, preflight: "pods=10.244.0.0/16" },
  "device with MicroK8s": {
    files: { "/sys/module/vxlan/": "" },
    settings: { DISTRIBUTION: "microk8s" },
    also: ["snap"],
  },
  "running device with K3s": {
    files: {
      "/etc/systemd/system/k3s.service": "[Unit]\n",
      "/var/lib/rancher/k3s/server/tls/": "",
      "/proc/net/tcp6": `header\n${listening(6443, 4243)}${listening(10250, 4244)}`,
      "/proc/900/comm": "k3s-server\n",
      "/proc/900/cgroup": "0::/system.slice/k3s.service\n",
      "/proc/900/fd/3": { link: "socket:[4243]" },
      "/proc/900/fd/4": { link: "socket:[4244]" },
      "/sys/class/net/cni0/mtu": "1500\n",
    },
  },
  "device with OpenRC": { files: OPENRC, settings: { INIT: "openrc", WASM: "spin" } },
  "running device with OpenRC": {
    files: { ...OPENRC, ...LISTENING, "/etc/init.d/k3s": "", "/proc/900/cgroup": "0::/openrc.k3s\n" },
    settings: { INIT: "openrc" },
  },
  "running device with OpenRC that makes no cgroups": {
    files: {
      ...OPENRC,
      ...LISTENING,
      "/etc/init.d/k0scontroller": "",
      "/proc/900/comm": "kube-apiserver\n",
      "/proc/900/cgroup": "0::/\n",
      "/proc/900/stat": "900 (kube-apiserver) S 899 899 899 0 -1\n",
      "/proc/899/cmdline": "/usr/local/bin/k0s\0controller\0",
      "/proc/899/stat": "899 (k0s (deleted)) S 898 899 899 0 -1\n",
      "/proc/898/cmdline": "supervise-daemon\0k0scontroller\0--start\0",
    },
    settings: { INIT: "openrc", DISTRIBUTION: "k0s" },
  },
} satisfies Record<string, FakeMachine>;

/** A machine on disk. */
export class Machine {
  readonly root: string;
  readonly #machine: FakeMachine;

  constructor(machine: FakeMachine) {
    this.#machine = machine;
    this.root = mkdtempSync(join(tmpdir(), "edge-fleet-machine-"));
    for (const [path, content] of Object.entries({ ...HEALTHY, ...machine.files })) this.put(path, content);
    const tools = [...TOOLS.split(" "), ...(machine.also ?? [])].filter((tool) => !machine.without?.includes(tool));
    mkdirSync(join(this.root, "bin"));
    for (const tool of tools) symlinkSync(pathOf(tool), join(this.root, "bin", tool));
    for (const [name, text] of Object.entries(machine.scripts ?? {}))
      writeFileSync(join(this.root, "bin", name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  }

  /** Writes one of {@link FakeMachine.files}. */
  put(path: string, content: string | null | { readonly link: string }): void {
    const target = join(this.root, path);
    rmSync(target, { recursive: true, force: true });
    if (content === null) return;
    mkdirSync(path.endsWith("/") ? target : dirname(target), { recursive: true });
    if (typeof content === "object") symlinkSync(content.link, target);
    else if (!path.endsWith("/")) writeFileSync(target, content);
  }

  /** Runs commands behind the doctor's text, which begins with the preflight's. */
  run(
    shell: Shell,
    commands: string,
  ): { readonly code: number | null; readonly stdout: string; readonly stderr: string } {
    const { settings, preflight, commands: stubs } = this.#machine;
    const variables = {
      DEVICE: "edge-0001",
      DISTRIBUTION: "k3s",
      ARCH: "amd64",
      MEMORY_MIB: "4096",
      NEED_KIB: "400000",
      EDGE_FLEET_NOW: String(NOW),
      PREFLIGHT: `dummy=1 delivery=fetch pods=10.42.0.0/16 ${preflight ?? ""}`,
      ...settings,
    };
    const script = ["set -eu", diagnosisText(), COMMANDS, stubs ?? "", commands].join("\n");
    const [command, ...args] = SHELLS[shell];
    const environment = { PATH: join(this.root, "bin"), LC_ALL: "C", MACHINE_ROOT: this.root, ...variables };
    const { status, stdout, stderr } = spawnSync(pathOf(command), [...args, "-c", script], {
      encoding: "utf8",
      env: environment,
    });
    return { code: status, stdout, stderr };
  }

  /** Removes it. */
  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

const paths = new Map<string, string>();

/** Where a command is on this machine; one that it does not have is only there to be found, so anything serves. */
function pathOf(tool: string): string {
  const known = paths.get(tool);
  if (known !== undefined) return known;
  const search = 'PATH="$PATH:/usr/sbin:/sbin" command -v -- "$1"';
  const path = spawnSync("sh", ["-c", search, "sh", tool], { encoding: "utf8" }).stdout.trim() || "/bin/true";
  paths.set(tool, path);
  return path;
}

/** A line of `findings`. */
export interface PrintedFinding {
  readonly id: string;
  readonly severity: string;
  readonly text: string;
}

/** Reads what `findings` printed. */
export function readFindings(stdout: string): PrintedFinding[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [id = "", severity = "", text = ""] = line.split("\t");
      return { id, severity, text };
    });
}
