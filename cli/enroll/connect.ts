/**
 * One SSH connection per candidate: gives each its own known_hosts file, runs the enrol script, reads back the host key
 * that the connection really used, and has the result judged.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../process.ts";
import { jumpAlias, RUN_SCRIPT_AS_ROOT, type SshConnection, sshArguments } from "../ssh/arguments.ts";
import { firstKnownKey, knownHostsText } from "../ssh/keys.ts";
import { type Candidate, type EnrolledOutcome, type FailedOutcome, judgeConnection } from "./outcome.ts";
import { enrollScript } from "./script.ts";

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
  const directory = mkdtempSync(join(tmpdir(), "edge-fleet-enroll-"));
  try {
    chmodSync(directory, 0o700);
    const connection = connectionOf(candidate, directory);
    const result = await runProgram("ssh", sshArguments(connection, RUN_SCRIPT_AS_ROOT), {
      stdin: enrollScript(candidate.profile.ssh.user),
      timeoutMs: options.timeoutMs,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return judgeConnection(candidate, result, usedHostKey(connection), new Date().toISOString());
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Strict against the pinned key where there is one; trust on first use where there is none or it may be replaced. */
function connectionOf({ record, profile, acceptNewKey }: Candidate, directory: string): SshConnection {
  const pinned = acceptNewKey ? undefined : record.entry.hostKey;
  const knownHosts = join(directory, "known_hosts");
  const keys = new Map<string, string>();
  if (pinned !== undefined) keys.set(profile.id, pinned);
  if (profile.ssh.proxy !== undefined) keys.set(jumpAlias(profile.id), profile.ssh.proxy.hostKey);
  writeFileSync(knownHosts, knownHostsText(keys), { mode: 0o600 });
  return { profile, knownHosts, hostKeyChecking: pinned === undefined ? "accept-new" : "yes", pinned };
}

function usedHostKey({ knownHosts, profile }: SshConnection): string | undefined {
  const lines = readFileSync(knownHosts, "utf8").split("\n");
  return firstKnownKey(lines.filter((line) => !line.startsWith(`${jumpAlias(profile.id)} `)).join("\n"));
}
