/**
 * A real OpenSSH server on 127.0.0.1 for one test: its own host key, a client key in an agent of its own, and the
 * device's paths moved into a temporary folder. Runs as the present user.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";

const SSHD = "/usr/sbin/sshd";

/** Why the tests with a real server cannot run here; `false` when they can. */
export const SKIP: string | false =
  spawnSync(SSHD, ["-V"]).error !== undefined || userInfo().uid !== 0 ? "needs OpenSSH's sshd and root" : false;

/** A running server. */
export interface SshServer {
  readonly port: number;
  /** `<type> <base64>` */
  readonly hostKey: string;
  /** Stands for /var/lib/edge-fleet. */
  readonly state: string;
  /** Makes a new host key and starts again on the same port. */
  rekey(): Promise<void>;
}

/** Environment for the command under test. */
export interface SshClient {
  readonly environment: Readonly<Record<string, string>>;
  readonly publicKey: string;
}

/** A client key in an ssh-agent that ends with the test. */
export async function startAgent(context: TestContext, directory: string): Promise<SshClient> {
  const key = join(directory, "client");
  run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
  const socket = join(directory, "agent.sock");
  const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  context.after(() => stop(agent));
  const environment = { SSH_AUTH_SOCK: socket };
  for (let attempt = 0; ; attempt++) {
    const added = spawnSync("ssh-add", ["-q", key], { env: { ...process.env, ...environment } });
    if (added.status === 0) return { environment, publicKey: readFileSync(`${key}.pub`, "utf8") };
    if (attempt > 100) throw new Error(`ssh-agent does not start: ${added.stderr}`);
    await delay(50);
  }
}

/**
 * Starts a server whose only log-in is the client's key.
 * @param options lines of sshd_config beside those. Default: none
 */
export async function startSshd(
  context: TestContext,
  directory: string,
  client: SshClient,
  options: readonly string[] = [],
): Promise<SshServer> {
  const port = await freePort();
  const home = join(directory, `sshd-${port}`);
  const state = join(home, "state");
  mkdirSync(home, { mode: 0o700 });
  mkdirSync("/run/sshd", { recursive: true });
  writeFileSync(join(home, "authorized_keys"), client.publicKey, { mode: 0o600 });
  writeFileSync(join(home, "machine-id"), `machine of port ${port}\n`);
  writeFileSync(join(home, "config"), [...options, configText(home, port, state)].join("\n"));
  let server: ChildProcess | undefined;
  const start = async (): Promise<string> => {
    rmSync(join(home, "host_key"), { force: true });
    run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(home, "host_key")]);
    server = spawn(SSHD, ["-D", "-e", "-f", join(home, "config")], { stdio: "ignore" });
    await answering(port);
    return readFileSync(join(home, "host_key.pub"), "utf8").split(" ").slice(0, 2).join(" ").trim();
  };
  context.after(() => stop(server));
  let hostKey = await start();
  return {
    port,
    get hostKey() {
      return hostKey;
    },
    state,
    rekey: async () => {
      await stop(server);
      hostKey = await start();
    },
  };
}

function configText(home: string, port: number, state: string): string {
  return [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${join(home, "host_key")}`,
    `AuthorizedKeysFile ${join(home, "authorized_keys")}`,
    "StrictModes no",
    "UsePAM no",
    "PidFile none",
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "AllowTcpForwarding yes",
    `SetEnv EDGE_FLEET_STATE=${state} EDGE_FLEET_ROOT=${join(home, "root")} EDGE_FLEET_MACHINE_ID=${join(home, "machine-id")}`,
    "",
  ].join("\n");
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => (address !== null && typeof address === "object" ? resolve(address.port) : reject(address)));
    });
  });
}

async function answering(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(true)).on("error", () => resolve(false));
      socket.on("connect", () => socket.end());
    });
    if (open) return;
    await delay(50);
  }
  throw new Error(`sshd does not answer on port ${port}`);
}

function stop(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.on("exit", () => resolve());
    child.kill("SIGTERM");
  });
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
}
