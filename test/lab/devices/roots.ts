/**
 * Root file systems of the devices: makes one merged, writable root each, and takes them away again. Every root is one
 * overlay mount: the machine's own /usr and /etc at the bottom, a layer of whiteouts that hides all else, a layer that
 * makes the rest look like a small device, and the device's own changes in memory on top.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { STANDIN_BIN } from "../standins/index.ts";
import type { SshKeyPair } from "./keys.ts";
import { removeBridge } from "./links.ts";
import type { DeviceFile, DeviceRequest } from "./types.ts";

/** Where everything is mounted; in /run, because the SSH server refuses to chroot below a directory that others may write. */
export const BASE = "/run/edge-fleet-lab";

/** Host key of a device below its root. */
export const HOST_KEY = "etc/ssh/ssh_host_ed25519_key";

const LAYERS = { arm64: `${BASE}/layers/arm64`, device: `${BASE}/layers/device`, hidden: `${BASE}/layers/hidden` };
const CGROUPS = `${BASE}/cgroups`;
const PROC = `${BASE}/proc`;
const VISIBLE = /^(usr|etc|s?bin|lib(x?32|64)?)$/;
const DIRECTORIES: Readonly<Record<string, number>> = {
  "etc/edge-fleet-lab": 0o755,
  "etc/ssh": 0o755,
  "run/lock": 0o755,
  "run/systemd/system": 0o755,
  "sys/fs/cgroup": 0o755,
  "usr/local/bin": 0o755,
  "usr/local/lib": 0o755,
  "usr/local/sbin": 0o755,
  "var/cache": 0o755,
  "var/lib": 0o755,
  "var/log": 0o755,
  "var/spool": 0o755,
  "var/tmp": 0o1777,
  dev: 0o755,
  home: 0o755,
  mnt: 0o755,
  opt: 0o755,
  proc: 0o755,
  root: 0o700,
  srv: 0o755,
  tmp: 0o1777,
};
const THREADS_POLL_MS = 2;
const ARM64_UNAME = `#!/bin/sh
# Stand-in for the uname of an ARM64 machine: the machine's own answer with the architecture replaced.
set -eu
answer=$(/usr/bin/uname "$@")
printf '%s\\n' "$answer" | /usr/bin/sed 's/x86_64/aarch64/g'
`;

/** A device that is to get a root. */
export interface RootRequest extends DeviceRequest {
  /** IPv4 address, for /etc/hosts. */
  readonly host: string;
  /** SSH host key pair. */
  readonly key: SshKeyPair;
}

/** The merged root of a device. */
export function rootPath(id: string): string {
  return `${BASE}/devices/${id}/root`;
}

/** The file that keeps a device's UTS namespace (its host name) alive. */
export function hostNamePath(id: string): string {
  return `${BASE}/devices/${id}/uts`;
}

/** The file that keeps the network namespace of a device alive that has its own. */
export function networkPath(id: string): string {
  return `${BASE}/devices/${id}/net`;
}

/**
 * Mounts the roots of all devices.
 * @param devices who gets a root
 * @param files files for every device, over the stand-ins
 * @param binds folders of the machine by where every device has them, read-only
 * @throws Error when the kernel refuses a mount
 */
export function mountRoots(
  devices: readonly RootRequest[],
  files: readonly DeviceFile[],
  binds: Readonly<Record<string, string>> = {},
): void {
  mkdirSync(BASE);
  run("mount", ["-t", "tmpfs", "-o", "mode=755", "edge-fleet-lab", BASE]);
  hideMachine();
  fillDeviceLayer(files);
  for (const path of Object.keys(binds)) mkdirSync(join(LAYERS.device, path), { recursive: true });
  mountCgroups();
  mountProc();
  for (const device of devices) fillUpperLayer(device);
  mountAll(devices, binds);
  nameHosts(devices);
}

/** Ends every process that has its root in a device, then unmounts all roots and forgets what devices wrote. */
export function unmountRoots(): void {
  if (!existsSync(BASE)) return;
  endProcesses(BASE);
  removeBridge();
  run("umount", ["--lazy", BASE]);
  rmdirSync(BASE);
}

/** Replaces the host key pair in a device's root. */
export function writeHostKey(root: string, key: SshKeyPair): void {
  const path = join(root, HOST_KEY);
  writeFileSync(path, key.privateKey, { mode: 0o600 });
  writeFileSync(`${path}.pub`, `${key.publicKey}\n`, { mode: 0o644 });
}

function hideMachine(): void {
  const top = readdirSync("/").filter((name) => !VISIBLE.test(name));
  const keys = readdirSync("/etc/ssh").filter((name) => name.startsWith("ssh_host_"));
  const hidden = [
    ...top,
    "usr/local",
    "etc/rancher",
    "etc/systemd/system/k3s.service",
    ...keys.map((name) => `etc/ssh/${name}`),
  ];
  for (const path of hidden) mkdirSync(dirname(join(LAYERS.hidden, path)), { recursive: true });
  const makeWhiteouts = 'for path; do mknod "$path" c 0 0; done';
  run("sh", ["-euc", makeWhiteouts, "whiteouts", ...hidden.map((path) => join(LAYERS.hidden, path))]);
}

