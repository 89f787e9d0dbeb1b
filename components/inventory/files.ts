/**
 * One inventory file from its text to a validated object: YAML with positions through a schema, CSV into device entries.
 * The value is what is written: defaults are not filled in. Problems are appended to a list and never thrown, so that
 * every file is read.
 */
import { type Document, isScalar, LineCounter, parseDocument, visit } from "yaml";
import { z } from "zod";
import { type CsvCell, parseCsv } from "./csv.ts";
import { LOCK_FIELDS } from "./lock-schema.ts";
import { describeIssue, type FieldPath, formatPath, formatProblem, locate } from "./problems.ts";
import { type DeviceEntry, DeviceSchema } from "./schema.ts";
import type { DeviceRecord, Position } from "./types.ts";

/** A parsed YAML file: its value if it is valid, and a way to point into it. */
export interface YamlFile<T> {
  /** Undefined where a problem was found. */
  readonly value: T | undefined;
  /** Position of a field for later checks. */
  position(path: FieldPath): Position;
}

/** What to write instead of an unknown field that belongs elsewhere; undefined for any other. */
export type Elsewhere = (path: FieldPath) => string | undefined;

/** Fields of a device that only `<region>.lock.yaml` has. @param path to the field, from the device */
export function lockedElsewhere(region: string, path: FieldPath): string | undefined {
  const [field] = path;
  return path.length === 1 && LOCK_FIELDS.includes(String(field))
    ? `belongs in ${region}.lock.yaml - remove it and run edge-fleet enroll ${region}`
    : undefined;
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
  elsewhere: Elsewhere = () => undefined,
): YamlFile<z.input<S>> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const position = (path: FieldPath) => locate(file, document, lines, path);
  const mistakes = [...document.errors.map(({ pos, message }) => ({ at: pos[0], message })), ...repeatedKeys(document)];
  if (mistakes.length > 0) {
    for (const { at, message } of mistakes) {
      const { line, col } = lines.linePos(at);
      problems.push(formatProblem({ file, line, column: col }, "(yaml)", `${message} - fix the syntax`));
    }
    return { value: undefined, position };
  }
  const value = plainValue(document);
  if (value instanceof Error) {
    problems.push(formatProblem({ file, line: 1, column: 1 }, "(yaml)", `${value.message} - write the values out`));
    return { value: undefined, position };
  }
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return { value: value as z.input<S>, position };
  for (const issue of result.error.issues) {
    for (const { path, message, atKey } of describeIssue(issue, (at) => keysAt(schema, at))) {
      const place = locate(file, document as Document, lines, path, atKey);
      problems.push(formatProblem(place, formatPath(path), elsewhere(path) ?? message));
    }
  }
  return { value: undefined, position };
}

/** Keys that stand twice in one map. The parser's own look compares each with each: seconds, in the lock of 5,000 devices. */
function repeatedKeys(document: Document.Parsed): { readonly at: number; readonly message: string }[] {
  const found: { at: number; message: string }[] = [];
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) found.push({ at: key.range?.[0] ?? 0, message: "Map keys must be unique" });
        seen.add(key.value);
      }
    },
  });
  return found;
}

/** The document's value, or why its aliases cannot be resolved: too many of them, or one without an anchor. */
function plainValue(document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return error instanceof ReferenceError ? error : new ReferenceError(String(error));
  }
}

/** A column of a CSV file of devices. */
interface Column {
  /** Path of its field in the entry. */
  readonly path: readonly string[];
  readonly cell: CsvCell;
  /** A cell as the field's type has it; what does not fit stays text, which the schema then refuses at its place. */
  readonly convert: (text: string) => unknown;
}

/**
 * Devices of a CSV file. The header names the fields by their path, e.g. `id,host,model,ring,ssh.port,labels.site`;
 * an empty cell leaves the field out.
 * @param region whose file it is
 */
export function parseDevicesCsv(file: string, text: string, region: string, problems: string[]): DeviceRecord[] {
  const { header, rows } = parseCsv(file, text, problems);
  const columns = readHeader(file, header, region, problems);
  if (columns === undefined) return [];
  const records: DeviceRecord[] = [];
  for (const [index, cells] of rows.entries()) {
    const path = `row[${index}]`;
    const record = readRow(file, cells, columns, path, problems);
    if (record !== undefined) records.push(record);
  }
  return records;
}

