/**
 * One inventory file from its text to a validated object: YAML with positions through a schema, CSV into device entries.
 * Problems are appended to a list and never thrown, so that every file is read.
 */
import { parse as parseCsv } from "csv-parse/sync";
import { type Document, LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { describeIssue, type FieldPath, formatPath, formatProblem, locate } from "./problems.ts";
import { DeviceSchema } from "./schema.ts";
import type { DeviceRecord, Position } from "./types.ts";

/** A parsed YAML file: its value if it is valid, and a way to point into it. */
export interface YamlFile<T> {
  /** Undefined where a problem was found. */
  readonly value: T | undefined;
  /** Position of a field for later checks. */
  position(path: FieldPath): Position;
}

/**
 * Parses and validates one YAML file.
 * @param file the name for messages
 * @param problems receives one line per problem
 */
export function parseYamlFile<S extends z.ZodType>(
  file: string,
  text: string,
  schema: S,
  problems: string[],
): YamlFile<z.output<S>> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const position = (path: FieldPath) => locate(file, document, lines, path);
  if (document.errors.length > 0) {
    for (const error of document.errors) {
      const { line, col } = lines.linePos(error.pos[0]);
      problems.push(formatProblem({ file, line, column: col }, "(yaml)", `${error.message} - mend the syntax`));
    }
    return { value: undefined, position };
  }
  const value = plainValue(document);
  if (value instanceof Error) {
    problems.push(formatProblem({ file, line: 1, column: 1 }, "(yaml)", `${value.message} - write the values out`));
    return { value: undefined, position };
  }
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return { value: result.data, position };
  for (const issue of result.error.issues) {
    for (const [path, message, atKey] of describeIssue(issue, keysAt(schema, issue.path))) {
      problems.push(formatProblem(locate(file, document as Document, lines, path, atKey), formatPath(path), message));
    }
  }
  return { value: undefined, position };
}

/** The document's value, or why its aliases cannot be resolved: too many of them, or one without an anchor. */
function plainValue(document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return error instanceof ReferenceError ? error : new ReferenceError(String(error));
  }
}

/**
 * Devices of a CSV file. The header names the fields by their path, e.g. `id,host,model,ring,ssh.port,labels.site`;
 * an empty cell leaves the field out.
 */
export function parseDevicesCsv(file: string, text: string, problems: string[]): DeviceRecord[] {
  let rows: { record: string[]; info: { lines: number } }[];
  try {
    rows = parseCsv(text, {
      info: true,
      skip_empty_lines: true,
      trim: true,
      bom: true,
      relax_column_count: true,
    }) as never;
  } catch (error) {
    problems.push(
      formatProblem({ file, line: 1, column: 1 }, "(csv)", `${(error as Error).message} - mend the syntax`),
    );
    return [];
  }
  const header = rows.shift()?.record ?? [];
  const records: DeviceRecord[] = [];
  for (const [index, { record, info }] of rows.entries()) {
    const position = { file, line: info.lines, column: 1 };
    const path = `row[${index}]`;
    if (record.length > header.length) {
      problems.push(
        formatProblem(position, path, `has ${record.length} cells for ${header.length} columns - quote commas`),
      );
      continue;
    }
    const result = DeviceSchema.safeParse(rowToEntry(header, record), { reportInput: true });
    const row = { file, header, record, line: info.lines, path };
    if (result.success) records.push({ entry: result.data, position, path, locate: (field) => cellOf(row, field) });
    else reportRow(result.error, row, problems);
  }
  return records;
}

function rowToEntry(header: readonly string[], cells: readonly string[]): Record<string, unknown> {
  const entry: Record<string, unknown> = {};
  for (const [index, field] of header.entries()) {
    const cell = cells[index] ?? "";
    if (cell === "") continue;
    const [first = field, ...rest] = field.startsWith("labels.")
      ? ["labels", field.slice("labels.".length)]
      : field.split(".");
    let target = entry;
    let key = first;
    for (const part of rest) {
      target[key] ??= {};
      target = target[key] as Record<string, unknown>;
      key = part;
    }
    target[key] = cellValue(field, cell);
  }
  return entry;
}

interface CsvRow {
  readonly file: string;
  readonly header: readonly string[];
  readonly record: readonly string[];
  readonly line: number;
  readonly path: string;
}

function reportRow(error: z.ZodError, row: CsvRow, problems: string[]): void {
  for (const issue of error.issues) {
    for (const [path, message] of describeIssue(issue, keysAt(DeviceSchema, issue.path))) {
      problems.push(formatProblem(cellOf(row, path), `${row.path}.${formatPath(path)}`, message));
    }
  }
}

/** Where a field's cell begins; the row for a field without a column. */
function cellOf({ file, header, record, line }: CsvRow, path: FieldPath): Position {
  const cell = Math.max(header.indexOf(path.map(String).join(".")), 0);
  return { file, line, column: record.slice(0, cell).reduce((sum, text) => sum + text.length + 1, 1) };
}

/**
 * A cell as its field's type has it: a number, true or false, or a list whose entries are separated by blanks. What does
 * not fit stays text, which the schema then refuses at its place.
 */
function cellValue(field: string, cell: string): unknown {
  const schema = unwrap(schemaAt(DeviceSchema, field.split(".")));
  if (schema instanceof z.ZodNumber) return /^\d+$/.test(cell) ? Number(cell) : cell;
  if (schema instanceof z.ZodBoolean) return cell === "true" || cell === "false" ? cell === "true" : cell;
  return schema instanceof z.ZodArray ? cell.split(/\s+/) : cell;
}

/** The keys that the schema knows at a path, for did-you-mean. */
function keysAt(schema: z.ZodType, path: FieldPath): string[] {
  const found = unwrap(schemaAt(schema, path));
  return found instanceof z.ZodObject ? Object.keys(found.shape) : [];
}

/** The schema of what stands at a path, undefined where the schema has no such place. */
function schemaAt(schema: z.ZodType, path: FieldPath): unknown {
  let current: unknown = schema;
  for (const part of path) {
    current = unwrap(current);
    if (current instanceof z.ZodObject) current = current.shape[String(part)];
    else if (current instanceof z.ZodArray) current = current.element;
    else if (current instanceof z.ZodRecord) current = current.valueType;
    else return undefined;
  }
  return current;
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodOptional ? unwrap(schema.unwrap()) : schema;
}
