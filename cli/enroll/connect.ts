/**
 * One SSH connection per candidate: runs `enroll.sh` as root, and has the result and the host key that the connection
 * really used judged.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { workstationSeconds } from "../ssh/clock.ts";
import { type RunOnDevice, STDIN_AS_ROOT } from "../ssh/run.ts";
import { type Candidate, classifyConnection, type EnrolledOutcome, type FailedOutcome } from "./outcome.ts";

/** The script that a device runs, from standard input. */
export const ENROLL_SCRIPT: string = readFileSync(join(import.meta.dirname, "enroll.sh"), "utf8");

/** How connections are bounded. */
export interface ConnectOptions {
  /** Milliseconds for one device, all told. Default 30,000: a key on a slow board takes a few seconds. */
  readonly timeoutMs: number;
  /** Ends connections when it aborts. */
  readonly signal: AbortSignal;
}

/** Connects to one device. Never rejects for what the device does. */
export async function enrollDevice(
  run: RunOnDevice,
  candidate: Candidate,
  options: ConnectOptions,
): Promise<EnrolledOutcome | FailedOutcome> {
  const { profile, record, acceptNewKey } = candidate;
  const device = { ...profile, hostKey: acceptNewKey ? undefined : record.entry.hostKey };
  const before = workstationSeconds();
  const answer = await run(device, { script: STDIN_AS_ROOT, stdin: ENROLL_SCRIPT, ...options });
  return classifyConnection(candidate, answer, { before, after: workstationSeconds() });
}
