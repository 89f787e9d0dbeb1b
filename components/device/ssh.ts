/**
 * OpenSSH client configuration of a device, with its pinned key, as the text that the dial, the commands and a person's
 * own `ssh` use. Everything that a run depends on stands here; what is left comes from the user's own configuration
 * (agents, certificates, FIDO keys). https://man.openbsd.org/ssh_config: the first value of an option holds.
 */
import { createHash } from "node:crypto";
import type { Profile } from "../inventory/types.ts";

/** Where an SSH server is, and its key. */
export interface SshEndpoint {
  /** Name or address. */
  readonly host: string;
  /** TCP port. */
  readonly port: number;
  /** Log-in user: root, or one that may use sudo without a password. */
  readonly user: string;
  /** `<type> <base64>`; undefined: not pinned, so no connection comes about. */
  readonly hostKey: string | undefined;
}

/** A device as its connection sees it. */
export interface SshTarget extends SshEndpoint {
  /** The device's id, which is the host's name in the configuration. */
  readonly id: string;
  /** Jump host. Undefined: none of ours; the user's own configuration may have one. */
  readonly jump: SshEndpoint | undefined;
}

/** Where a device of the inventory is. */
export function targetOf({ id, host, hostKey, ssh }: Pick<Profile, "id" | "host" | "hostKey" | "ssh">): SshTarget {
  return { id, host, port: ssh.port, user: ssh.user, hostKey, jump: ssh.proxy };
}

/** Folders, absolute, that configurations name. */
export interface SshFolders {
  /** The stack's folder, see folder.ts. */
  readonly stack: string;
  /** Sockets of shared connections: short, since a socket's path has at most 104 bytes. */
  readonly sockets: string;
}

/**
 * Seconds for the TCP connection, the server's banner and the key exchange. A busy workstation needs longer than 10 for the
 * latter two (23 of 170 good devices did at a load average of 36 on two cores), so the dial asks once more with more patience
 * where a TCP connection came about (dial.sh). Behind a jump host the wait for its shared connection counts too.
 */
const CONNECT_SECONDS = { direct: 10, jumped: 25 };

/** Seconds between two signs of life, and how many may be missed: a device that goes silent is noticed after 30. */
const ALIVE = { seconds: 10, missed: 3 };

/** `ssh -F` file of one device. */
export function hostConfig(target: SshTarget, folders: SshFolders): string {
  const { id, jump } = target;
  return `${block(id, target, folders, jump === undefined ? CONNECT_SECONDS.direct : CONNECT_SECONDS.jumped, [
    "ControlMaster no",
    "ControlPath none",
    ...(jump === undefined
      ? []
      : [`ProxyCommand sh ${quoted(`${folders.stack}/jump.sh`)} ${jumpName(jump)} %h %p ${quoted(folders.sockets)}`]),
  ])}Match all\n  Include ~/.ssh/config\n`;
}

/** `ssh -F` file of a jump host, whose one connection all its devices share. It ends a minute after the last of them. */
export function jumpConfig(jump: SshEndpoint, folders: SshFolders): string {
  return `${block(jumpName(jump), jump, folders, CONNECT_SECONDS.direct, [
    "ControlMaster auto",
    `ControlPath ${quoted(`${folders.sockets}/${jumpName(jump)}`)}`,
    "ControlPersist 60",
  ])}Match all\n  Include ~/.ssh/config\n`;
}

/** Name of a jump host: the same for all devices behind it. */
export function jumpName({ host, port, user, hostKey }: SshEndpoint): string {
  const digest = createHash("sha256").update(`${user}@${host}:${port} ${hostKey}`).digest("hex");
  return `jump-${digest.slice(0, 12)}`;
}

/** Signature algorithms by key type; ssh-rsa keys sign with SHA-2 only (RFC 8332). */
const ALGORITHMS: readonly (readonly [string, readonly string[]])[] = [
  ["ssh-ed25519", ["ssh-ed25519"]],
  ["ecdsa-sha2-nistp256", ["ecdsa-sha2-nistp256"]],
  ["ecdsa-sha2-nistp384", ["ecdsa-sha2-nistp384"]],
  ["ecdsa-sha2-nistp521", ["ecdsa-sha2-nistp521"]],
  ["ssh-rsa", ["rsa-sha2-512", "rsa-sha2-256"]],
];

/**
 * Value of `HostKeyAlgorithms`: Ed25519 first; for a pinned key its own type first, so that a device with several host
 * keys answers with the pinned one.
 */
export function hostKeyAlgorithms(pinned: string | undefined): string {
  const type = pinned?.split(" ")[0];
  const first = ALGORITHMS.filter(([name]) => name === type);
  const others = ALGORITHMS.filter(([name]) => name !== type);
  return [...first, ...others].flatMap(([, algorithms]) => algorithms).join(",");
}

/** Line of a known_hosts file. */
export function knownHostsLine(name: string, { hostKey }: Pick<SshEndpoint, "hostKey">): string {
  return hostKey === undefined ? "" : `${name} ${hostKey}\n`;
}

function block(
  name: string,
  { host, port, user, hostKey }: SshEndpoint,
  { stack }: SshFolders,
  connectSeconds: number,
  more: readonly string[],
): string {
  const options = [
    `HostName ${host}`,
    `Port ${port}`,
    `User ${user}`,
    `HostKeyAlias ${name}`,
    `UserKnownHostsFile ${quoted(`${stack}/known_hosts/${name}`)}`,
    "GlobalKnownHostsFile /dev/null",
    "StrictHostKeyChecking yes",
    `HostKeyAlgorithms ${hostKeyAlgorithms(hostKey)}`,
    "HashKnownHosts no",
    "UpdateHostKeys no",
    "VerifyHostKeyDNS no",
    "CheckHostIP no",
    "BatchMode yes",
    `ConnectTimeout ${connectSeconds}`,
    "ConnectionAttempts 1",
    `ServerAliveInterval ${ALIVE.seconds}`,
    `ServerAliveCountMax ${ALIVE.missed}`,
    "ForwardAgent no",
    "ForwardX11 no",
    "PermitLocalCommand no",
    "LogLevel ERROR",
    ...more,
  ];
  return `Host ${name}\n${options.map((option) => `  ${option}\n`).join("")}`;
}

/** A path of ssh_config, where a double quote groups and `%` begins a token. */
function quoted(path: string): string {
  return `"${path.replaceAll("%", "%%")}"`;
}
