/**
 * Why an apply failed, in one line for people, from the error text of the command provider. That text repeats the whole
 * command and all output (pulumi-command, commandOutputs.go), so it is never shown as it is.
 */
import { ApplyResultPattern } from "../plan/payload.ts";

/** Provider texts by what they mean. The first match wins. */
const CAUSES: readonly [RegExp, string][] = [
  [
    /host key mismatch|knownhosts|key mismatch/i,
    "the host key is not the pinned one - check the device, then run edge-fleet enroll with --accept-new-key",
  ],
  [
    /unable to authenticate|no supported methods remain/i,
    "the device refuses the log-in - load the fleet's key into the SSH agent",
  ],
  [
    /sudo: (a password is required|a terminal is required|.* is not allowed)/i,
    "sudo refuses the device program without a password - run edge-fleet enroll with --device and an ssh.user that may use sudo",
  ],
  [/connection refused/i, "refuses the connection: no SSH server listens"],
  [/i\/o timeout|deadline exceeded|timed? ?out/i, "no answer"],
  [/no route to host|network is unreachable/i, "no route to the host"],
  [
    /exited with status 124/i,
    "the apply ran longer than its limit and was ended - see /var/log/edge-fleet/apply.log on the device",
  ],
  [
    /EOF|connection reset|broken pipe|exited without exit status/i,
    "the connection was lost during the apply; it goes on on the device, and the next up picks up its result",
  ],
];

/**
 * @param text the provider's error, any length
 * @returns the reason that the device gave, else the known cause, else the first line
 */
export function describeFailure(text: string): string {
  const reported = ApplyResultPattern.exec(text);
  if (reported !== null) {
    try {
      const { result, reason } = JSON.parse(reported[0]) as { result: string; reason: string };
      return `${result}: ${reason}`;
    } catch {
      return "the device reported a result that cannot be read - see /var/log/edge-fleet/apply.log on the device";
    }
  }
  const known = CAUSES.find(([pattern]) => pattern.test(text));
  return known?.[1] ?? (text.split("\n", 1)[0] ?? "").slice(0, 200);
}
