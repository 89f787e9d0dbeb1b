/**
 * What the state of a stack tells of its devices: how each was last dialled and what came of it. The engine's state is the
 * only memory of a fleet. Pure.
 */
import type { StackResource } from "../engine.ts";
import { type DeviceOutcome, parseDialResult } from "./result.ts";

/** A device as the last run left it. */
export interface DialledDevice {
  readonly id: string;
  readonly urn: string;
  /** The plan that it was dialled with. */
  readonly text: string;
  /** Environment of its dial, secrets included. */
  readonly environment: Readonly<Record<string, string>>;
  /** What came of it; undefined where the dial was cut short. */
  readonly outcome: DeviceOutcome | undefined;
}

/** Names of the variables that a dial is told its device, its attempt and its secret files in, see dial.sh. */
export const DIAL_ENVIRONMENT = {
  device: "EDGE_FLEET_DEVICE",
  attempt: "EDGE_FLEET_ATTEMPT",
  secrets: "EDGE_FLEET_SECRETS",
} as const;

/**
 * Finds the devices in a state.
 * @param resources see `readStackResources`
 * @returns by id
 */
export function dialledDevices(resources: readonly StackResource[]): Map<string, DialledDevice> {
  return new Map(
    resources.flatMap(({ urn, type, outputs }) => {
      const environment = (outputs.environment ?? {}) as Readonly<Record<string, string>>;
      const id = environment[DIAL_ENVIRONMENT.device];
      if (type !== "command:local:Command" || id === undefined) return [];
      const outcome = parseDialResult(textOf(outputs.stdout))?.outcome;
      return [[id, { id, urn, text: textOf(outputs.stdin), environment, outcome }] as const];
    }),
  );
}

/**
 * The attempt that a dial is: a device that is not as its plan says gets the next number, which is what makes the engine
 * dial it again; one that is keeps its number, and nothing happens.
 * @param previous undefined for a device that no run has dialled
 */
export function nextAttempt(previous: DialledDevice | undefined): string {
  if (previous === undefined) return "1";
  const attempt = previous.environment[DIAL_ENVIRONMENT.attempt] ?? "0";
  const { state } = previous.outcome ?? {};
  return state === "applied" || state === "removed" ? attempt : String(Number(attempt) + 1);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
