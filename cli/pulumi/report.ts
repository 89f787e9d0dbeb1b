/**
 * What a region's stack says about its devices: rows, a table and an exit code. The outputs are `RegionOutputs` of the
 * region component; they come from a process, so they are checked like any foreign input. Pure.
 */
import { type Cell, type Colour, formatTable, printable } from "../terminal.ts";

/** States of a device, the worst last. */
const STATES = ["applied", "removed", "pending", "failed"] as const;

/** One device of the stack. */
export interface DeviceRow {
  readonly id: string;
  /** `removed`: it has left the fleet. */
  readonly state: (typeof STATES)[number];
  /** Short and stable, e.g. `unreachable`; `wiped` or `retained` where it was removed; empty where it is applied. */
  readonly code: string;
  /** `<what> - <fix>`; empty where nothing is to be said. */
  readonly reason: string;
  /** Release that an applied device runs; empty for the others. */
  readonly release: string;
}

/** Reads the outputs, in id order; what is none of them is ignored. */
export function deviceRows(outputs: unknown): DeviceRow[] {
  const rows = STATES.flatMap((state) =>
    Object.entries(recordOf(recordOf(outputs)[state])).map(([id, value]): DeviceRow => {
      const { code, reason } = recordOf(value);
      const word = textOf(value);
      return {
        ...{ id: printable(id), state, reason: textOf(reason) },
        code: state === "removed" ? word : textOf(code),
        release: state === "applied" ? word : "",
      };
    }),
  );
  return rows.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Release of argocd-agent by device, of devices that are applied while their region is moved to another one. */
export function agentReleases(outputs: unknown): Map<string, string> {
  const agents = Object.entries(recordOf(recordOf(outputs).agents));
  return new Map(agents.map(([id, release]) => [printable(id), textOf(release)]));
}

/** Numbers of devices by state. */
export type DeviceCounts = Readonly<Record<DeviceRow["state"], number>>;

/** Counts the rows. */
export function countDevices(rows: readonly DeviceRow[]): DeviceCounts {
  const counts = { applied: 0, removed: 0, pending: 0, failed: 0 };
  for (const { state } of rows) counts[state] += 1;
  return counts;
}

const COLOURS: Readonly<Record<DeviceRow["state"], Colour>> = {
  applied: "green",
  removed: "dim",
  pending: "yellow",
  failed: "red",
};

/** A table of the devices that are not applied, the worst last, and the counts. */
export function formatDevices(stack: string, rows: readonly DeviceRow[], colour: boolean): string {
  const { applied, pending, failed, removed } = countDevices(rows);
  const left = removed === 0 ? "" : `, ${removed} removed`;
  const summary = `${stack}: ${applied} applied, ${pending} pending, ${failed} failed${left}\n`;
  const shown = STATES.filter((state) => state !== "applied")
    .flatMap((state) => rows.filter((row) => row.state === state))
    .map(({ id, state, code, reason }): Cell[] => [id, { text: state, colour: COLOURS[state] }, code, reason]);
  return shown.length === 0 ? summary : formatTable(["DEVICE", "STATE", "CODE", "REASON"], shown, colour) + summary;
}

/**
 * What to do after a run.
 * @param stacks regions that ran, each with its devices
 * @param succeeded whether pulumi succeeded with every stack
 */
export function nextStep(stacks: ReadonlyMap<string, readonly DeviceRow[]>, succeeded: boolean): string {
  const first = (state: DeviceRow["state"]): [stack: string, row: DeviceRow] | undefined => {
    for (const [stack, rows] of stacks) {
      const row = rows.find((candidate) => candidate.state === state);
      if (row !== undefined) return [stack, row];
    }
    return undefined;
  };
  const [failed, pending] = [first("failed"), first("pending")];
  if (failed !== undefined) return `Next: edge-fleet logs ${failed[1].id}, fix it, and edge-fleet up ${failed[0]}`;
  if (!succeeded) return "Next: fix what pulumi says above, and run again";
  return pending === undefined
    ? "Next: edge-fleet status"
    : `Next: edge-fleet up ${pending[0]}, when the pending devices can be reached`;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? printable(value) : "";
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
