/**
 * Asks devices over SSH how they are, and tells of each that did not answer why. Reads only, and is bounded: in
 * connections at a time, in time per device and so in all, and in bytes.
 */
import { notEnrolled, parseDeviceAnswer } from "../../components/device/result.ts";
import type { Profile } from "../../components/inventory/index.ts";
import { withInterrupt } from "../interrupt.ts";
import { mapBounded } from "../parallel.ts";
import { explainAnswer, type SshAnswer, STDIN_AS_ROOT, withSsh } from "../ssh/run.ts";
import { Progress, printable } from "../terminal.ts";
import { MAX_ANSWER_BYTES, parseAnswer, type StatusAnswer } from "./answer.ts";

/** Why there is no answer. */
export interface AskFailure {
  /** Short and stable, e.g. `unreachable`. */
  readonly code: string;
  /** `<what> - <fix>`. */
  readonly reason: string;
}

/** What came of asking one device. */
export interface Asked {
  readonly id: string;
  /** When that was known, in milliseconds since 1970. */
  readonly at: number;
  readonly result: StatusAnswer | AskFailure;
}

/** Connections at a time. */
const PARALLEL = 64;
/** Seconds for one device, the connection and everything. */
const SECONDS = 20;

/** The program gets less than the connection, so that its end is told and nothing of it stays on the device. */
const SCRIPT = `p="\${EDGE_FLEET_ROOT-}/usr/local/sbin/edge-fleet-device"
[ -x "$p" ] || { echo "edge-fleet: program: nothing of edge-fleet is on the device - run edge-fleet up" >&2; exit 1; }
exec timeout -k 1 ${SECONDS - 5} "$p" status </dev/null
`;

/**
 * Asks the devices, all at most {@link PARALLEL} at a time. Progress goes to stderr once it takes over two seconds.
 * @returns what came of each, in their order
 * @throws Error when it is interrupted: half an answer decides nothing
 */
export async function askDevices(profiles: readonly Profile[]): Promise<Asked[]> {
  const bound = Math.ceil(profiles.length / PARALLEL) * SECONDS;
  const progress = new Progress(`devices that were asked, at most ${bound} s`, profiles.length);
  try {
    return await withInterrupt("interrupted: ending the connections", (signal) =>
      withSsh(async (run) => {
        const ask = async (profile: Profile): Promise<Asked> => {
          const command = { script: STDIN_AS_ROOT, stdin: SCRIPT, timeoutMs: SECONDS * 1000, signal };
          const result =
            profile.hostKey === undefined
              ? notEnrolled(profile.region)
              : classify(profile, await run(profile, { ...command, maxOutputBytes: MAX_ANSWER_BYTES }));
          progress.advance();
          return { id: profile.id, at: Date.now(), result };
        };
        const asked = await mapBounded(profiles, PARALLEL, ask, signal);
        if (signal.aborted) throw new Error("interrupted before all devices had answered");
        return asked;
      }),
    );
  } finally {
    progress.end();
  }
}

/** What one connection brought. */
export function classify({ id, region }: Pick<Profile, "id" | "region">, answer: SshAnswer): Asked["result"] {
  const { loggedIn, exitCode, stdout, stderr, ended } = answer;
  const said = loggedIn && ended === undefined ? parseAnswer(stdout) : undefined;
  if (said !== undefined) {
    if (said.device === "" || said.device === id) return said;
    return {
      code: "identity",
      reason: `the device says that it is ${said.device} - compare host of both in the inventory`,
    };
  }
  const own = loggedIn ? parseDeviceAnswer(stdout) : undefined;
  if (own?.result === "failed") {
    const reason = own.reason.startsWith(`${own.code}: `) ? own.reason.slice(own.code.length + 2) : own.reason;
    return { code: printable(own.code, 40) || "device", reason: printable(reason) };
  }
  if (loggedIn && exitCode === 124)
    return { code: "slow", reason: `it did not tell its status in ${SECONDS - 5} s - run edge-fleet logs ${id}` };
  const renew = `run edge-fleet up ${region}, which renews the device program`;
  if (loggedIn && exitCode === 2 && stderr.includes("usage: edge-fleet-device"))
    return { code: "program", reason: `its device program is older than this command - ${renew}` };
  if (loggedIn && exitCode === 0 && ended === undefined)
    return { code: "answer", reason: `what it says is no status - ${renew}` };
  const { code, reason } = explainAnswer(answer);
  return { code, reason: printable(reason) };
}
