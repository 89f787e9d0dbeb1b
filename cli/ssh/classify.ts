/**
 * Why an SSH connection did not do its work: from the client's exit code and messages (OpenSSH, LC_ALL=C, debug level 1)
 * to one reason with its mend. Unreachable in any way is pending; everything else is refused.
 */
import type { RunResult } from "../process.ts";
import { printable } from "../terminal.ts";

/** Reasons that pass by themselves: try again later. */
export type PendingReason =
  | "unreachable"
  | "unknown-host"
  | "connection-refused"
  | "silent"
  | "closed"
  | "lost"
  | "interrupted";
/** Reasons that a person has to look at. */
export type RefusedReason =
  | "host-key-changed"
  | "jump-host-key"
  | "permission-denied"
  | "no-sudo"
  | "no-shell"
  | "protocol"
  | "client"
  | "device"
  | "unexpected-output";

/** One connection's failure. */
export interface SshFailure {
  readonly state: "pending" | "refused";
  readonly reason: PendingReason | RefusedReason;
  /** What happened and what to do, one line. */
  readonly message: string;
  /** Fingerprint of the host key that the device offered, when ssh came that far. */
  readonly offeredFingerprint: string | undefined;
}

interface Rule {
  readonly pattern: RegExp;
  readonly state: SshFailure["state"];
  readonly reason: SshFailure["reason"];
  readonly message: string;
}

const RULES: readonly Rule[] = [
  rule(
    /(host key|known) [^\n]*for jump\.\S+|for jump\.\S+ has changed/i,
    "refused",
    "jump-host-key",
    "the jump host does not have the pinned key - compare its fingerprint and mend ssh.proxy.hostKey",
  ),
  rule(
    /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed/,
    "refused",
    "host-key-changed",
    "the device answers with another host key than the pinned one",
  ),
  rule(
    /sudo:.*(not found|No such file)|sudo: command not found|exec: sudo:/,
    "refused",
    "no-sudo",
    "the log-in user is not root and there is no sudo - install sudo or set ssh.user to root",
  ),
  rule(
    /sudo: (a password is required|sorry|.*not in the sudoers|.*not allowed|.*no tty|.*a terminal is required)/i,
    "refused",
    "no-sudo",
    "sudo asks for a password - allow password-less sudo for the log-in user or set ssh.user to root",
  ),
  rule(
    /Too many authentication failures/,
    "refused",
    "permission-denied",
    "the SSH server gave up after too many keys - offer only the right one (IdentitiesOnly in ~/.ssh/config)",
  ),
  rule(
    /Permission denied( \(|,)/,
    "refused",
    "permission-denied",
    "log-in refused - put the controller's public key into the device's authorized_keys, or load the key into the agent",
  ),
  rule(
    /no matching (host key type|key exchange method|cipher|MAC)|Unable to negotiate/i,
    "refused",
    "protocol",
    "no common SSH algorithm - give the device an Ed25519, ECDSA or RSA host key and a maintained SSH server",
  ),
  rule(
    /Could not resolve hostname|Name or service not known/,
    "pending",
    "unknown-host",
    "the host name does not resolve - check `host` and DNS",
  ),
  rule(
    /Connection refused/,
    "pending",
    "connection-refused",
    "nothing listens on the port - check that the SSH server runs and ssh.port",
  ),
  rule(
    /timed out during banner exchange/,
    "pending",
    "silent",
    "the port accepts connections but no SSH server answers",
  ),
  rule(
    /Connection timed out|Operation timed out|No route to host|Network is unreachable|Host is down|Host is unreachable/,
    "pending",
    "unreachable",
    "no answer from the host",
  ),
  rule(/not responding\.|Broken pipe|client_loop: send disconnect/, "pending", "lost", "the connection was lost"),
  rule(
    /kex_exchange_identification|Connection (closed|reset)|ssh_dispatch_run_fatal/,
    "pending",
    "closed",
    "the SSH server closed the connection before log-in (overloaded, MaxStartups or a ban)",
  ),
  rule(
    /Bad configuration option|Bad owner or permissions|configuration file|Can't open user config/i,
    "refused",
    "client",
    "the SSH client refuses its configuration",
  ),
];

function rule(pattern: RegExp, state: Rule["state"], reason: Rule["reason"], message: string): Rule {
  return { pattern, state, reason, message };
}

/**
 * Classifies a connection that did not deliver what was asked for.
 * @param result how `ssh` ended
 * @param stderrPrefix prefix of the messages that the remote script itself prints, e.g. `edge-fleet: `
 */
export function classifyFailure(result: RunResult, stderrPrefix = "edge-fleet: "): SshFailure {
  const offeredFingerprint = offeredFingerprintOf(result.stderr);
  const failure = (state: SshFailure["state"], reason: SshFailure["reason"], message: string): SshFailure => ({
    state,
    reason,
    message,
    offeredFingerprint,
  });
  if (result.ended === "aborted")
    return failure("pending", "interrupted", "interrupted before the device had answered");
  const own = result.stderr.split("\n").findLast((line) => line.startsWith(stderrPrefix));
  if (own !== undefined) return failure("refused", "device", printable(own.slice(stderrPrefix.length)));
  const messages = messagesOf(result.stderr);
  if (result.ended === "timeout") return failure("pending", ...stalled(result.stderr));
  if (result.ended === "output")
    return failure("refused", "unexpected-output", "the device wrote without end - check its log-in shell");
  const matched = RULES.find(({ pattern }) => pattern.test(messages));
  if (matched !== undefined) return failure(matched.state, matched.reason, matched.message);
  if (result.exitCode === undefined)
    return failure("refused", "client", `ssh did not run: ${lastLine(messages)} - install the OpenSSH client`);
  if (result.exitCode === 0)
    return failure(
      "refused",
      "unexpected-output",
      "the device answered something else than asked for - check its log-in shell",
    );
  if (result.exitCode === 127 || result.exitCode === 126)
    return failure(
      "refused",
      "no-shell",
      `no POSIX shell: ${lastLine(messages)} - edge-fleet needs Linux with /bin/sh`,
    );
  return failure("refused", "device", `exit code ${result.exitCode}: ${lastLine(messages)}`);
}

/** Fingerprint in `debug1: Server host key: ssh-ed25519 SHA256:…`; the last one is the device's, behind a jump host. */
export function offeredFingerprintOf(stderr: string): string | undefined {
  return [...stderr.matchAll(/^debug1: Server host key: \S+ (SHA256:[A-Za-z0-9+/]+)/gm)].at(-1)?.[1];
}

function stalled(stderr: string): [PendingReason, string] {
  if (!/^debug1: Connection established/m.test(stderr) && !/^debug1: Executing proxy command/m.test(stderr))
    return ["unreachable", "no answer from the host"];
  if (!/^debug1: Remote protocol version/m.test(stderr))
    return ["silent", "the port accepts connections but no SSH server answers"];
  if (!/^Authenticated to |^debug1: Authentication succeeded/m.test(stderr))
    return ["silent", "the SSH server stopped answering before log-in"];
  return ["lost", "the device stopped answering after log-in"];
}

/** stderr without the client's own debug lines. */
function messagesOf(stderr: string): string {
  return stderr
    .split("\n")
    .filter((line) => !/^(debug\d: |Authenticated to |OpenSSH_|Transferred: |Bytes per second: )/.test(line.trimEnd()))
    .join("\n");
}

function lastLine(text: string): string {
  return printable(text.trim().split("\n").at(-1) ?? "") || "no message";
}