function fillDeviceLayer(files: readonly DeviceFile[]): void {
  for (const [path, mode] of Object.entries(DIRECTORIES)) {
    mkdirSync(join(LAYERS.device, path), { recursive: true });
    chmodSync(join(LAYERS.device, path), mode);
  }
  symlinkSync("/run", join(LAYERS.device, "var/run"));
  for (const name of readdirSync(STANDIN_BIN)) {
    const path = join(LAYERS.device, "usr/local/bin", name);
    copyFileSync(join(STANDIN_BIN, name), path);
    chmodSync(path, 0o755);
  }
  for (const file of files) placeFile(LAYERS.device, file);
  placeFile(LAYERS.arm64, { path: "/usr/local/bin/uname", content: ARM64_UNAME, mode: 0o755 });
}

function placeFile(layer: string, { path, content, mode = 0o644 }: DeviceFile): void {
  const target = join(layer, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, content);
  chmodSync(target, mode);
}

/** One cgroup2 mount for all devices that says it has the controllers K3s asks for, whatever the machine has. */
function mountCgroups(): void {
  mkdirSync(CGROUPS);
  run("mount", ["-t", "cgroup2", "cgroup2", CGROUPS]);
  writeFileSync(`${BASE}/cgroup.controllers`, "cpuset cpu io memory pids\n");
  run("mount", ["--bind", `${BASE}/cgroup.controllers`, `${CGROUPS}/cgroup.controllers`]);
}

/** One /proc for all devices with kernel settings read-only: most of them are the machine's, not the namespace's. */
function mountProc(): void {
  mkdirSync(PROC);
  run("mount", ["-t", "proc", "proc", PROC]);
  for (const path of [`${PROC}/sys`, `${PROC}/sysrq-trigger`].filter((name) => existsSync(name))) {
    run("mount", ["--bind", path, path]);
    run("mount", ["-o", "remount,bind,ro", path]);
  }
}

function fillUpperLayer({ id, host, key }: RootRequest): void {
  const folder = `${BASE}/devices/${id}`;
  for (const name of ["upper/etc/ssh", "work", "root"]) mkdirSync(join(folder, name), { recursive: true });
  const machineId = createHash("sha256").update(id).digest("hex").slice(0, 32);
  const etc: readonly DeviceFile[] = [
    { path: "etc/hostname", content: `${id}\n` },
    { path: "etc/machine-id", content: `${machineId}\n`, mode: 0o444 },
    { path: "etc/hosts", content: `127.0.0.1 localhost\n${host} ${id}\n` },
  ];
  for (const file of etc) placeFile(join(folder, "upper"), file);
  writeHostKey(join(folder, "upper"), key);
}

/** All mounts of all devices by one process: a process per mount costs 2,000 processes for 300 devices. */
function mountAll(devices: readonly RootRequest[], binds: Readonly<Record<string, string>>): void {
  const lines = devices.flatMap(({ id, architecture }) => {
    const root = rootPath(id);
    const lower = [...(architecture === "arm64" ? [LAYERS.arm64] : []), LAYERS.device, LAYERS.hidden, "/"].join(":");
    const layers = `lowerdir=${lower},upperdir=${BASE}/devices/${id}/upper,workdir=${BASE}/devices/${id}/work`;
    return [
      `overlay ${root} overlay ${layers} 0 0`,
      `${PROC} ${root}/proc none rbind 0 0`,
      `/dev ${root}/dev none rbind 0 0`,
      `${CGROUPS} ${root}/sys/fs/cgroup none rbind 0 0`,
      ...Object.entries(binds).map(([path, source]) => `${source} ${root}${path} none bind,ro 0 0`),
    ];
  });
  writeFileSync(`${BASE}/fstab`, `${lines.join("\n")}\n`);
  run("mount", ["--all", "--fstab", `${BASE}/fstab`]);
}

function nameHosts(devices: readonly RootRequest[]): void {
  const script = 'for id; do : >"$base/$id/uts"; unshare --uts="$base/$id/uts" hostname "$id"; done';
  const ids = devices.map(({ id }) => id);
  run("sh", ["-euc", `base=${BASE}/devices; ${script}`, "host-names", ...ids]);
}

/** Ends every process that has its root below a folder, those too that they start meanwhile, and waits until they hold nothing. */
export function endProcesses(below: string): void {
  const ended = new Set<number>();
  for (let found = processesInside(below); found.length > 0; found = processesInside(below)) {
    found.forEach(end);
    for (const pid of found) ended.add(pid);
  }
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (const pid of ended) while (hasThreads(pid)) Atomics.wait(pause, 0, 0, THREADS_POLL_MS);
}

/** A process whose first thread has ended looks gone, and its other threads still have its sockets and locks open. */
function hasThreads(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false;
  }
}

function processesInside(below: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && isInside(name, below))
    .map(Number);
}

function isInside(pid: string, below: string): boolean {
  try {
    if (!`${readlinkSync(`/proc/${pid}/root`)}/`.startsWith(`${below}/`)) return false;
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function run(command: string, args: readonly string[]): void {
  try {
    execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  } catch (error) {
    const said = (error as { stderr?: Buffer }).stderr?.toString().trim();
    throw new Error(`lab: ${command} failed: ${said || (error as Error).message} - run inside the lab's namespaces`);
  }
}
