/** One SSH connection that brings artifacts onto one device, resuming where an earlier one broke off. */
import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import type { Profile } from "../../components/inventory/index.ts";
import { runProgram } from "../process.ts";
import { sshArguments } from "../ssh/arguments.ts";
import { clockCommand, controllerSeconds } from "../ssh/clock.ts";
import { withSshConnection } from "../ssh/connection.ts";
import { ClockWatch } from "./clock.ts";
import { judgePush, type PushItem, type PushOutcome, parseRequest, unsent } from "./outcome.ts";
import { burstOf, paced } from "./pace.ts";

const RECEIVE = join(import.meta.dirname, "..", "..", "components", "device", "program", "receive.sh");

/** The device's line that asks for {@link receiveScript}. */
const SCRIPT_WANTED = "edge-fleet script";

/** A checked file on the controller that a device is to have. */
export interface SendItem extends PushItem {
  readonly path: string;
  /** Where the device has it installed as it is; absent where it does not stay whole. */
  readonly installPath?: string | undefined;
}

/** How a transfer is bounded. */
export interface SendOptions {
  /** Milliseconds without a byte in either direction. Default 120,000: hashing on the device sends nothing. */
  readonly idleMs: number;
  /** Ends the transfers. Default: none. */
  readonly signal?: AbortSignal;
}

/** Sends them, first to last. Never rejects for what the device does. */
export async function sendArtifacts(
  profile: Profile,
  items: readonly SendItem[],
  options: SendOptions,
): Promise<PushOutcome> {
  const { id, hostKey: pinned } = profile;
  if (pinned === undefined)
    return unsent(id, "pending", "not-enrolled", `no pinned host key - run: edge-fleet enroll ${profile.region}`);
  return withSshConnection(profile, pinned, async (connection) => {
    const clock = new ClockWatch();
    const command = receiveCommand(items, clockCommand(profile.distribution, controllerSeconds()));
    const result = await runProgram("ssh", sshArguments(connection, command), {
      converse: (line) => {
        if (clock.hear(line)) return clock.refused ? "close" : undefined;
        if (clock.refused) return undefined;
        return line.trim() === SCRIPT_WANTED
          ? Readable.from([receiveScript(items)])
          : bodyFor(line, items, profile.artifacts.maxKiBPerSecond);
      },
      idleMs: options.idleMs,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    return clock.conclude(judgePush(id, pinned, result, items));
  });
}

type Offer = Omit<PushItem, "name"> & Pick<SendItem, "installPath">;

/**
 * Remote command of a transfer, whatever the log-in shell is. Root asks for the script. Another user uses the device
 * program, which may be all that sudo allows; where the program does not know how to receive, it is the script again.
 * @param before commands that come first, without a `'`, e.g. {@link clockCommand}. Default: none
 */
export function receiveCommand(items: readonly Offer[], before = ":"): string {
  const script = `echo "${SCRIPT_WANTED}"; exec`;
  const words = offerWords(items).join(" ");
  return `exec /bin/sh -c '${before}; if [ "$(id -u)" -eq 0 ]; then ${script} /bin/sh -s; fi; if grep -qs "^ *receive)" ${PROGRAM_PATH}; then exec sudo -n ${PROGRAM_PATH} receive ${words}; fi; ${script} sudo -n /bin/sh -s'`;
}

/**
 * The device's half of the transfer as a script for `sh -s`. Ends the shell itself: it reads the script from the stdin
 * that also carries the bytes, and would wait for more of it.
 */
export function receiveScript(items: readonly Offer[]): string {
  const head = `set -eu\nSTORE=\${EDGE_FLEET_STATE:-/var/lib/edge-fleet}/artifacts\n`;
  const run = `main() {\n  receive_artifacts ${offerWords(items).join(" ")}\n  exit 0\n}\nmain\n`;
  return head + readFileSync(RECEIVE, "utf8") + run;
}

/** `<sha256>:<size>:<installed path>`, words that no shell changes. */
function offerWords(items: readonly Offer[]): string[] {
  const plain = (path = ""): string => (/^(\/[A-Za-z0-9._-]+)+$/.test(path) ? path : "");
  return items.map(({ sha256, size, installPath }) => `${sha256}:${size}:${plain(installPath)}`);
}

/**
 * What is sent for a line of the device. A request for something else than was offered ends the transfer.
 * @param maxKiBPerSecond undefined: no bound
 */
export function bodyFor(
  line: string,
  items: readonly SendItem[],
  maxKiBPerSecond: number | undefined,
): Readable | "close" | undefined {
  const request = parseRequest(line);
  if (request === undefined) return undefined;
  const item = items.find(({ sha256 }) => sha256 === request.sha256);
  if (item === undefined || request.offset > item.size) return "close";
  if (request.offset === item.size) return undefined;
  if (maxKiBPerSecond === undefined) return createReadStream(item.path, { start: request.offset });
  const rate = maxKiBPerSecond * 1024;
  const highWaterMark = Math.min(64 * 1024, burstOf(rate));
  return Readable.from(paced(createReadStream(item.path, { start: request.offset, highWaterMark }), rate), {
    objectMode: false,
    highWaterMark,
  });
}
