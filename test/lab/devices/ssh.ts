/** SSH access to the devices: the log-in key, the agent that holds it and the configuration of the OpenSSH servers. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateSshKey } from "./keys.ts";

/** Paths and the agent of one lab. */
export interface SshAccess {
  /** Log-in key of root, mode 0600. */
  readonly clientKeyPath: string;
  /** `sshd_config` of all devices. */
  readonly sshdConfig: string;
  /** SSH_AUTH_SOCK. */
  readonly agentSocket: string;
  /** Process id of the agent. */
  readonly agentPid: number;
}

/**
 * Writes the keys and the configuration and starts the agent.
 * @param directory where the files go
 * @param socketDirectory where the agent's socket goes; short, as a socket path holds at most 107 bytes
 * @throws Error when OpenSSH is not installed
 */
export function prepareSshAccess(directory: string, socketDirectory: string): SshAccess {
  const clientKeyPath = join(directory, "client_ed25519");
  const authorizedKeys = join(directory, "authorized_keys");
  const sshdConfig = join(directory, "sshd_config");
  const key = generateSshKey();
  writeFileSync(clientKeyPath, key.privateKey, { mode: 0o600 });
  writeFileSync(`${clientKeyPath}.pub`, `${key.publicKey}\n`);
  writeFileSync(authorizedKeys, `${key.publicKey}\n`, { mode: 0o600 });
  writeFileSync(sshdConfig, serverConfiguration(authorizedKeys));
  // Debian's sshd is built with this directory for its unprivileged part and does not make it.
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  return { clientKeyPath, sshdConfig, ...startAgent(socketDirectory, clientKeyPath) };
}

/** `sshd_config`; the host key and the root directory come with each start of the server. */
export function serverConfiguration(authorizedKeys: string): string {
  const settings = {
    AuthorizedKeysFile: authorizedKeys,
    PermitRootLogin: "prohibit-password",
    PasswordAuthentication: "no",
    KbdInteractiveAuthentication: "no",
    UsePAM: "no",
    UseDNS: "no",
    // The key file may lie below a directory that others can write, such as /tmp.
    StrictModes: "no",
    PrintMotd: "no",
    PrintLastLog: "no",
    MaxSessions: "64",
    Subsystem: "sftp internal-sftp",
  };
  return `${Object.entries(settings)
    .map(([name, value]) => `${name} ${value}`)
    .join("\n")}\n`;
}

function startAgent(socketDirectory: string, clientKeyPath: string): Pick<SshAccess, "agentSocket" | "agentPid"> {
  const agentSocket = join(socketDirectory, "agent.sock");
  const said = execFileSync("ssh-agent", ["-s", "-a", agentSocket], { encoding: "utf8" });
  const agentPid = Number(/SSH_AGENT_PID=(\d+)/.exec(said)?.[1]);
  if (!Number.isInteger(agentPid)) throw new Error(`lab: ssh-agent did not say its process id: ${said.trim()}`);
  const env = { ...process.env, SSH_AUTH_SOCK: agentSocket };
  execFileSync("ssh-add", ["-q", clientKeyPath], { env, stdio: ["ignore", "ignore", "pipe"] });
  return { agentSocket, agentPid };
}
