/**
 * The lab's Git server over SSH: OpenSSH's own server, one process a connection, that lets a deploy key run `git-shell`
 * and nothing else (https://git-scm.com/docs/git-shell). It serves a folder of bare repositories as
 * `ssh://root@<address>:<port>/...`.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateSshKey } from "../devices/keys.ts";
import { serverConfiguration } from "../devices/ssh.ts";
import type { GitLogin, GitServer, GitServerOptions } from "./git-server.ts";
import { Meter } from "./git-traffic.ts";
import { listenOn } from "./listener.ts";

/** The owner of the repositories may be another user than the one who runs the tests as root. */
const ENVIRONMENT = "SetEnv GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*\n";

/** What the server of one connection is started with. */
interface SshFiles {
  readonly hostKey: string;
  readonly keys: string;
  readonly config: string;
}

/**
 * Starts the server.
 * @param directory holds `<name>.git` folders
 */
export async function startSshGitServer(directory: string, options: GitServerOptions): Promise<GitServer> {
  const address = options.address ?? "127.0.0.1";
  let host = generateSshKey();
  const files = writeFiles(host.privateKey);
  const setLogin = ({ publicKey }: GitLogin) => {
    const command = 'restrict,command="git-shell -c \\"$SSH_ORIGINAL_COMMAND\\""';
    writeFileSync(files.keys, publicKey === undefined ? "" : `${command} ${publicKey}\n`);
  };
  setLogin(options.login ?? {});
  const meter = new Meter();
  const open = new Set<Socket>();
  const connect = (socket: Socket) => {
    meter.requests++;
    meter.count(socket);
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    serve(socket, files);
  };
  const { port, stop, start } = await listenOn(
    address,
    () => createServer(connect),
    () => {
      for (const socket of open) socket.destroy();
    },
  );
  return {
    url: `ssh://root@${address}:${port}${directory}`,
    get knownHost() {
      return `[${address}]:${port} ${host.publicKey}`;
    },
    newHostKey: () => {
      host = generateSshKey();
      writeFileSync(files.hostKey, host.privateKey);
    },
    setLogin,
    traffic: () => meter.traffic(),
    resetTraffic: () => meter.reset(),
    stop,
    start,
  };
}

function writeFiles(privateKey: string): SshFiles {
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-git-ssh-"));
  const path = (name: string) => join(folder, name);
  const files = { hostKey: path("host_key"), keys: path("authorized_keys"), config: path("sshd_config") };
  writeFileSync(files.hostKey, privateKey, { mode: 0o600 });
  writeFileSync(files.config, serverConfiguration(files.keys) + ENVIRONMENT);
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  return files;
}

function serve(socket: Socket, { config, hostKey }: SshFiles): void {
  const sshd = spawn("/usr/sbin/sshd", ["-i", "-e", "-f", config, "-h", hostKey], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  socket.on("error", () => socket.destroy()).once("close", () => sshd.kill());
  sshd.stdin.on("error", () => {});
  socket.pipe(sshd.stdin);
  sshd.stdout.pipe(socket);
}