/** The columns, or undefined where one is unknown or missing: every row would repeat that. */
function readHeader(
  file: string,
  header: readonly CsvCell[],
  region: string,
  problems: string[],
): Column[] | undefined {
  const known = problems.length;
  const report = (cell: Pick<CsvCell, "line" | "column">, path: string, message: string) =>
    problems.push(formatProblem({ file, line: cell.line, column: cell.column }, path, message));
  for (const field of Object.keys(DeviceSchema.shape).filter((name) => !DeviceSchema.shape[name as "id"].isOptional()))
    if (header.length > 0 && !header.some(({ value }) => value === field))
      report(header[0] as CsvCell, "(header)", `has no column ${field} - add it`);
  const columns = header.map((cell): Column => {
    const path = columnPath(cell.value);
    const schema = unwrap(schemaAt(DeviceSchema, path));
    if (schema === undefined && cell.value !== "")
      for (const { message } of describeIssue(unknownColumn(path), (at) => keysAt(DeviceSchema, at)))
        report(cell, cell.value, lockedElsewhere(region, path.slice(0, 1)) ?? message);
    return { path, cell, convert: converter(schema) };
  });
  return problems.length > known ? undefined : columns;
}

/** Keys of labels contain dots themselves. */
function columnPath(name: string): string[] {
  const [, map, key] = /^(labels|values)\.(.+)$/.exec(name) ?? [];
  return map === undefined || key === undefined ? name.split(".") : [map, key];
}

function unknownColumn(path: readonly string[]) {
  return { code: "unrecognized_keys", path: path.slice(0, -1), keys: path.slice(-1), message: "" } as const;
}

function converter(schema: unknown): Column["convert"] {
  if (schema instanceof z.ZodNumber) return (text) => (/^\d+$/.test(text) ? Number(text) : text);
  if (schema instanceof z.ZodBoolean) return (text) => (text === "true" || text === "false" ? text === "true" : text);
  return schema instanceof z.ZodArray ? (text) => text.split(/\s+/) : (text) => text;
}

function readRow(
  file: string,
  cells: readonly CsvCell[],
  columns: readonly Column[],
  path: string,
  problems: string[],
): DeviceRecord | undefined {
  const position = { file, line: cells[0]?.line ?? 1, column: 1 };
  const stray = cells.findIndex(({ value }, index) => value !== "" && (columns[index]?.cell.value ?? "") === "");
  if (stray >= 0) {
    const { line, column } = cells[stray] ?? position;
    const message = `stands behind the last column that has a name, the header has ${columns.length} - quote commas, or name the column`;
    problems.push(formatProblem({ file, line, column }, path, message));
    return undefined;
  }
  const place = (field: FieldPath): Position => {
    const name = field.map(String).join(".");
    const { line, column } = cells[columns.findIndex(({ cell }) => cell.value === name)] ?? position;
    return { file, line, column };
  };
  const entry: Record<string, unknown> = {};
  for (const [index, { path: field, convert }] of columns.entries()) {
    const text = cells[index]?.value ?? "";
    if (text !== "") setAt(entry, field, convert(text));
  }
  const result = DeviceSchema.safeParse(entry, { reportInput: true });
  if (result.success) return { entry: entry as unknown as DeviceEntry, position, path, locate: place };
  for (const issue of result.error.issues)
    for (const { path: field, message } of describeIssue(issue, (at) => keysAt(DeviceSchema, at)))
      problems.push(formatProblem(place(field), `${path}.${formatPath(field)}`, message));
  return undefined;
}

function setAt(entry: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let target = entry;
  for (const part of path.slice(0, -1)) {
    target[part] ??= {};
    target = target[part] as Record<string, unknown>;
  }
  target[path.at(-1) ?? ""] = value;
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

/** What is inside of an optional field, of one with a default, and of a choice between words and a map. */
function unwrap(schema: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return unwrap(schema.unwrap());
  if (schema instanceof z.ZodUnion) return schema.options.find((option) => option instanceof z.ZodObject) ?? schema;
  return schema;
}
