/**
 * The outputs of a region's stack from its plan and what became of each device. Pure.
 */
import type { DeviceOutcome } from "../device/index.ts";
import type { DeviceSpec } from "../device/plan.ts";
import type { RegionPlan } from "./plan.ts";

/** Outputs of a region's stack; the next run reads `devices`, `programs` and `pushed` back. */
export interface RegionOutputs {
  /** Hash of the desired state that each device last reported as applied, by device id. */
  readonly devices: Readonly<Record<string, string>>;
  /** SHA-256 of the device program that each device last ran, by device id: where it is another one, `push` is due. */
  readonly programs: Readonly<Record<string, string>>;
  /** What each device last had of `edge-fleet push`, by device id: see `DeviceSpec.pushed`. */
  readonly pushed: Readonly<Record<string, string>>;
  /** Why a device could not be applied in this run without anything having failed, by device id. */
  readonly pending: Readonly<Record<string, string>>;
  /** Why the apply of a device failed, by device id. */
  readonly failed: Readonly<Record<string, string>>;
}

/** Stands in `programs` and `pushed` for a device that has said itself that it lacks them. */
const OUTDATED = "outdated";
const LACKS_PROGRAM = /^failed: program: /;
const LACKS_ARTIFACT = /^failed: (artifact-missing|checksum): /;

/** What the previous run left; each map is empty on the first run. */
export type PreviousOutputs = Pick<RegionOutputs, "devices" | "programs" | "pushed">;

/**
 * @param previous a device that failed or is held keeps what it has there
 * @param specs what was sent, by device id
 * @param results outcome by device id, of every device that the plan registers
 */
export function collectOutputs(
  plan: RegionPlan,
  previous: PreviousOutputs,
  specs: Readonly<Record<string, Pick<DeviceSpec, "program" | "pushed">>>,
  results: Readonly<Record<string, DeviceOutcome>>,
): RegionOutputs {
  const held = new Set(plan.hold.map(({ profile }) => profile.id));
  const devices: Record<string, string> = {};
  const programs: Record<string, string> = {};
  const pushed: Record<string, string> = {};
  const failed: Record<string, string> = {};
  for (const [id, outcome] of Object.entries(results)) {
    const reason = "failed" in outcome ? outcome.failed : "";
    const spec = reason === "" && !held.has(id) ? specs[id] : undefined;
    set(devices, id, "applied" in outcome ? outcome.applied.hash : previous.devices[id]);
    set(programs, id, LACKS_PROGRAM.test(reason) ? OUTDATED : (spec?.program ?? previous.programs[id]));
    set(pushed, id, LACKS_ARTIFACT.test(reason) ? OUTDATED : (spec?.pushed ?? previous.pushed[id]));
    if (reason !== "") failed[id] = reason;
  }
  const pending = Object.fromEntries([...plan.hold, ...plan.wait].map(({ profile, reason }) => [profile.id, reason]));
  return {
    devices: sorted(devices),
    programs: sorted(programs),
    pushed: sorted(pushed),
    pending: sorted(pending),
    failed: sorted(failed),
  };
}

function set(record: Record<string, string>, id: string, value: string | undefined): void {
  if (value !== undefined && value !== "") record[id] = value;
}

function sorted(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
