/**
 * Brings a region's devices the device program of this release, then their artifacts: from the inventory and what is known
 * of the devices to one outcome a device. `push` sends to all, `up` to those that it names first.
 */

import { Readable } from "node:stream";
import { type DeviceProgram, deviceProgram, PROGRAM_PATH, packText } from "../../components/device/program.ts";
import { type Inventory, type Profile, resolveRegion } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { mapBounded } from "../parallel.ts";
import { type RunResult, runProgram } from "../process.ts";
import { requireRegion } from "../require.ts";
import { sshArguments } from "../ssh/arguments.ts";
import { classifyFailure } from "../ssh/classify.ts";
import { clockCommand, controllerSeconds } from "../ssh/clock.ts";
import { withSshConnection } from "../ssh/connection.ts";
import { Progress } from "../terminal.ts";
import { ClockWatch } from "./clock.ts";
import { explain, type PushOutcome, unsent } from "./outcome.ts";
import { runPush, selectTargets } from "./run.ts";

/** How a push of programs and artifacts is bounded. */
export interface RegionPush {
  readonly inventory: Inventory;
  readonly region: string;
  /** Who is served. */
  readonly profiles: readonly Profile[];
  /** Devices that are known to have the program. Default: none, so each is asked. */
  readonly current?: ReadonlySet<string>;
  /** Devices that are known to have their artifacts. Default: none. */
  readonly supplied?: ReadonlySet<string>;
  /** The controller's cache folder. */
  readonly cache: string;
  /** Transfers of artifacts at a time. */
  readonly parallel: number;
  /** Milliseconds of silence that end a transfer. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

/** Programs are small: as many connections at a time as an enrolment opens. */
const PROGRAMS_AT_A_TIME = 64;

/**
 * Devices of a region.
 * @param ids only these; empty: all
 * @throws UsageError when the region or a named device does not exist
 */
export function selectProfiles(inventory: Inventory, region: string, ids: readonly string[]): Profile[] {
  requireRegion(inventory, region);
  const profiles = resolveRegion(inventory, region);
  const unknown = ids.find((id) => !profiles.some((profile) => profile.id === id));
  if (unknown !== undefined) throw new UsageError(`${unknown}: no such device in region ${region} - mend the id`);
  return profiles.filter(({ id }) => ids.length === 0 || ids.includes(id));
}

/** Brings programs, then artifacts. Never rejects for what a device or a download does. One outcome per device served. */
export async function pushRegion(run: RegionPush): Promise<PushOutcome[]> {
  const { inventory, region, profiles, current = new Set(), supplied = new Set(), signal } = run;
  const programs = await sendPrograms(
    region,
    profiles.filter(({ id }) => !current.has(id)),
    signal,
  );
  const stopped = new Set(
    programs.filter(({ state }) => state === "failed" || state === "pending").map(({ id }) => id),
  );
  const wanted = new Set(profiles.map(({ id }) => id).filter((id) => !stopped.has(id) && !supplied.has(id)));
  const targets = selectTargets(inventory, region, []).filter(({ profile }) => wanted.has(profile.id));
  const { cache, parallel, idleMs } = run;
  const bounds = { region, cache, parallel, idleMs, signal, directory: inventory.directory };
  const artifacts = targets.length === 0 ? [] : await runPush({ ...bounds, targets });
  return mergeOutcomes(programs, artifacts);
}

async function sendPrograms(region: string, profiles: readonly Profile[], signal: AbortSignal): Promise<PushOutcome[]> {
  if (profiles.length === 0) return [];
  const progress = new Progress(`program ${region}`, profiles.length);
  const work = async (profile: Profile): Promise<PushOutcome> => {
    const outcome = await sendProgram(profile, { signal });
    progress.advance();
    return outcome;
  };
  const outcomes = await mapBounded(profiles, PROGRAMS_AT_A_TIME, work, signal);
  progress.end();
  const begun = new Set(outcomes.map(({ id }) => id));
  const skipped = profiles.filter(({ id }) => !begun.has(id));
  return [...outcomes, ...skipped.map(({ id }) => unsent(id, "pending", "interrupted", "not tried: interrupted"))];
}

/** How one connection is bounded. */
export interface ProgramOptions {
  readonly signal: AbortSignal;
  /** Milliseconds, all told. Default 60,000. */
  readonly timeoutMs?: number;
}

/** Brings the program to one device where another one, or none, is installed. Never rejects for what the device does. */
export async function sendProgram(
  profile: Profile,
  { signal, timeoutMs = 60_000 }: ProgramOptions,
  program: DeviceProgram = deviceProgram(),
): Promise<PushOutcome> {
  const { id, hostKey: pinned, ssh } = profile;
  if (pinned === undefined)
    return unsent(id, "pending", "not-enrolled", `no pinned host key - run: edge-fleet enroll ${profile.region}`);
  return withSshConnection(profile, pinned, async (connection) => {
    const clock = new ClockWatch();
    const packed = packText(program.text);
    const before = clockCommand(profile.distribution, controllerSeconds());
    const command = installCommand(ssh.user, program.sha256, packed.length, before);
    const result = await runProgram("ssh", sshArguments(connection, command), {
      converse: (line) => {
        if (clock.hear(line)) return clock.refused ? "close" : undefined;
        return line.trim() === PROGRAM_WANTED && !clock.refused ? Readable.from([packed]) : undefined;
      },
      timeoutMs,
      signal,
    });
    return clock.conclude(judgeProgram(id, pinned, result, program));
  });
}

/** The device's line that asks for the packed program. */
const PROGRAM_WANTED = "edge-fleet program";

/**
 * Remote command that installs the program on stdin, whatever the log-in shell is: as root or with full sudo by the
 * program's own `install`, else by the `upgrade` of the program that is there, which may be all that sudo allows.
 * @param user a plain name, checked when the device was enrolled
 * @param size bytes of the packed program, which is then asked for, on a stdin that stays open. Default: it is all of stdin
 * @param before commands that come first, without a `'`, e.g. {@link clockCommand}. Default: none
 */
export function installCommand(user: string, sha256: string, size?: number, before = ":"): string {
  const packed = size === undefined ? "cat" : `head -c ${size}`;
  const name = /^[A-Za-z0-9._-]+$/.test(user) ? user : "root";
  const lines = [
    before,
    `p=\${EDGE_FLEET_ROOT-}${PROGRAM_PATH}; h=$(sha256sum "$p" 2>/dev/null); r=`,
    `if [ "\${h%% *}" = ${sha256} ]; then echo "have ${sha256}"; exit 0; fi`,
    ...(size === undefined ? [] : [`echo "${PROGRAM_WANTED}"`]),
    `if [ "$(id -u)" -ne 0 ]; then r="sudo -n"; sudo -n /bin/sh -c : 2>/dev/null || { ${packed} | sudo -n "$p" upgrade ${sha256}; exit; }; fi`,
    `umask 077; t=$(mktemp) || exit 1; trap "rm -f $t" EXIT; ${packed} | base64 -d | gzip -dc >"$t"`,
    `s=$(sha256sum "$t"); if [ "\${s%% *}" != ${sha256} ]; then echo "edge-fleet: the device program arrived damaged - run again" >&2; exit 1; fi`,
    `$r sh "$t" install ${name}`,
  ];
  return `exec /bin/sh -c '${lines.join("\n")}'`;
}

function judgeProgram(id: string, pinned: string, result: RunResult, { sha256 }: DeviceProgram): PushOutcome {
  const lines = result.stdout.split("\n").map((line) => line.trim());
  const state = lines.includes(`program ${sha256}`)
    ? "pushed"
    : lines.includes(`have ${sha256}`)
      ? "present"
      : "missing";
  if (result.exitCode === 0 && state !== "missing") {
    const message = state === "pushed" ? "device program" : "already there";
    return { id, state, sentBytes: 0, reason: undefined, message, artifacts: [] };
  }
  const failure = classifyFailure(result);
  return unsent(
    id,
    failure.state === "pending" ? "pending" : "failed",
    failure.reason,
    `device program: ${explain(id, pinned, failure)}`,
  );
}

/** One outcome per device: the worse state of both, and what each brought. Bytes are those of artifacts alone. */
export function mergeOutcomes(programs: readonly PushOutcome[], artifacts: readonly PushOutcome[]): PushOutcome[] {
  const merged = new Map(programs.map((outcome) => [outcome.id, outcome]));
  for (const outcome of artifacts) {
    const first = merged.get(outcome.id);
    merged.set(outcome.id, first === undefined ? outcome : merge(first, outcome));
  }
  return [...merged.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function merge(program: PushOutcome, artifacts: PushOutcome): PushOutcome {
  const state = artifacts.state === "present" ? program.state : artifacts.state;
  const brought = [program, artifacts].filter((outcome) => outcome.state === "pushed").map(({ message }) => message);
  const failed = artifacts.state === "failed" || artifacts.state === "pending";
  return {
    ...artifacts,
    state,
    message: failed || brought.length === 0 ? artifacts.message : brought.join(", "),
  };
}
