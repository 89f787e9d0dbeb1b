/**
 * Enrolments into a region's CSV text: columns that are missing are added to the header and only the rows of the enrolled
 * devices change; every other row stays as it is, byte for byte. Quoting is RFC 4180.
 */
import type { Enrolment } from "../enroll/outcome.ts";
import { applySplices, conflictOf, type EditedText, type EntryEdit, lineEnding, type Splice } from "./edit.ts";

/** One cell and where it stands. */
interface CsvCell {
  /** Unquoted and trimmed. */
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Edits the text of a `devicesFrom` file.
 * @param text the whole file
 * @param edits one per device
 * @throws Error when the header has no `id` column
 */
export function editCsv(text: string, edits: readonly EntryEdit[]): EditedText {
  const [header = [], ...rows] = scanCsv(text).filter((row) => row.some(({ value }) => value !== ""));
  const names = header.map(({ value }) => value);
  const idColumn = names.indexOf("id");
  if (idColumn < 0) throw new Error("the CSV header has no column id - restore it");
  const columns = [...names];
  const splices: Splice[] = [];
  const conflicts = new Map<string, string>();
  for (const edit of edits) {
    const row = rows.find((cells) => cells[idColumn]?.value === edit.id);
    const conflict = conflictOf(
      edit,
      row && { hostKey: cellOf(row, names, "hostKey"), identityKey: cellOf(row, names, "identityKey") },
    );
    if (conflict !== undefined || row === undefined) {
      conflicts.set(edit.id, conflict ?? "no such row");
      continue;
    }
    const fields = csvFields(edit.enrolment);
    for (const name of Object.keys(fields)) if (!columns.includes(name)) columns.push(name);
    splices.push(...rowSplices(row, columns, fields));
  }
  const headerEnd = header.at(-1)?.end ?? 0;
  const missing = columns
    .slice(names.length)
    .map((name) => `,${name}`)
    .join("");
  if (missing !== "") splices.push({ start: headerEnd, end: headerEnd, text: missing });
  return { text: applySplices(text, splices), conflicts };
}

function cellOf(row: readonly CsvCell[], names: readonly string[], field: string): string | undefined {
  const value = row[names.indexOf(field)]?.value ?? "";
  return value === "" ? undefined : value;
}

/** Columns are named by the field's path, as the loader reads them. */
function csvFields({ hostKey, identityKey, facts }: Enrolment): Record<string, string> {
  const entries = Object.entries(facts).map(([name, value]) => [`facts.${name}`, String(value)]);
  return { hostKey, identityKey, ...Object.fromEntries(entries) };
}

function rowSplices(row: readonly CsvCell[], columns: readonly string[], fields: Record<string, string>): Splice[] {
  const splices: Splice[] = [];
  const added: string[] = [];
  for (const [column, name] of columns.entries()) {
    const value = fields[name];
    const cell = row[column];
    if (cell === undefined) added.push(quoteCell(value ?? ""));
    else if (value !== undefined) splices.push({ start: cell.start, end: cell.end, text: quoteCell(value) });
  }
  const end = row.at(-1)?.end ?? 0;
  if (added.length > 0) splices.push({ start: end, end, text: added.map((cell) => `,${cell}`).join("") });
  return splices;
}

/** A cell of a row; quoted when it has to be. */
export function quoteCell(value: string): string {
  return /[",\r\n]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

/** Rows of cells with their positions. */
export function scanCsv(text: string): CsvCell[][] {
  const eol = lineEnding(text);
  const rows: CsvCell[][] = [];
  let row: CsvCell[] = [];
  let offset = text.startsWith("\ufeff") ? 1 : 0;
  while (offset <= text.length) {
    const cell = scanCell(text, offset);
    row.push(cell);
    offset = cell.end;
    if (text[offset] === ",") {
      offset += 1;
      continue;
    }
    rows.push(row);
    row = [];
    offset += text.startsWith(eol, offset) ? eol.length : 1;
    if (offset >= text.length) break;
  }
  return rows;
}

function scanCell(text: string, start: number): CsvCell {
  const quoted = /[ \t]*"((?:[^"]|"")*)"[ \t]*/y;
  quoted.lastIndex = start;
  const match = quoted.exec(text);
  if (match !== null) return { value: (match[1] ?? "").replaceAll('""', '"'), start, end: quoted.lastIndex };
  const plain = /[^,\r\n]*/y;
  plain.lastIndex = start;
  const value = plain.exec(text)?.[0] ?? "";
  return { value: value.trim(), start, end: start + value.length };
}
