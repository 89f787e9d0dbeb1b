/**
 * The argument vector of one bounded, non-interactive OpenSSH connection: from a device's address and the pinned keys to
 * the options of `ssh`. The user's own configuration stays in force for everything that is not set here (agents,
 * identities, jump hosts of ~/.ssh/config).
 */
import type { Profile } from "../../components/inventory/index.ts";
import { hostKeyAlgorithms } from "./keys.ts";

/** How one connection is made. */
export interface SshConnection {
  /** Address, user and jump host. */
  readonly profile: Pick<Profile, "id" | "host" | "ssh">;
  /** known_hosts file that is read, and with `accept-new` written. Names in it are device ids. */
  readonly knownHosts: string;
  /** `yes`: only the key in the file. `accept-new`: trust on first use. */
  readonly hostKeyChecking: "yes" | "accept-new";
  /** The pinned key, so that its type is asked for first. */
  readonly pinned: string | undefined;
  /** Seconds for TCP connect and for the server's banner. Default 5. */
  readonly connectTimeoutSeconds?: number;
}

/** Name under which a device's jump host stands in the known_hosts file. */
export function jumpAlias(deviceId: string): string {
  return `jump.${deviceId}`;
}

/**
 * Arguments of `ssh` that run one command on the device with the controller's stdin and stdout.
 * @param remoteCommand run by the log-in shell of the device; no secrets
 */
export function sshArguments(connection: SshConnection, remoteCommand: string): string[] {
  const { profile } = connection;
  const { user, port, proxy } = profile.ssh;
  return [
    ...sshOptions(connection, connection.hostKeyChecking, profile.id),
    `-oHostKeyAlgorithms=${hostKeyAlgorithms(connection.pinned)}`,
    // Prints the offered key's fingerprint whatever the verdict, and how far the connection came.
    "-oLogLevel=DEBUG1",
    ...(proxy === undefined ? [] : [`-oProxyCommand=${proxyCommand(connection)}`]),
    "-T",
    "-p",
    String(port),
    "-l",
    user,
    "--",
    profile.host,
    remoteCommand,
  ];
}

function sshOptions(connection: SshConnection, checking: "yes" | "accept-new", alias: string): string[] {
  return [
    `-oUserKnownHostsFile="${connection.knownHosts}"`,
    "-oGlobalKnownHostsFile=/dev/null",
    `-oStrictHostKeyChecking=${checking}`,
    `-oHostKeyAlias=${alias}`,
    "-oHashKnownHosts=no",
    "-oUpdateHostKeys=no",
    "-oVerifyHostKeyDNS=no",
    "-oBatchMode=yes",
    `-oConnectTimeout=${connection.connectTimeoutSeconds ?? 5}`,
    "-oConnectionAttempts=1",
    "-oServerAliveInterval=5",
    "-oServerAliveCountMax=3",
    "-oControlMaster=no",
    "-oControlPath=none",
    "-oForwardAgent=no",
    "-oForwardX11=no",
    "-oClearAllForwardings=yes",
    "-oPermitLocalCommand=no",
  ];
}

/** `ssh -W` through the pinned jump host. ssh gives the value to a shell and expands `%`, so both are quoted. */
function proxyCommand(connection: SshConnection): string {
  const { id, host, ssh } = connection.profile;
  const { proxy } = ssh;
  if (proxy === undefined) return "none";
  const target = host.includes(":") ? `[${host}]:${ssh.port}` : `${host}:${ssh.port}`;
  // ClearAllForwardings also clears -W, so it is left out here.
  const options = sshOptions(connection, "yes", jumpAlias(id)).filter((option) => !option.includes("ClearAll"));
  const words = ["ssh", ...options, "-p", String(proxy.port), "-l", proxy.user, "-W", target, "--", proxy.host];
  return words.map((word) => quoteWord(word).replaceAll("%", "%%")).join(" ");
}

/** One word of a POSIX shell command. */
export function quoteWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Remote command that reads a POSIX script from stdin, as root, whatever the log-in shell is. */
export const RUN_SCRIPT_AS_ROOT = `exec /bin/sh -c 'if [ "$(id -u)" -eq 0 ]; then exec /bin/sh -s; fi; exec sudo -n /bin/sh -s'`;
