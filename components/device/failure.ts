/**
 * Why an SSH connection did not do what it was for: a state, a code and words for people, by how OpenSSH's client ended
 * and what it said. The one place that knows its messages (openssh-portable: sshconnect.c, clientloop.c, packet.c).
 */

/** What to do about it: `pending` passes by itself, `failed` needs a person. */
export type FailureState = "pending" | "failed";

/** One connection's failure. */
export interface SshFailure {
  readonly state: FailureState;
  /** Short and stable, e.g. `host-key`. */
  readonly code: string;
  /** What happened and what to do: `<what> - <fix>`. */
  readonly reason: string;
}

/** How far a connection came when it ended. */
export interface SshEnd {
  /** Exit code of the client: its own failures are 255, others are those of the remote command. Undefined: a signal. */
  readonly status: number | undefined;
  /** What the client and the remote command wrote to stderr. */
  readonly text: string;
  /** The remote command had begun. */
  readonly loggedIn: boolean;
  /** It was ended for taking too long. */
  readonly overdue?: boolean;
}

type Rule = readonly [pattern: RegExp, state: FailureState, code: string, reason: string];

/** The first match wins. */
const RULES: readonly Rule[] = [
  [
    /(host key|known) [^\n]*for jump[-.]\S+|for jump[-.]\S+ has changed/i,
    "failed",
    "jump-host-key",
    "the jump host does not have the pinned key - compare its fingerprint and correct ssh.proxy.hostKey",
  ],
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed/,
    "failed",
    "host-key",
    "the device answers with another host key than the pinned one - find out why, then run edge-fleet enroll with --accept-new-key",
  ],
  [
    /sudo:.*(not found|No such file)|exec: sudo:/,
    "failed",
    "sudo",
    "the log-in user is not root and there is no sudo - install sudo or set ssh.user to root",
  ],
  [
    /sudo(-rs)?: (.*password is required|.*password.*required|.*\bsorry\b|.*not in the sudoers|.*not allowed|.*no tty|.*a terminal is required|.*interactive authentication)/i,
    "failed",
    "sudo",
    "sudo asks for a password or refuses the log-in user - allow password-less sudo for the log-in user or set ssh.user to root",
  ],
  [
    /Too many authentication failures/,
    "failed",
    "log-in",
    "the SSH server gave up after too many keys - offer only the right one (IdentitiesOnly in ~/.ssh/config)",
  ],
  [
    /Permission denied( \(|,)/,
    "failed",
    "log-in",
    "the device refuses the log-in - load the fleet's key into the SSH agent, or put its public half into the device's authorized_keys",
  ],
  [
    /no matching (host key type|key exchange method|cipher|MAC)|Unable to negotiate/i,
    "failed",
    "protocol",
    "no common SSH algorithm - give the device an Ed25519, ECDSA or RSA host key and a maintained SSH server",
  ],
  [
    /Could not resolve hostname|Name or service not known/,
    "pending",
    "unknown-host",
    "the host name does not resolve - check host and DNS",
  ],
  [
    /Connection refused/,
    "pending",
    "refused",
    "nothing listens on the port - check that the SSH server runs, and ssh.port",
  ],
  [
    /timed out during banner exchange/,
    "pending",
    "silent",
    "the port accepts connections but no SSH server answers, or, behind a jump host, nobody does - restart the device",
  ],
  [
    /Connection timed out|Operation timed out|No route to host|Network is unreachable|Host is down|Host is unreachable/,
    "pending",
    "unreachable",
    "no answer from the host",
  ],
  [/not responding\.|Broken pipe|client_loop: send disconnect/, "pending", "lost", "the connection was lost"],
  [
    /kex_exchange_identification|Connection (closed|reset)|ssh_dispatch_run_fatal|banner exchange/,
    "pending",
    "closed",
    "the SSH server closed the connection before log-in (overloaded, MaxStartups or a ban)",
  ],
  [
    /Bad configuration option|Bad owner or permissions|configuration file|Can't open user config/i,
    "failed",
    "client",
    "the SSH client refuses its configuration - correct ~/.ssh/config",
  ],
];

/** Prefix of what our own commands say on a device's stderr: `edge-fleet: <code>: <what> - <fix>`. */
const OWN = /edge-fleet: (?:([a-z-]+): )?([^\n]+)/g;

/** Explains the end of a connection that did not deliver what was asked for. */
export function explainSshEnd({ status, text, loggedIn, overdue = false }: SshEnd): SshFailure {
  const own = [...text.matchAll(OWN)].at(-1);
  if (own !== undefined) return { state: "failed", code: own[1] ?? "device", reason: own[2]?.trim() ?? "" };
  // At LogLevel ERROR the client says nothing of a key exchange that timed out.
  if (!loggedIn && (overdue || (status === 255 && text.trim() === "")))
    return {
      state: "pending",
      code: "silent",
      reason: "the SSH server stopped answering before log-in - restart the device",
    };
  const rule = RULES.find(([pattern]) => pattern.test(text));
  const lost = loggedIn && (status === undefined || status === 255 || overdue);
  if (lost && (rule === undefined || rule[1] === "pending"))
    return {
      state: "pending",
      code: "lost",
      reason:
        "the connection was lost after log-in: what had begun goes on on the device, and the next run picks up its result",
    };
  if (rule !== undefined) return { state: rule[1], code: rule[2], reason: rule[3] };
  const last = text.trim().split("\n").at(-1)?.trim() || "no message";
  if (status === 127 || status === 126)
    return { state: "failed", code: "shell", reason: `no POSIX shell: ${last} - edge-fleet needs Linux with /bin/sh` };
  if (status === 0)
    return {
      state: "failed",
      code: "shell",
      reason: "the device answered something else than was asked for - check its log-in shell",
    };
  const what = status === 255 ? last : `exit code ${status ?? "none"}: ${last}`;
  return { state: "failed", code: "device", reason: `${what} - read /var/log/edge-fleet/apply.log on the device` };
}
