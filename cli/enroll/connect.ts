/**
 * One SSH connection per candidate: runs the enrol script as root, and has the result and the host key that the connection
 * really used judged.
 */
import { controllerSeconds } from "../ssh/clock.ts";
import { type RunOnDevice, STDIN_AS_ROOT } from "../ssh/run.ts";
import { type Candidate, type EnrolledOutcome, type FailedOutcome, judgeConnection } from "./outcome.ts";
import { enrollScript } from "./script.ts";

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
  const before = controllerSeconds();
  const stdin = enrollScript(profile.ssh.user);
  const answer = await run(device, { script: STDIN_AS_ROOT, stdin, ...options });
  return judgeConnection(candidate, answer, { before, after: controllerSeconds() });
}
