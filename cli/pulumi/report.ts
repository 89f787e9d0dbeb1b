/**
 * What a region stack says about its devices: from the stack's outputs `devices`, `pending` and `failed` to rows, a
 * table and an exit code. Each output is a map by device id, see `RegionOutputs` of the region component.
 */
import { type ExitCode, exitCodeOf } from "../exit.ts";
import { type Cell, formatTable, printable } from "../terminal.ts";

/** One device of the stack. */
export interface DeviceRow {
  readonly id: string;
  readonly state: "applied" | "pending" | "failed";
  readonly reason: string;
}

/**
 * Reads the outputs; others are ignored. A device in several maps counts as the worst of them: one that failed or is held
 * keeps its hash in `devices`.
 */
export function deviceRows(outputs: unknown): DeviceRow[] {
  const rows = new Map<string, DeviceRow>();
  const lists = [
    ["devices", "applied"],
    ["pending", "pending"],
    ["failed", "failed"],
  ] as const;
  for (const [output, state] of lists) {
    for (const [id, reason] of entriesOf(isRecord(outputs) ? outputs[output] : undefined))
      rows.set(id, { id, state, reason: state === "applied" ? "" : reason });
  }
  return [...rows.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Exit code of `up`: the CLI's own failure counts as one. */
export function upExitCode(rows: readonly DeviceRow[], cliFailed: boolean): ExitCode {
  const count = (state: DeviceRow["state"]): number => rows.filter((row) => row.state === state).length;
  return exitCodeOf({ failed: count("failed") + (cliFailed ? 1 : 0), pending: count("pending") });
}

/** Counts, and a table of the devices that are not applied. */
export function formatDevices(stack: string, rows: readonly DeviceRow[], colour: boolean): string {
  const of = (state: DeviceRow["state"]): DeviceRow[] => rows.filter((row) => row.state === state);
  const summary = `${stack}: ${of("applied").length} applied, ${of("pending").length} pending, ${of("failed").length} failed\n`;
  const shown = [...of("pending"), ...of("failed")].map(({ id, state, reason }): Cell[] => [
    id,
    { text: state, colour: state === "failed" ? "red" : "yellow" },
    reason,
  ]);
  return shown.length === 0 ? summary : formatTable(["DEVICE", "STATE", "REASON"], shown, colour) + summary;
}

function entriesOf(output: unknown): [string, string][] {
  if (!isRecord(output)) return [];
  return Object.entries(output).map(([id, reason]) => [id, typeof reason === "string" ? printable(reason) : ""]);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
