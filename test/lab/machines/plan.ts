/**
 * What a machine of the lab is made of: packages, a cache key, and the arguments of mmdebstrap, mount, systemd-nspawn
 * and ssh. Pure.
 */
import { createHash } from "node:crypto";
import type { SshKeyPair } from "../devices/keys.ts";
import type { DeviceFile } from "../devices/types.ts";

/** What runs as PID 1. */
export type MachineInit = "systemd" | "openrc";

/** What is on a machine's disk before anything is done to it: Debian with that init, or with systemd and what runs pods. */
export type MachineRoot = MachineInit | "pods";

/** What a machine that runs pods has beside others. */
export interface PodMachine {
  /** Files and folders of the host that it sees, read-only, by its own path. */
  readonly binds: Readonly<Record<string, string>>;
}

/** A machine that is to be made. */
export interface MachineRequest {
  /** Its id, host name included. */
  readonly id: string;
  readonly init: MachineInit;
  /** Absent: it runs no pods, and has no network but its own. */
  readonly pods?: PodMachine;
}

/** Debian release of the machines, whatever the release of the host. */
export const SUITE = "bookworm";

/** The log-in user beside root. */
export const MACHINE_USER = "edge";

/** Where the machines of a lab lie, in the memory of its namespaces: gone with them, kept across a machine's power cut. */
export const MACHINES = "/run/edge-fleet-machines";

/** What an image of a device has beside Debian's minimum. */
const COMMON = ["ca-certificates", "curl", "dbus", "iproute2", "kmod", "openssh-server", "openssl", "procps", "sudo"];

const SYSTEMD = ["systemd-sysv", "libpam-systemd"];

const ROOTS: Readonly<Record<MachineRoot, readonly string[]>> = {
  systemd: SYSTEMD,
  openrc: ["sysvinit-core", "openrc", "cron"],
  pods: [...SYSTEMD, "containerd", "runc", "containernetworking-plugins", "iptables"],
};

/** Address of the lab's end of the cable that a machine with pods has; its own is in setup-pods.sh. */
export const CABLE_ADDRESS = "10.250.1.1/24";

/** How apt of the host reaches its mirror; the rest of its settings is its own affair. */
const MIRROR_SETTING = /^Acquire::(Check-|https?::|Retries|ForceIPv)/;

/** Packages of a root file system, sorted. */
export function packagesOf(root: MachineRoot): string[] {
  return [...COMMON, ...ROOTS[root]].sort();
}

/**
 * Name of a root file system in the cache: equal for equal packages and set-up.
 * @param setUp text of the scripts that finish it
 */
export function rootEntry(root: MachineRoot, setUp: string): string {
  const content = JSON.stringify([SUITE, packagesOf(root), setUp]);
  return `machine-${root}-${createHash("sha256").update(content).digest("hex").slice(0, 16)}`;
}

/**
 * Arguments of mmdebstrap.
 * @param aptSettings output of `apt-config dump` on the host
 * @param directory empty folder that becomes the root
 */
export function bootstrapArguments(root: MachineRoot, aptSettings: string, directory: string): string[] {
  const settings = aptSettings.split("\n").filter((line) => MIRROR_SETTING.test(line) && !line.endsWith(' "";'));
  return [
    "--quiet",
    "--variant=minbase",
    "--format=directory",
    `--include=${packagesOf(root).join(",")}`,
    ...settings.map((line) => `--aptopt=${line.replace(/;$/, "")}`),
    SUITE,
    directory,
  ];
}

/** Folder of a machine. */
export function machineFolder(id: string): string {
  return `${MACHINES}/${id}`;
}

/**
 * Options of a machine's overlay mount.
 * @param root the root file system in the cache, which stays as it is
 */
export function overlayOptions(id: string, root: string): string {
  const folder = machineFolder(id);
  return `lowerdir=${root},upperdir=${folder}/upper,workdir=${folder}/work`;
}

/**
 * Variables of systemd-nspawn. A machine sees cgroup v2, whichever init it has; one that runs pods sees what the host has,
 * since a controller is in one version alone, and sets its own network.
 * @param unified whether that is cgroup v2
 */
export function nspawnEnvironment({ pods }: MachineRequest, unified: boolean): Record<string, string> {
  return {
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: pods === undefined || unified ? "1" : "0",
    SYSTEMD_NSPAWN_LOCK: "0",
    ...(pods === undefined ? {} : { SYSTEMD_NSPAWN_API_VFS_WRITABLE: "network" }),
  };
}

/**
 * Arguments of systemd-nspawn: the init as PID 1 in a network of its own, which has a loopback interface alone. With pods it
 * has a cable to the lab, all rights that the lab has, and a folder on no overlay, since images are overlays themselves.
 */
export function nspawnArguments({ id, pods }: MachineRequest): string[] {
  const podArguments = [
    ...["--network-veth", "--capability=all", "--system-call-filter=add_key keyctl bpf perf_event_open"],
    ...["--bind=/dev/kmsg", `--bind=${machineFolder(id)}/containerd:/var/lib/rancher/k3s/agent/containerd`],
    ...Object.entries(pods?.binds ?? {}).map(([path, host]) => `--bind-ro=${host}:${path}`),
  ];
  return [
    "--quiet",
    `--directory=${machineFolder(id)}/root`,
    `--machine=${id}`,
    `--hostname=${id}`,
    "--boot",
    "--register=no",
    "--keep-unit",
    ...(pods === undefined ? ["--private-network"] : podArguments),
    "--resolv-conf=off",
    "--timezone=off",
    "--link-journal=no",
    "--console=pipe",
  ];
}

/**
 * Arguments of nsenter that run a command in a machine's network and nothing else of it: 127.0.0.1 is then the machine.
 * @param leader process id of its init
 */
export function networkArguments(leader: number, command: readonly string[]): string[] {
  return [`--net=/proc/${leader}/ns/net`, "--", ...command];
}

/** Arguments of ssh, without the remote command; only the pinned host key is taken. */
export function sshArguments(id: string, user: string): string[] {
  const folder = machineFolder(id);
  return [
    ...["-F", "none", "-T", "-i", `${folder}/client_key`],
    ...["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes"],
    ...[
      "-o",
      `UserKnownHostsFile=${folder}/known_hosts`,
      "-o",
      "GlobalKnownHostsFile=/dev/null",
      "-o",
      "LogLevel=ERROR",
    ],
    `${user}@127.0.0.1`,
  ];
}

/** Files in which a machine differs from the root file system. */
export function identityFiles(id: string, host: SshKeyPair, client: SshKeyPair): DeviceFile[] {
  const key = "/etc/ssh/ssh_host_ed25519_key";
  return [
    { path: "/etc/hostname", content: `${id}\n` },
    { path: "/etc/hosts", content: `127.0.0.1 localhost\n127.0.1.1 ${id}\n` },
    {
      path: "/etc/machine-id",
      content: `${createHash("sha256").update(id).digest("hex").slice(0, 32)}\n`,
      mode: 0o444,
    },
    { path: key, content: host.privateKey, mode: 0o600 },
    { path: `${key}.pub`, content: `${host.publicKey}\n` },
    { path: "/etc/ssh/authorized_keys", content: `${client.publicKey}\n` },
  ];
}

/**
 * Whether a machine's SSH server listens.
 * @param tables content of its /proc/net/tcp and tcp6: local address in the second column, state `0A` (LISTEN) in the fourth
 */
export function listensOnSsh(tables: string): boolean {
  return tables.split("\n").some((line) => /^\s*\d+: [0-9A-F]+:0016 [0-9A-F]+:0000 0A /.test(line));
}
