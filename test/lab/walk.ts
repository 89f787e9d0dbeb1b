/**
 * The place in which a reader of the documents types their commands: a workstation with a key, an empty agent, Git and a
 * backend of Pulumi, two devices of which one has never been switched on, a hub, and the internet's stand-in. The repository
 * that devices are to read is a bare one beside it, which Git takes for its URL.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { startDevices } from "./devices/lab.ts";
import type { DeviceLab } from "./devices/types.ts";
import { PASSPHRASE } from "./fleet.ts";
import { startHub } from "./hub/index.ts";
import { type CommandResult, runCommand } from "./run-command.ts";
import { BINARIES_PATH } from "./standins/images.ts";
import type { Toolchain } from "./toolchain/index.ts";
import { AUTHORITIES, introduce, startUpstream } from "./upstream.ts";

/** The release of K3s that `edge-fleet init` writes and the stand-in of its makers has. */
const K3S = "v1.36.2+k3s1";

/** What is given: the fleet's folder, as `edge-fleet init` has made it, and where to put the rest. */
export interface WalkOptions {
  readonly toolchain: Toolchain;
  readonly fleet: string;
  /** URL of the fleet's Git repository, as `init` was told. */
  readonly gitUrl: string;
  /** Ids of the devices; only the first is switched on. */
  readonly devices: readonly string[];
}

/** The place. */
export interface Walk {
  /** The fleet's folder. */
  readonly fleet: string;
  readonly devices: DeviceLab;
  /** Types a command into a shell in the fleet's folder. @param input what is typed after it */
  type(command: string, input?: string): Promise<CommandResult>;
  /** Types a command, waits until its output shows something, and presses Ctrl-C. */
  interrupt(command: string, shows: RegExp): Promise<CommandResult>;
  stop(): Promise<void>;
}

/** Sets it up, in the lab's namespaces, and this process' environment for it. */
export async function startWalk({ toolchain, fleet, gitUrl, devices: ids }: WalkOptions): Promise<Walk> {
  const directory = "/run/walk";
  const folder = (name: string) => {
    mkdirSync(join(directory, name), { recursive: true });
    return join(directory, name);
  };
  const upstream = await startUpstream(folder("upstream"), K3S);
  const authority = join(directory, "authority.pem");
  writeFileSync(authority, upstream.authority);
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  const devices = await startDevices({
    directory: folder("devices"),
    devices: ids.map((id) => ({ id, architecture, linked: true })),
    mode: Object.fromEntries(ids.slice(1).map((id) => [id, "refusing"])),
    files: [{ path: AUTHORITIES, content: readFileSync(AUTHORITIES) }],
    binds: { [BINARIES_PATH]: dirname(k3sApi(toolchain)) },
  });
  for (const { root } of devices.devices) introduce(upstream, root);
  const hub = await startHub({ toolchain, directory: folder("hub") });
  const repository = join(directory, "fleet.git");
  execFileSync("git", ["init", "--quiet", "--bare", "-b", "main", repository]);
  giveKey(devices, folder("home"));
  const env = {
    ...toolchain.env,
    ...gitEnvironment(gitUrl, repository),
    PATH: [join(fleet, "node_modules/.bin"), kubectl(toolchain, folder("bin")), toolchain.env.PATH].join(":"),
    NODE_EXTRA_CA_CERTS: authority,
    SSH_AUTH_SOCK: devices.agentSocket,
    KUBECONFIG: hub.kubeconfigPath,
    XDG_CACHE_HOME: folder("cache"),
    PULUMI_HOME: folder("pulumi"),
    PULUMI_BACKEND_URL: `file://${folder("state")}`,
    PULUMI_CONFIG_PASSPHRASE: PASSPHRASE,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    // What a person answers to pulumi's question.
    PULUMI_SKIP_CONFIRMATIONS: "true",
  };
  Object.assign(process.env, env);
  return {
    fleet,
    devices,
    type: (command, input = "") => runCommand("bash", ["-ec", command], { cwd: fleet, env, input }),
    interrupt: (command, shows) => interrupt(command, shows, fleet),
    stop: async () => {
      await Promise.all([devices.stop(), hub.stop(), upstream.stop()]);
    },
  };
}

/** Puts the key that devices accept where OpenSSH looks for one, in a home of the namespaces' own, and empties the agent. */
function giveKey({ clientKeyPath, agentSocket }: DeviceLab, layers: string): void {
  const [upper, work, home] = [join(layers, "upper"), join(layers, "work"), homedir()];
  mkdirSync(join(upper, ".ssh"), { recursive: true, mode: 0o700 });
  mkdirSync(work);
  execFileSync("mount", [
    ...["--no-mtab", "-t", "overlay", "-o", `lowerdir=${home},upperdir=${upper},workdir=${work}`, "overlay", home],
  ]);
  copyFileSync(clientKeyPath, join(home, ".ssh/id_ed25519"));
  execFileSync("ssh-add", ["-q", "-D"], { env: { ...process.env, SSH_AUTH_SOCK: agentSocket }, stdio: "ignore" });
}

function gitEnvironment(url: string, repository: string): Record<string, string> {
  return {
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: `url.file://${repository}.insteadOf`,
    GIT_CONFIG_VALUE_0: url,
    GIT_AUTHOR_NAME: "A Reader",
    GIT_AUTHOR_EMAIL: "reader@example.com",
    GIT_COMMITTER_NAME: "A Reader",
    GIT_COMMITTER_EMAIL: "reader@example.com",
    GIT_EDITOR: "echo 'Change the tree' >",
  };
}

/** The real kubectl, which the stand-in for K3s has in it. @returns a folder for PATH */
function kubectl(toolchain: Toolchain, folder: string): string {
  writeFileSync(join(folder, "kubectl"), `#!/bin/sh\nexec ${k3sApi(toolchain)} ${K3S} kubectl "$@"\n`, { mode: 0o755 });
  return folder;
}

function k3sApi({ parts }: Toolchain): string {
  const part = parts.find(({ name }) => name === "k3s-apiserver");
  if (part === undefined) throw new Error("the toolchain has no part k3s-apiserver - pass it to enterLab");
  return part.path;
}

async function interrupt(command: string, shows: RegExp, cwd: string): Promise<CommandResult> {
  const started = performance.now();
  const child = spawn("bash", ["-ec", command], { cwd, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  let pressed = false;
  for (const stream of ["stdout", "stderr"] as const)
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      output[stream] += text;
      if (pressed || !shows.test(output.stdout + output.stderr) || child.pid === undefined) return;
      pressed = true;
      process.kill(-child.pid, "SIGINT");
    });
  const [code] = (await once(child, "close")) as [number | null];
  return { code: code ?? 130, ...output, milliseconds: performance.now() - started };
}
