/**
 * Commands on devices, over the same OpenSSH configuration and with the same words for its failures as the dial of a run.
 * All connections of one command share a folder and, behind a jump host, that host's one connection.
 */
import { existsSync, readFileSync } from "node:fs";
import { explainSshEnd, type SshFailure } from "../../components/device/failure.ts";
import { type RunResult, runProgram } from "../process.ts";
import { printable } from "../terminal.ts";
import { type SshDevice, type SshFiles, withSshFiles } from "./files.ts";
import { fingerprintOf, firstKnownKey } from "./keys.ts";

/** What is run on a device. */
export interface RemoteCommand {
  /** POSIX sh without a `'`, whatever the log-in shell is; no secrets, it is seen by every user of the device. */
  readonly script: string;
  /** Sent to the script. Default: nothing. */
  readonly stdin?: string | Uint8Array;
  /** Milliseconds, all told. */
  readonly timeoutMs: number;
  /** Ends the connection when it aborts. */
  readonly signal?: AbortSignal;
  /** Bytes that are taken of what it writes. Default: those of a program. */
  readonly maxOutputBytes?: number;
}

/** How a connection ended. */
export interface SshAnswer extends Pick<RunResult, "exitCode" | "stderr" | "ended"> {
  /** Of the script alone: what the files of a log-in shell print before is left out. */
  readonly stdout: string;
  /** The script had begun. */
  readonly loggedIn: boolean;
  /** The host key that the connection used, `<type> <base64>`: the pinned one, or the one that was trusted on first use. */
  readonly hostKey: string | undefined;
}

/** Runs a command on a device. Without a pinned key, the one that the device offers is trusted. Never rejects. */
export type RunOnDevice = (device: SshDevice, command: RemoteCommand) => Promise<SshAnswer>;

/** Script that runs what comes on stdin as root. */
export const STDIN_AS_ROOT = 'if [ "$(id -u)" -eq 0 ]; then exec /bin/sh -s; fi; exec sudo -n /bin/sh -s';

/** The line that says that the script begins. */
export const BEGIN = "edge-fleet begins";

/** Gives a way to run commands on devices, for as long as its use. Nothing of it is left behind. */
export async function withSsh<T>(use: (run: RunOnDevice) => Promise<T>): Promise<T> {
  return withSshFiles((files) => use((device, command) => runOnDevice(files, device, command)));
}

/** A connection that did not bring what was asked for, and why. */
export interface AnswerFailure extends SshFailure {
  /** Fingerprint of the host key that was offered instead of the pinned one. */
  readonly offered?: string;
}

/** Explains a connection that did not bring what was asked for. */
export function explainAnswer({ exitCode, stderr, loggedIn, ended, hostKey }: SshAnswer): AnswerFailure {
  if (ended === "aborted")
    return { state: "pending", code: "interrupted", reason: "interrupted before the device had answered" };
  if (ended === "output")
    return { state: "failed", code: "shell", reason: "the device wrote without end - check its log-in shell" };
  if (ended === undefined && exitCode === undefined && /^spawn .*ENOENT/m.test(stderr))
    return { state: "failed", code: "client", reason: "ssh is not on PATH - install the OpenSSH client" };
  const failure = explainSshEnd({ status: exitCode, text: stderr, loggedIn, overdue: ended === "timeout" });
  const offered = failure.code === "host-key" ? offeredFingerprint(stderr) : undefined;
  if (offered === undefined || hostKey === undefined) return { ...failure, reason: printable(failure.reason) };
  return { ...failure, reason: `${failure.reason} (pinned ${fingerprintOf(hostKey)}, offered ${offered})`, offered };
}

/** Of `warn_changed_key` in OpenSSH's sshconnect.c. */
function offeredFingerprint(stderr: string): string | undefined {
  return /key sent by the remote host is\s+(SHA256:[A-Za-z0-9+/]+)/.exec(stderr)?.[1];
}

/** The command line's word for a script; any log-in shell takes it. @throws Error when the script has a `'` */
export function remoteCommand(script: string): string {
  if (script.includes("'")) throw new Error("a script for a device has a single quote");
  return `exec /bin/sh -c 'echo "${BEGIN}"; ${script}'`;
}

/** Runs a command on a device over files that the caller holds open, see {@link RunOnDevice}. */
export async function runOnDevice(files: SshFiles, device: SshDevice, command: RemoteCommand): Promise<SshAnswer> {
  const { script, timeoutMs, stdin, signal, maxOutputBytes } = command;
  const args = [
    ...["-F", files.configOf(device), "-T", "-oClearAllForwardings=yes"],
    ...(device.hostKey === undefined ? ["-oStrictHostKeyChecking=accept-new"] : []),
    ...connectTimeout(timeoutMs),
    ...["--", device.id, remoteCommand(script)],
  ];
  const result = await runProgram("ssh", args, {
    timeoutMs,
    ...(stdin === undefined ? {} : { stdin }),
    ...(signal === undefined ? {} : { signal }),
    ...(maxOutputBytes === undefined ? {} : { maxOutputBytes }),
  });
  const { exitCode, stderr, ended } = result;
  const [, stdout] = result.stdout.split(new RegExp(`^${BEGIN}\r?\n([^]*)`, "m"));
  const known = files.knownHostsOf(device);
  const used = existsSync(known) ? firstKnownKey(readFileSync(known, "utf8")) : undefined;
  return { exitCode, stderr, ended, stdout: stdout ?? "", loggedIn: stdout !== undefined, hostKey: used };
}

/** Where a command has less time than a connection may take, so that it ends with the client's own reason. */
function connectTimeout(timeoutMs: number): string[] {
  const seconds = Math.floor(timeoutMs / 1000) - 2;
  return seconds >= 10 ? [] : [`-oConnectTimeout=${Math.max(1, seconds)}`];
}
