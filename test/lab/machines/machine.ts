/**
 * A real machine of the lab: a Debian root with a real init as PID 1 under systemd-nspawn, a real SSH server and sudo,
 * with a disk that survives a power cut. Inside the lab's namespaces only (see index.ts). It has a process tree, mounts, a
 * network and control groups of its own; the kernel and the clock are the host's.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CommandResult } from "../devices/command.ts";
import { generateSshKey } from "../devices/keys.ts";
import { isUnified, makeGroups, removeGroup } from "./cgroup.ts";
import {
  CABLE_ADDRESS,
  identityFiles,
  listensOnSsh,
  type MachineInit,
  type MachineRequest,
  machineFolder,
  networkArguments,
  nspawnArguments,
  nspawnEnvironment,
  overlayOptions,
  sshArguments,
} from "./plan.ts";
import { requireRoot } from "./root.ts";

/** Seconds from power to a log-in; measured: 0.5 (systemd) and 1.0 (OpenRC) on two free cores. */
const BOOT_SECONDS = 60;

/** Seconds from the command to the end; a kubelet gives pods 30 of them. */
const SHUT_DOWN_SECONDS = 90;

const POLL_MS = 50;

/** How much of the console is kept, in characters from the end. */
const CONSOLE = 4000;

/** How a command is run on a machine. */
export interface MachineCommand {
  /** Log-in user. Default `root`. */
  readonly user?: string;
  /** What the command reads. Default: nothing. */
  readonly input?: string;
}

/** A command under way. */
export interface RunningCommand {
  /** What it printed and how it ended; also after {@link RunningCommand.cut}. */
  readonly result: Promise<CommandResult>;
  /** Kills the SSH client, as when the controller loses power. */
  cut(): void;
}

/** One machine. */
export class Machine {
  readonly id: string;
  readonly init: MachineInit;
  /** Its disk, as seen from the lab: also while it is off. */
  readonly disk: string;
  readonly #request: MachineRequest;
  #nspawn: ChildProcess | undefined;
  #leader = 0;
  #groups: string[] = [];
  #console = "";

  private constructor(request: MachineRequest) {
    const { id, init } = request;
    this.#request = request;
    this.id = id;
    this.init = init;
    this.disk = join(machineFolder(id), "root");
  }

  /**
   * Makes a machine and turns it on.
   * @throws Error with the end of its console when it does not come up
   */
  static async start(request: MachineRequest): Promise<Machine> {
    const machine = new Machine(request);
    const folder = machineFolder(request.id);
    for (const name of ["upper", "work", "root", "containerd"]) mkdirSync(join(folder, name), { recursive: true });
    const options = overlayOptions(request.id, requireRoot(request.pods === undefined ? request.init : "pods"));
    execFileSync("mount", ["--no-mtab", "-t", "overlay", "-o", options, request.id, machine.disk]);
    const [host, client] = [generateSshKey(), generateSshKey()];
    for (const { path, content, mode } of identityFiles(request.id, host, client)) machine.write(path, content, mode);
    writeFileSync(join(folder, "known_hosts"), `127.0.0.1 ${host.publicKey}\n`);
    writeFileSync(join(folder, "client_key"), client.privateKey, { mode: 0o600 });
    await machine.boot();
    return machine;
  }

  /** Process id of its init as the lab sees it. */
  get leader(): number {
    return this.#leader;
  }

