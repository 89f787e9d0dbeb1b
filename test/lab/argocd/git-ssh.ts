/**
 * The lab's Git server over SSH: OpenSSH's own server, one process a connection, that lets a deploy key run `git-shell` and
 * nothing else (https://git-scm.com/docs/git-shell). From a folder of bare repositories to `ssh://root@<address>:<port>/...`.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateSshKey } from "../devices/keys.ts";
import { serverConfiguration } from "../devices/ssh.ts";
import type { GitLogin, GitServer, GitServerOptions } from "./git-server.ts";
import { Meter } from "./git-traffic.ts";

/** The owner of the repositories may be another user than the one who runs the tests as root. */
const ENVIRONMENT = "SetEnv GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*\n";

/**
 * Starts the server.
 * @param directory holds `<name>.git` folders
 */
export async function startSshGitServer(directory: string, options: GitServerOptions): Promise<GitServer> {
  const address = options.address ?? "127.0.0.1";
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-git-ssh-"));
  const [hostKey, keys, config] = ["host_key", "authorized_keys", "sshd_config"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const host = generateSshKey();
  writeFileSync(hostKey, host.privateKey, { mode: 0o600 });
  writeFileSync(config, serverConfiguration(keys) + ENVIRONMENT);
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const setLogin = ({ publicKey }: GitLogin) =>
    writeFileSync(
      keys,
      publicKey === undefined ? "" : `restrict,command="git-shell -c \\"$SSH_ORIGINAL_COMMAND\\"" ${publicKey}\n`,
    );
  setLogin(options.login ?? {});
  const meter = new Meter();
  const open = new Set<Socket>();
  const listen = async (port: number): Promise<Server> => {
    const server = createServer((socket) => {
      meter.requests++;
      meter.count(socket);
      open.add(socket);
      const sshd = spawn("/usr/sbin/sshd", ["-i", "-e", "-f", config, "-h", hostKey], {
        stdio: ["pipe", "pipe", "ignore"],
      });
      socket
        .on("error", () => socket.destroy())
        .once("close", () => {
          open.delete(socket);
          sshd.kill();
        });
      sshd.stdin.on("error", () => {});
      socket.pipe(sshd.stdin);
      sshd.stdout.pipe(socket);
    });
    server.listen(port, address);
    await once(server, "listening");
    return server;
  };
  let server = await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    url: `ssh://root@${address}:${port}${directory}`,
    knownHost: `[${address}]:${port} ${host.publicKey}`,
    setLogin,
    traffic: () => meter.traffic(),
    resetTraffic: () => meter.reset(),
    stop: async () => {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
    start: async () => {
      if (!server.listening) server = await listen(port);
    },
  };
}
