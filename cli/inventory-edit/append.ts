/**
 * New devices into a region's files: entries behind the last one of a YAML list, rows behind the last one of a CSV file.
 * Every byte that is there stays.
 */
import {
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  parseDocument,
  stringify,
  type YAMLSeq,
} from "yaml";
import { parseCsv } from "../../components/inventory/csv.ts";

/**
 * Adds entries to `devices` of a region's YAML text; the field is added where it is missing.
 * @param entries plain device entries
 * @throws Error when the text is not YAML, or `devices` is something other than a list
 */
export function appendYaml(text: string, entries: readonly object[]): string {
  if (entries.length === 0) return text;
  const document = parseDocument(text, { keepSourceTokens: true });
  const problem = document.errors[0];
  if (problem !== undefined) throw new Error(`${problem.message} - fix the syntax`);
  if (!isMap(document.contents)) throw new Error("is not a map - restore it");
  const eol = lineEnding(text);
  const pair = document.contents.items.find(({ key }) => isScalar(key) && key.value === "devices");
  const list = pair?.value;
  if (isSeq(list) && list.items.length > 0)
    return splice(text, list.flow === true ? intoFlow(list, entries) : behindBlock(text, list, entries, eol));
  const block = `devices:${eol}${blockText(entries, "  ", eol, true)}`;
  if (pair === undefined) return `${text}${/(^|\n)$/.test(text) ? "" : eol}${eol}${block}`;
  if (!isSeq(list) && !(isScalar(list) && list.value === null)) throw new Error("devices: is not a list - restore it");
  const start = isNode(pair.key) && pair.key.range ? pair.key.range[0] : 0;
  const colon = text.indexOf(":", start) + 1;
  const end = isSeq(list) && list.range ? list.range[1] : colon;
  const newline = text.indexOf("\n", end);
  const rest = newline < 0 ? text.length : newline + 1;
  const comment = text.slice(end, rest).trimEnd();
  return splice(text, { start, end: rest, text: `devices:${comment}${eol}${blockText(entries, "  ", eol, true)}` });
}

/**
 * Adds rows to a CSV text; columns that are missing are added to its header.
 * @param rows cells by column name
 * @throws Error when the text is not CSV
 */
export function appendCsv(text: string, rows: readonly Readonly<Record<string, string | number>>[]): string {
  if (rows.length === 0) return text;
  const eol = lineEnding(text);
  const problems: string[] = [];
  const { header } = parseCsv("(text)", text, problems);
  if (problems.length > 0) throw new Error(problems.join("\n"));
  const names = header.map(({ value }) => value);
  const columns = [...new Set([...names, ...rows.flatMap((row) => Object.keys(row))])];
  const added = columns.slice(names.length);
  const lines = rows.map((row) => {
    const cells = columns.map((column) => quoteCell(String(row[column] ?? "")));
    const last = cells.findLastIndex((cell) => cell !== "");
    return `${cells.slice(0, last + 1).join(",")}${eol}`;
  });
  if (header.length === 0) return `${text}${columns.join(",")}${eol}${lines.join("")}`;
  const end = header.at(-1)?.end ?? 0;
  const widened = splice(text, { start: end, end, text: added.map((name) => `,${name}`).join("") });
  return `${widened}${widened.endsWith("\n") ? "" : eol}${lines.join("")}`;
}

/** Replaces `text[start, end)`. */
interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

function splice(text: string, { start, end, text: replacement }: Splice): string {
  return text.slice(0, start) + replacement + text.slice(end);
}

/** Line ending of a text: that of its first line. */
function lineEnding(text: string): "\n" | "\r\n" {
  return /^[^\n]*\r\n/.test(text) ? "\r\n" : "\n";
}

/** A cell of a row; quoted when it has to be. */
function quoteCell(value: string): string {
  return /[",\r\n]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

/**
 * Where the last character of a pair's value stands. The range of a block collection reaches over the comments and
 * blank lines behind it, so the end is that of its last leaf.
 */
function endOf(node: unknown): number {
  if (isPair(node)) return node.value === null ? rangeEnd(node.key) : endOf(node.value) || rangeEnd(node.key);
  if (isCollection(node) && node.flow !== true && node.items.length > 0 && !isAlias(node))
    return endOf(node.items.at(-1));
  return rangeEnd(node);
}

function rangeEnd(node: unknown): number {
  return isNode(node) && node.range ? node.range[1] : 0;
}

function intoFlow(list: YAMLSeq, entries: readonly object[]): Splice {
  const end = endOf(list.items.at(-1));
  const text = entries.map((entry) => `, ${stringify(entry, { collectionStyle: "flow", lineWidth: 0 }).trimEnd()}`);
  return { start: end, end, text: text.join("") };
}

function behindBlock(text: string, list: YAMLSeq, entries: readonly object[], eol: string): Splice {
  const first = list.items[0];
  const start = isNode(first) && first.range ? first.range[0] : 0;
  const line = text.slice(text.lastIndexOf("\n", start - 1) + 1);
  const indent = /^([ \t]*)-/.exec(line)?.[1] ?? "  ";
  const spaced = list.items.length < 2 || /\n[ \t]*\r?\n/.test(text.slice(start, endOf(list.items.at(-1))));
  const lines = (spaced ? eol : "") + blockText(entries, indent, eol, spaced);
  const end = endOf(list.items.at(-1));
  if (end > 0 && text[end - 1] === "\n") return { start: end, end, text: lines };
  const next = text.indexOf("\n", end);
  if (next >= 0) return { start: next + 1, end: next + 1, text: lines };
  return { start: text.length, end: text.length, text: eol + lines };
}

function blockText(entries: readonly object[], indent: string, eol: string, spaced: boolean): string {
  const items = entries.map((entry) =>
    stringify([entry], { lineWidth: 0 })
      .trimEnd()
      .split("\n")
      .map((line) => `${indent}${line}${eol}`)
      .join(""),
  );
  return items.join(spaced ? eol : "");
}
