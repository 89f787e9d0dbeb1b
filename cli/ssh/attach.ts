/** One SSH connection that is used as long as a person likes: a shell, a log that grows, a tunnel. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { explainSshEnd, type SshFailure } from "../../components/device/failure.ts";
import { plainLines } from "../device/lines.ts";
import { EXIT, type ExitCode, UsageError } from "../exit.ts";
import { type AttachOptions, attachProgram } from "../process.ts";
import { printable } from "../terminal.ts";
import type { SshDevice, SshFiles } from "./files.ts";

/** What a connection is for. */
export interface SshSession extends Pick<AttachOptions, "stdin" | "stdout" | "session" | "signal"> {
  readonly device: SshDevice;
  /** Arguments of `ssh` before the host's name. */
  readonly options: readonly string[];
  /** For the device's log-in shell. Undefined: that shell itself. */
  readonly command: string | undefined;
}

/** How it ended. */
export interface SshSessionEnd {
  /** Of what ran on the device. Undefined: a signal ended the client. */
  readonly exitCode: number | undefined;
  /** Why the connection did not come about or was lost; undefined where it ended by itself or was ended here. */
  readonly failure: SshFailure | undefined;
  /** Somebody pressed Ctrl-C here, or asked this process to end. */
  readonly interrupted: boolean;
}

/** Exit code of the client for its own failures. */
const CLIENT_FAILED = 255;

/** Bytes of stderr that are kept to explain the end. */
const KEPT = 16 * 1024;

/**
 * Opens the connection and stays with it. What the client and the device write to stderr is shown.
 * @throws UsageError where there is no `ssh`
 */
export async function attachSsh(files: SshFiles, session: SshSession): Promise<SshSessionEnd> {
  const { device, options, command, ...attach } = session;
  const begun = join(files.folder, `begun-${device.id}`);
  const args = [
    ...["-F", files.configOf(device), "-oPermitLocalCommand=yes"],
    `-oLocalCommand=touch '${begun.replaceAll("%", "%%")}'`,
    ...options,
    ...["--", device.id, ...(command === undefined ? [] : [command])],
  ];
  let said = "";
  const stderr = (chunk: Buffer): void => {
    process.stderr.write(attach.stdin === "inherit" ? chunk : plainLines(chunk.toString("utf8")));
    said = (said + chunk.toString("utf8")).slice(-KEPT);
  };
  const ended = await attachProgram("ssh", args, { ...attach, stderr }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") throw new UsageError("ssh is not on PATH - install the OpenSSH client");
    throw error;
  });
  if (ended.exitCode !== CLIENT_FAILED || ended.interrupted) return { ...ended, failure: undefined };
  const failure = explainSshEnd({ status: CLIENT_FAILED, text: said, loggedIn: existsSync(begun) });
  return { ...ended, failure: { ...failure, reason: printable(failure.reason) } };
}

/** Says why a connection failed. @returns the exit code for it */
export function reportFailure(device: string, { state, code, reason }: SshFailure): ExitCode {
  process.stderr.write(`${device}: ${state}: ${code}: ${reason}\n`);
  return state === "pending" ? EXIT.pending : EXIT.failed;
}
