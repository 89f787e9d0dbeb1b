/**
 * What a region stack says about its devices: from the stack's outputs `devices`, `pending`, `failed` and `removed` to
 * rows, a table and an exit code. Each output is a map by device id, see `RegionOutputs` of the region component.
 */
import { type ExitCode, exitCodeOf } from "../exit.ts";
import { type Cell, type Colour, formatTable, printable } from "../terminal.ts";

/** One device of the stack. */
export interface DeviceRow {
  readonly id: string;
  /**
   * `wiped` and `retained`: it has left the inventory and now the stack, erased or as it was. One whose erasure is
   * outstanding is `pending` while it does not answer, `failed` where the erasure has failed.
   */
  readonly state: "applied" | "pending" | "failed" | "wiped" | "retained";
  /** Why it is not applied, and what to do. Empty where nothing is to be said. */
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
  for (const [id, text] of entriesOf(isRecord(outputs) ? outputs.removed : undefined)) {
    const [state = "", reason = ""] = text.split(/: (.*)/s);
    if (state === "wiped" || state === "retained") rows.set(id, { id, state, reason });
  }
  return [...rows.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/**
 * Whether all that the CLI calls errors is about devices that are pending, e.g. one that reboots.
 * @param errors names of the resources that they are about, see `RunState`
 */
export function onlyPending(errors: ReadonlySet<string>, rows: readonly DeviceRow[]): boolean {
  const pending = new Set(rows.flatMap(({ id, state }) => (state === "pending" ? [`${id}-apply`] : [])));
  return errors.size > 0 && [...errors].every((name) => pending.has(name));
}

/**
 * Tells the cause where a device has failed in the run because it could not be supplied before, e.g. its clock instead of
 * the artifact that it was therefore not sent.
 * @param unsupplied why, by device id
 */
export function withSupplyReasons(rows: readonly DeviceRow[], unsupplied: ReadonlyMap<string, string>): DeviceRow[] {
  return rows.map((row) => (row.state === "failed" ? { ...row, reason: unsupplied.get(row.id) ?? row.reason } : row));
}

/** Exit code of `up`: the CLI's own failure counts as one. */
export function upExitCode(rows: readonly DeviceRow[], cliFailed: boolean): ExitCode {
  const count = (state: DeviceRow["state"]): number => rows.filter((row) => row.state === state).length;
  return exitCodeOf({ failed: count("failed") + (cliFailed ? 1 : 0), pending: count("pending") });
}

const COLOURS: Readonly<Record<DeviceRow["state"], Colour>> = {
  applied: "green",
  pending: "yellow",
  failed: "red",
  wiped: "green",
  retained: "dim",
};

/** Counts, and a table of the devices that are not applied. */
export function formatDevices(stack: string, rows: readonly DeviceRow[], colour: boolean): string {
  const of = (state: DeviceRow["state"]): DeviceRow[] => rows.filter((row) => row.state === state);
  const left = (["wiped", "retained"] as const).filter((state) => of(state).length > 0);
  const counted = [...(["applied", "pending", "failed"] as const), ...left];
  const summary = `${stack}: ${counted.map((state) => `${of(state).length} ${state}`).join(", ")}\n`;
  const shown = [...left, "pending" as const, "failed" as const]
    .flatMap(of)
    .map(({ id, state, reason }): Cell[] => [id, { text: state, colour: COLOURS[state] }, reason]);
  return shown.length === 0 ? summary : formatTable(["DEVICE", "STATE", "REASON"], shown, colour) + summary;
}

function entriesOf(output: unknown): [string, string][] {
  if (!isRecord(output)) return [];
  return Object.entries(output).map(([id, reason]) => [id, typeof reason === "string" ? printable(reason) : ""]);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
