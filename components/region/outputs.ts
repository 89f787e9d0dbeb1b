/**
 * The outputs of a region's stack: a report for people and for `edge-fleet status`, which no run reads back. At most one
 * line for a device that is well. Pure.
 */
import type { DeviceOutcome } from "../device/result.ts";

/** Why a device is not as its plan says. */
export interface DeviceReason {
  /** Short and stable, e.g. `unreachable`. */
  readonly code: string;
  /** `<what> - <fix>` */
  readonly reason: string;
}

/** Outputs of a region's stack, each map by device id, in id order. */
export interface RegionOutputs {
  /** How many devices are in which state. */
  readonly devices: Readonly<Record<DeviceOutcome["state"], number>>;
  /** Devices that are as their plan says, and the release of the distribution that they run. */
  readonly applied: Readonly<Record<string, string>>;
  /** Devices that are as their plan says, and whose pull engine did not run yet when they were dialled: what it waits for. */
  readonly waiting: Readonly<Record<string, string>>;
  /** Devices that are as their plan says while their region is moved to another argocd-agent: the release that they run. */
  readonly agents: Readonly<Record<string, string>>;
  /** Devices that the next run tries again; nothing is known to be wrong with them. */
  readonly pending: Readonly<Record<string, DeviceReason>>;
  /** Devices that a person has to look at. */
  readonly failed: Readonly<Record<string, DeviceReason>>;
  /** Devices that have left the fleet: `wiped` or `retained`. */
  readonly removed: Readonly<Record<string, string>>;
}

/** Collects the outputs. @param agents release of the agent that each device is to run, see `movingRelease`. Default: none */
export function regionOutputs(
  outcomes: ReadonlyMap<string, DeviceOutcome>,
  agents: ReadonlyMap<string, string | undefined> = new Map(),
): RegionOutputs {
  const all = [...outcomes].sort(([a], [b]) => (a < b ? -1 : 1));
  const those = <T>(state: DeviceOutcome["state"], value: (outcome: DeviceOutcome) => T): Record<string, T> =>
    Object.fromEntries(all.flatMap(([id, outcome]) => (outcome.state === state ? [[id, value(outcome)]] : [])));
  const why = ({ code, reason }: DeviceOutcome): DeviceReason => ({ code, reason });
  const maps = {
    applied: those("applied", ({ release }) => release),
    waiting: Object.fromEntries(
      all.flatMap(([id, { engine = "" }]) => (WAITING.test(engine) ? [[id, engine.replace(WAITING, "")]] : [])),
    ),
    agents: Object.fromEntries(
      all.flatMap(([id, { state }]) => {
        const release = agents.get(id);
        return state === "applied" && release !== undefined ? [[id, release]] : [];
      }),
    ),
    pending: those("pending", why),
    failed: those("failed", why),
    removed: those("removed", ({ code }) => code),
  };
  const count = (map: object): number => Object.keys(map).length;
  const { applied, pending, failed, removed } = maps;
  const devices = { applied: count(applied), pending: count(pending), failed: count(failed), removed: count(removed) };
  return { devices, ...maps };
}

/** How an engine's state begins that is not ready. */
const WAITING = /^waiting: /;

/** Most devices that one line names. */
const NAMED = 8;

/** Devices that share a code and a reason on one line each: `4 pending (unreachable): a, b, c, d: no answer from the host`. */
export function describeReasons(state: string, reasons: Readonly<Record<string, DeviceReason>>): string[] {
  const groups = Map.groupBy(Object.entries(reasons), ([, { code, reason }]) => `${code}\n${reason}`);
  return [...groups].map(([key, devices]) => {
    const [code, reason] = key.split("\n");
    const ids = devices.map(([id]) => id);
    const more = ids.length > NAMED ? ` and ${ids.length - NAMED} more` : "";
    return `${ids.length} ${state} (${code}): ${ids.slice(0, NAMED).join(", ")}${more}: ${reason}`;
  });
}
