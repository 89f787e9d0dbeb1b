/**
 * One SSH connection per device: strict against the pinned host key; a device that has none yet is asked without pinning
 * what it answers with, since nothing secret is sent.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../process.ts";
import { jumpAlias, sshArguments } from "../ssh/arguments.ts";
import { knownHostsText } from "../ssh/keys.ts";
import { type DoctorOutcome, judgeExamination } from "./outcome.ts";
import { type Examination, examinationScript } from "./script.ts";

/** How connections are bounded. */
export interface ConnectOptions {
  /** Milliseconds for one device, all told. Default 30,000. */
  readonly timeoutMs: number;
  /** Ends connections when it aborts. */
  readonly signal?: AbortSignal;
}

/** Examines one device. Never rejects for what the device does. */
export async function examineDevice(examination: Examination, options: ConnectOptions): Promise<DoctorOutcome> {
  const { profile } = examination;
  const { id, hostKey: pinned } = profile;
  const directory = mkdtempSync(join(tmpdir(), "edge-fleet-doctor-"));
  try {
    const knownHosts = join(directory, "known_hosts");
    const keys = new Map<string, string>();
    if (pinned !== undefined) keys.set(id, pinned);
    if (profile.ssh.proxy !== undefined) keys.set(jumpAlias(id), profile.ssh.proxy.hostKey);
    writeFileSync(knownHosts, knownHostsText(keys), { mode: 0o600 });
    const hostKeyChecking = pinned === undefined ? "accept-new" : "yes";
    const { command, stdin } = examinationScript(examination, Math.round(Date.now() / 1000));
    const args = sshArguments({ profile, knownHosts, hostKeyChecking, pinned }, command);
    const { timeoutMs, signal } = options;
    const result = await runProgram("ssh", args, { stdin, timeoutMs, ...(signal === undefined ? {} : { signal }) });
    return judgeExamination(id, pinned, result);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
