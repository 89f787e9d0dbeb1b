/**
 * Enrolments into a region's YAML text: finds each device's entry with the `yaml` Document API and splices the fields in
 * at its positions, so that comments, order, blank lines and all other bytes stay. Block and flow entries both work.
 */
import {
  Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Pair,
  parseDocument,
  type YAMLMap,
} from "yaml";
import { applySplices, conflictOf, type EditedText, type EntryEdit, lineEnding, type Splice } from "./edit.ts";

const FIELDS = ["hostKey", "identityKey", "facts"] as const;

/**
 * Edits the text of `<region>.yaml`.
 * @param text the whole file
 * @param edits one per device
 * @throws Error when the text is not YAML or has no device list
 */
export function editYaml(text: string, edits: readonly EntryEdit[]): EditedText {
  const document = parseDocument(text, { keepSourceTokens: true });
  const problem = document.errors[0];
  if (problem !== undefined) throw new Error(`${problem.message} - mend the syntax`);
  const devices = document.get("devices");
  if (!isSeq(devices)) throw new Error("devices: is no longer a list - restore it");
  const entries = new Map<unknown, YAMLMap>();
  for (const item of devices.items) if (isMap(item)) entries.set(item.get("id"), item);
  const splices: Splice[] = [];
  const conflicts = new Map<string, string>();
  for (const edit of edits) {
    const entry = entries.get(edit.id);
    const conflict = conflictOf(
      edit,
      entry && { hostKey: stringIn(entry, "hostKey"), identityKey: stringIn(entry, "identityKey") },
    );
    if (conflict !== undefined || entry === undefined)
      conflicts.set(edit.id, conflict ?? "not a map - write the entry out");
    else splices.push(...entrySplices(text, entry, edit));
  }
  return { text: applySplices(text, splices), conflicts };
}

function stringIn(entry: YAMLMap, field: string): string | undefined {
  const value = entry.get(field);
  return typeof value === "string" ? value : undefined;
}

function entrySplices(text: string, entry: YAMLMap, edit: EntryEdit): Splice[] {
  const added: string[] = [];
  const splices: Splice[] = [];
  for (const field of FIELDS) {
    const source = `${field}: ${flowText(edit.enrolment[field])}`;
    const pair = entry.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === field);
    if (pair === undefined) added.push(source);
    else splices.push(replacePair(text, pair, source));
  }
  if (added.length > 0) splices.push(entry.flow === true ? addToFlow(entry, added) : addToBlock(text, entry, added));
  return splices;
}

/** A value on one line, quoted where YAML needs it. */
function flowText(value: unknown): string {
  return new Document(value).toString({ collectionStyle: "flow", lineWidth: 0 }).trimEnd();
}

/** The range of a missing value reaches up to a comment behind it, so the field then ends at its colon. */
function replacePair(text: string, pair: Pair, source: string): Splice {
  const start = startOf(pair.key);
  const empty = isScalar(pair.value) && pair.value.range !== undefined && pair.value.source === "";
  const end = empty ? text.indexOf(":", rangeEnd(pair.key)) + 1 : endOf(pair);
  return { start, end, text: source };
}

function addToFlow(entry: YAMLMap, added: readonly string[]): Splice {
  const end = endOf(entry.items.at(-1));
  return { start: end, end, text: added.map((source) => `, ${source}`).join("") };
}

/** New lines after the entry's last line, whatever comment ends that line. */
function addToBlock(text: string, entry: YAMLMap, added: readonly string[]): Splice {
  const eol = lineEnding(text);
  const first = startOf(entry.items[0]?.key);
  const indent = " ".repeat(first - (text.lastIndexOf("\n", first - 1) + 1));
  const lines = added.map((source) => `${indent}${source}${eol}`).join("");
  const end = endOf(entry.items.at(-1));
  if (end > 0 && text[end - 1] === "\n") return { start: end, end, text: lines };
  const next = text.indexOf("\n", end);
  if (next >= 0) return { start: next + 1, end: next + 1, text: lines };
  return { start: text.length, end: text.length, text: `${eol}${lines.slice(0, -eol.length)}` };
}

function startOf(node: unknown): number {
  return isNode(node) && node.range ? node.range[0] : 0;
}

/**
 * Where the last character of a pair's value stands. The range of a block collection reaches over the comments and
 * blank lines behind it, so the end is that of its last leaf.
 */
export function endOf(node: unknown): number {
  if (isPair(node)) return node.value === null ? rangeEnd(node.key) : endOf(node.value) || rangeEnd(node.key);
  if (isCollection(node) && node.flow !== true && node.items.length > 0 && !isAlias(node))
    return endOf(node.items.at(-1));
  return rangeEnd(node);
}

function rangeEnd(node: unknown): number {
  return isNode(node) && node.range ? node.range[1] : 0;
}
