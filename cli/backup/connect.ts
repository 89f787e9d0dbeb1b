/** One SSH connection that asks the device program about copies, or for a restore. */
import { PROGRAM_PATH } from "../../components/device/program.ts";
import type { Profile } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { type RunResult, runProgram } from "../process.ts";
import { sshArguments } from "../ssh/arguments.ts";
import { withSshConnection } from "../ssh/connection.ts";

/** How the connection is bounded and what is sent. */
export interface AskOptions {
  /** Milliseconds, all told. */
  readonly timeoutMs: number;
  /** Sent to the program. Default: nothing. */
  readonly stdin?: Uint8Array;
  /** Ends the connection when it aborts. */
  readonly signal?: AbortSignal;
}

/**
 * Runs the device program over the pinned connection.
 * @param words subcommand and its arguments, plain characters only; no secrets
 * @throws UsageError when the device is not enrolled
 */
export async function askProgram(profile: Profile, words: readonly string[], options: AskOptions): Promise<RunResult> {
  const { id, region, hostKey } = profile;
  if (hostKey === undefined) throw new UsageError(`device ${id} is not enrolled - run edge-fleet enroll ${region}`);
  return withSshConnection(profile, hostKey, (connection) =>
    runProgram("ssh", sshArguments(connection, programCommand(words)), options),
  );
}

/**
 * The remote command, for any log-in shell.
 * @throws Error when a word has a character that some shell would not take as it is
 */
export function programCommand(words: readonly string[]): string {
  for (const word of words) if (!/^[A-Za-z0-9-]+$/.test(word)) throw new Error(`not a plain word: ${word}`);
  const command = `${PROGRAM_PATH} ${words.join(" ")}`;
  return `exec /bin/sh -c 'if [ "$(id -u)" -eq 0 ]; then exec ${command}; fi; exec sudo -n ${command}'`;
}