  /** Turns it on and waits until one can log in. */
  async boot(): Promise<void> {
    this.#groups = makeGroups(this.id, this.#request.pods !== undefined);
    this.#console = "";
    const join = 'for group in $0; do echo $$ >"$group/cgroup.procs" || exit; done; exec systemd-nspawn "$@"';
    const nspawn = spawn("sh", ["-c", join, this.#groups.join(" "), ...nspawnArguments(this.#request)], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...nspawnEnvironment(this.#request, isUnified()) },
    });
    for (const stream of [nspawn.stdout, nspawn.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#console = (this.#console + text).slice(-CONSOLE);
      });
    }
    this.#nspawn = nspawn;
    const end = performance.now() + BOOT_SECONDS * 1000;
    while (!this.#isUp(nspawn)) {
      if (nspawn.exitCode !== null || performance.now() > end) {
        throw new Error(`lab: machine ${this.id} does not come up under systemd-nspawn:\n${this.#console}`);
      }
      await sleep(POLL_MS);
    }
    if (this.#request.pods !== undefined) this.#plugIn();
  }

  /** systemd-nspawn makes the cable at each start; the machine sets up its own end (setup-pods.sh). */
  #plugIn(): void {
    const end = `ve-${this.id}`;
    execFileSync("ip", ["address", "add", CABLE_ADDRESS, "dev", end]);
    execFileSync("ip", ["link", "set", end, "up"]);
  }

  /** Shuts it down in order, as before a reboot. @throws Error when it does not end in time */
  async shutDown(): Promise<void> {
    const nspawn = this.#nspawn;
    if (nspawn === undefined) return;
    const ended = once(nspawn, "exit", { signal: AbortSignal.timeout(SHUT_DOWN_SECONDS * 1000) });
    await Promise.all([ended, this.ssh("systemctl poweroff")]);
    await this.powerCut();
  }

  #isUp({ pid }: ChildProcess): boolean {
    const [leader = ""] = read(`/proc/${pid}/task/${pid}/children`).trim().split(" ");
    if (leader === "" || read(`/proc/${leader}/comm`).trim() === "systemd-nspawn") return false;
    this.#leader = Number(leader);
    const tables = read(`/proc/${leader}/net/tcp`) + read(`/proc/${leader}/net/tcp6`);
    return listensOnSsh(tables) && !existsSync(`/proc/${leader}/root/run/nologin`);
  }

  /** Ends every process of it at once. What was written to its disk stays. */
  async powerCut(): Promise<void> {
    const nspawn = this.#nspawn;
    if (nspawn === undefined) return;
    this.#nspawn = undefined;
    const ended = nspawn.exitCode === null ? once(nspawn, "exit") : undefined;
    if (ended !== undefined) {
      if (this.#leader !== 0) process.kill(this.#leader, "SIGKILL");
      else nspawn.kill("SIGKILL");
    }
    await ended;
    this.#leader = 0;
    for (const group of this.#groups) removeGroup(group);
  }

  /** Takes it away with its disk. */
  async stop(): Promise<void> {
    await this.powerCut();
    execFileSync("umount", ["--lazy", this.disk]);
    rmSync(machineFolder(this.id), { recursive: true, force: true });
  }

  /** Runs a command through SSH and waits for it. */
  ssh(command: string, options: MachineCommand = {}): Promise<CommandResult> {
    return this.start(command, options).result;
  }

  /** Runs a command through SSH and does not wait for it. */
  start(command: string, { user = "root", input = "" }: MachineCommand = {}): RunningCommand {
    const client = ["ssh", ...sshArguments(this.id, user), command];
    const child = spawn("nsenter", networkArguments(this.#leader, client), { stdio: ["pipe", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        output[stream] += text;
      });
    }
    // A client that ends early closes the pipe; its exit code tells.
    child.stdin.on("error", () => {}).end(input);
    const result = once(child, "close").then(([code]) => ({ code: typeof code === "number" ? code : 255, ...output }));
    return { result, cut: () => child.kill("SIGKILL") };
  }

  /** Writes a file to its disk, with its folders, owned by root; also while it is off. */
  write(path: string, content: string | Uint8Array, mode = 0o644): void {
    const file = this.disk + path;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    chmodSync(file, mode);
  }

  /** A file of its running system, also below /run and /proc; empty where there is none. */
  read(path: string): string {
    return read(`/proc/${this.#leader}/root${path}`);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
