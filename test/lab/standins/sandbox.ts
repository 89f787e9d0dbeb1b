/**
 * A throw-away device for one test: this machine's root as the lower layer of an overlay on tmpfs, inside mount and
 * process namespaces of its own, with the stand-ins in `/usr/local/bin`. Nothing that runs in it changes the machine:
 * `/proc/sys` is read-only and everything is gone with the process. Needs root.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { STANDIN_BIN } from "./index.ts";

/** What a command in the sandbox did. */
export interface SandboxOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Shell that is `/bin/sh` in the sandbox. */
export type SandboxShell = "dash" | "busybox";

/** What a sandbox has beside its stand-ins. */
export interface SandboxOptions {
  /** An address for a network of its own, which has no other: ports in it are nobody else's. Default: the machine's network. */
  readonly address?: string;
  /** Files of the machine by their paths in the sandbox. Default: none. */
  readonly binds?: Readonly<Record<string, string>>;
}

const SET_UP = `set -eu
mount -t tmpfs -o mode=755 sandbox "$1"
cd "$1"
mkdir upper work root
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work sandbox root
cd root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
rm -rf etc/rancher etc/edge-fleet-lab var/lib/rancher var/lib/edge-fleet var/log/edge-fleet etc/systemd/system/k3s.service usr/local/bin usr/local/sbin
mkdir -p run/systemd/system sys/fs/cgroup usr/local/bin usr/local/sbin etc/edge-fleet-lab run/dbus
: >run/dbus/system_bus_socket
echo "cpuset cpu io memory pids" >sys/fs/cgroup/cgroup.controllers
cp "$2"/* usr/local/bin/
ln -sf "/bin/$3" usr/bin/sh
if [ -n "$4" ]; then
  ip link set lo up
  ip addr add "$4/32" dev lo
fi
shift 4
while [ "$#" -gt 0 ]; do
  mkdir -p "./\${1%/*}"
  : >"./$1"
  mount --bind "$2" "./$1"
  shift 2
done
echo ready
exec sleep infinity
`;

/** A running sandbox. */
export class Sandbox {
  /** Its root as seen from the machine. */
  readonly root: string;
  readonly #directory: string;
  readonly #process: ChildProcess;
  readonly #init: string;
  readonly #namespaces: readonly string[];

  private constructor(directory: string, process: ChildProcess, namespaces: readonly string[]) {
    const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
    this.#init = children.trim();
    this.#directory = directory;
    this.#process = process;
    this.#namespaces = namespaces;
    this.root = `/proc/${this.#init}/root${directory}/root`;
  }

  /**
   * Starts a sandbox.
   * @throws Error when the kernel refuses a namespace or a mount
   */
  static async start(shell: SandboxShell, { address, binds = {} }: SandboxOptions = {}): Promise<Sandbox> {
    const directory = mkdtempSync(join(tmpdir(), "edge-fleet-sandbox-"));
    const namespaces = ["-m", "-p", ...(address === undefined ? [] : ["-n"])];
    const words = [directory, STANDIN_BIN, shell, address ?? "", ...Object.entries(binds).flat()];
    const process = spawn(
      "unshare",
      [...namespaces, "--fork", "--mount-proc", "--kill-child", "sh", "-c", SET_UP, "sh", ...words],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await new Promise<void>((resolve, reject) => {
      process.stdout?.once("data", () => resolve());
      process.once("exit", (code) => reject(new Error(`sandbox: its set-up ended with ${code}`)));
    });
    return new Sandbox(directory, process, namespaces);
  }

  /** Runs a sh text inside and waits for it. */
  run(text: string, stdin = ""): SandboxOutcome {
    const { status, stdout, stderr } = spawnSync("nsenter", [...this.#enter(), "sh", "-c", text], {
      input: stdin,
      encoding: "utf8",
    });
    return { code: status, stdout, stderr };
  }

  /** Starts a sh text inside and does not wait for it. */
  start(text: string, stdin: string): Promise<SandboxOutcome> {
    const child = spawn("nsenter", [...this.#enter(), "sh", "-c", text], { stdio: ["pipe", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output.stdout += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (output.stderr += chunk));
    child.stdin.end(stdin);
    return new Promise((resolve) => child.once("close", (code) => resolve({ code, ...output })));
  }

  /** Writes a file inside, with its folders. */
  write(path: string, content: string | Uint8Array): void {
    mkdirSync(dirname(this.root + path), { recursive: true });
    writeFileSync(this.root + path, content);
  }

  /** A command that runs its arguments inside, e.g. for a server outside. */
  get entry(): readonly string[] {
    return ["nsenter", ...this.#enter()];
  }

  /** Ends everything in the sandbox. */
  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await ended;
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #enter(): string[] {
    return ["-t", this.#init, ...this.#namespaces, "chroot", `${this.#directory}/root`];
  }
}

/** Waits until a sh text succeeds inside. @throws Error with what it said last */
export async function eventually(sandbox: Sandbox, text: string, seconds = 60): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    if (sandbox.run(text).code === 0) return;
    await sleep(200);
  }
  throw new Error(`after ${seconds} s: ${text}: ${JSON.stringify(sandbox.run(text))}`);
}
