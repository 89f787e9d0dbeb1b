/** A report of devices as a table for a terminal of any width: columns give way, reasons go onto lines of their own. Pure. */
import { formatDuration } from "../rollout/rules.ts";
import { type Cell, type Colour, formatTable } from "../terminal.ts";
import { formatAgents } from "./agents.ts";
import { countWords, isFailed, isPending, lastContact, type StatusRow, type WordCount } from "./model.ts";
import type { StackReading } from "./stacks.ts";

/** How a table is written. */
export interface Layout {
  /** Columns of the terminal. Undefined: as many as are needed. */
  readonly width: number | undefined;
  readonly colour: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

interface Column {
  readonly name: string;
  /** The column with the lowest number gives way first; undefined: it never does. */
  readonly rank?: number;
  readonly cell: (row: StatusRow, now: number) => Cell;
}

const STATES: Readonly<Record<StatusRow["state"], Colour>> = {
  ...{ applied: "green", removed: "dim", new: "yellow", unknown: "yellow", pending: "yellow", failed: "red" },
};

const HEALTH: Readonly<Record<NonNullable<StatusRow["health"]>, Colour>> = {
  ...{ healthy: "green", failed: "red", lost: "red", behind: "yellow", unknown: "yellow" },
};

const COLUMNS: readonly Column[] = [
  { name: "DEVICE", cell: ({ id }) => id },
  { name: "REGION", rank: 2, cell: ({ region }) => region },
  { name: "MODEL", rank: 0, cell: ({ model }) => model },
  { name: "STATE", cell: ({ state }) => ({ text: state, colour: STATES[state] }) },
  { name: "RELEASE", rank: 1, cell: ({ release }) => release },
  { name: "RING", rank: 3, cell: ({ ring }) => ring },
  { name: "COMMIT", rank: 4, cell: ({ status }) => status?.revision?.slice(0, 8) ?? "" },
  { name: "HEALTH", cell: ({ health }) => (health === undefined ? "" : { text: health, colour: HEALTH[health] }) },
  { name: "SINCE", rank: 4, cell: ({ status }, now) => span(status?.since, now) },
  { name: "CONTACT", rank: 5, cell: ({ status }, now) => ago(lastContact(status), now) },
];

const GAP = "  ";

/** The table and the summary. */
export function formatStatus(
  rows: readonly StatusRow[],
  stacks: ReadonlyMap<string, StackReading>,
  layout: Layout,
): string {
  const sorted = [...rows].sort((a, b) => severity(a) - severity(b));
  return sorted.length === 0 ? "" : tableOf(sorted, stacks.size > 1, layout);
}

/** The worst is last, where a terminal shows it. */
function severity(row: StatusRow): number {
  return isFailed(row) ? 3 : isPending(row) ? 2 : row.state === "unknown" ? 1 : 0;
}

function tableOf(rows: readonly StatusRow[], manyRegions: boolean, { width, colour, now }: Layout): string {
  const filled = COLUMNS.filter(
    ({ name, cell }) => (name !== "REGION" || manyRegions) && rows.some((row) => textOf(cell(row, now)) !== ""),
  );
  const columns = fit(filled, rows, width ?? Number.POSITIVE_INFINITY, now);
  const reasons = rows.map(reasonOf);
  const room = (width ?? Number.POSITIVE_INFINITY) - widthOf(columns, rows, now) - GAP.length;
  const fits = (reason: string): boolean => reason === "" || Math.max(reason.length, "REASON".length) <= room;
  const withReason = reasons.some((reason) => reason !== "" && fits(reason));
  const header = [...columns.map(({ name }) => name), ...(withReason ? ["REASON"] : [])];
  const cells = rows.map((row, index) => {
    const reason = reasons[index] ?? "";
    return [...columns.map(({ cell }) => cell(row, now)), ...(withReason && fits(reason) ? [reason] : [])];
  });
  const [head = "", ...lines] = formatTable(header, cells, colour).trimEnd().split("\n");
  const below = lines.map((line, index) => {
    const reason = reasons[index] ?? "";
    return fits(reason)
      ? line
      : [line, ...wrap(reason, (width ?? 80) - GAP.length).map((part) => GAP + part)].join("\n");
  });
  return `${[head, ...below].join("\n")}\n`;
}

/** Of the last run first, then of the device's health; what both say is said once. */
function reasonOf({ code, reason, status }: StatusRow): string {
  const ofRun = [code, reason].filter((text) => text !== "").join(": ");
  const notEnrolled = code === "not-enrolled" || code === "no-run";
  const isTold = (problem: string): boolean =>
    ofRun !== "" &&
    (problem === `no answer: ${ofRun}` || (notEnrolled && problem.startsWith("no answer: not-enrolled: ")));
  const problems = (status?.problems ?? []).filter((problem) => !isTold(problem));
  return [ofRun, ...problems].filter((text) => text !== "").join("; ");
}

/** Leaves out what has to give way. */
function fit(columns: readonly Column[], rows: readonly StatusRow[], width: number, now: number): readonly Column[] {
  if (widthOf(columns, rows, now) <= width) return columns;
  const ranks = columns.flatMap(({ rank }) => rank ?? []);
  if (ranks.length === 0) return columns;
  const first = Math.min(...ranks);
  return fit(
    columns.filter(({ rank }) => rank !== first),
    rows,
    width,
    now,
  );
}

function widthOf(columns: readonly Column[], rows: readonly StatusRow[], now: number): number {
  const widths = columns.map(({ name, cell }) =>
    rows.reduce((width, row) => Math.max(width, textOf(cell(row, now)).length), name.length),
  );
  return widths.reduce((sum, width) => sum + width, 0) + GAP.length * Math.max(0, columns.length - 1);
}

function textOf(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}

/** Lines of at most `width` characters, broken at blanks; a word that is longer stays whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && longer.length > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}

function ago(time: string | undefined, now: number): string {
  return time === undefined ? "" : `${span(time, now)} ago`;
}

function span(time: string | undefined, now: number): string {
  return time === undefined ? "" : formatDuration(now - Date.parse(time), "down");
}

/** A line of counts for each region, with the age of what its stack says, one of its agents while they are moved; and one of health. */
export function summarizeStatus(
  rows: readonly StatusRow[],
  stacks: ReadonlyMap<string, StackReading>,
  { width, now }: Pick<Layout, "width" | "now">,
): string {
  const lines = [...stacks].flatMap(([region, { lastRun, running }]) => {
    const own = rows.filter((row) => row.region === region);
    const agents = formatAgents(own);
    const when = running ? "a run is at work" : lastRun === undefined ? "no run yet" : `last run ${ago(lastRun, now)}`;
    return [`${region}: ${formatStates(own)} (${when})`, ...(agents === "" ? [] : [`${region}: ${agents}`])];
  });
  const verdicts = formatVerdicts(rows);
  const all = [...lines, ...(verdicts === "" ? [] : [`health: ${verdicts}`])];
  return all.flatMap((line) => wrap(line, width ?? Number.POSITIVE_INFINITY)).join("\n");
}

/** Counts of states, `12 applied, 1 failed`. */
export function formatStates(rows: readonly Pick<StatusRow, "state">[]): string {
  return format(countWords(rows, "state", Object.keys(STATES))) || "no device";
}

/** Counts of verdicts on health; empty where nobody was asked. */
export function formatVerdicts(rows: readonly { readonly health: string | undefined }[]): string {
  return format(countWords(rows, "health", Object.keys(HEALTH)));
}

function format(counts: readonly WordCount[]): string {
  return counts.map(([word, count]) => `${count} ${word}`).join(", ");
}
