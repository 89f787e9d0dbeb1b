/**
 * One SSH connection per candidate: runs `enroll.sh` as root, reads back the host key that the connection really used, and
 * has the result judged.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "../process.ts";
import { jumpAlias, RUN_SCRIPT_AS_ROOT, type SshConnection, sshArguments } from "../ssh/arguments.ts";
import { controllerSeconds } from "../ssh/clock.ts";
import { withSshConnection } from "../ssh/connection.ts";
import { firstKnownKey } from "../ssh/keys.ts";
import { type Candidate, type EnrolledOutcome, type FailedOutcome, judgeConnection } from "./outcome.ts";

/** The script that a device runs, from standard input. */
export const ENROLL_SCRIPT: string = readFileSync(join(import.meta.dirname, "enroll.sh"), "utf8");

/** How connections are bounded. */
export interface ConnectOptions {
  /** Milliseconds for one device, all told. Default 30,000: a key on a slow board takes a few seconds. */
  readonly timeoutMs: number;
  /** Ends connections when it aborts. */
  readonly signal?: AbortSignal;
}

/** Connects to one device. Never rejects for what the device does. */
export async function enrollDevice(
  candidate: Candidate,
  options: ConnectOptions,
): Promise<EnrolledOutcome | FailedOutcome> {
  const { profile, record, acceptNewKey } = candidate;
  return withSshConnection(profile, acceptNewKey ? undefined : record.entry.hostKey, async (connection) => {
    const before = controllerSeconds();
    const result = await runProgram("ssh", sshArguments(connection, RUN_SCRIPT_AS_ROOT), {
      stdin: ENROLL_SCRIPT,
      timeoutMs: options.timeoutMs,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return judgeConnection(candidate, result, usedHostKey(connection), { before, after: controllerSeconds() });
  });
}

function usedHostKey({ knownHosts, profile }: SshConnection): string | undefined {
  const lines = readFileSync(knownHosts, "utf8").split("\n");
  return firstKnownKey(lines.filter((line) => !line.startsWith(`${jumpAlias(profile.id)} `)).join("\n"));
}
