/**
 * Inventory problems as an operator reads them: `file:line:column path: what is wrong - what to write`. All problems of
 * all files are gathered before anything is thrown, so one run shows everything that has to be fixed.
 */
import { type Document, isCollection, isMap, isNode, isPair, isScalar, type LineCounter } from "yaml";
import type { core } from "zod";
import type { Position } from "./types.ts";

/** Thrown by the loader with every problem that it found; the message shows a few of those that are alike. */
export class InventoryError extends Error {
  /** One line per problem, sorted by file and line. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`the inventory has ${problems.length} problem(s):\n${summarizeProblems(problems).join("\n")}`);
    this.name = "InventoryError";
    this.problems = problems;
  }
}

/** Problems that differ in nothing but numbers and names with numbers, from this many on, are shown in part. */
const MANY_ALIKE = 10;
const SHOWN_ALIKE = 3;

/** The lines as they are, but of many that are alike the first few and a count. */
export function summarizeProblems(problems: readonly string[]): string[] {
  const groups = Map.groupBy(problems, kindOf);
  const shown = [...groups.values()].map((alike) => {
    const more = alike.length - SHOWN_ALIKE;
    return alike.length < MANY_ALIKE ? alike : [...alike.slice(0, SHOWN_ALIKE), `... and ${more} more like this`];
  });
  return shown.flat();
}

function kindOf(problem: string): string {
  return problem.replaceAll(/[^\s()[\].]*\d[^\s()[\].]*/g, "#");
}

/** A path into a document: keys of maps, indices of lists. */
export type FieldPath = readonly PropertyKey[];

/** `devices[12].host` for `["devices", 12, "host"]`; `(file)` for the empty path. */
export function formatPath(path: FieldPath): string {
  const text = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  return text.replace(/^\./, "") || "(file)";
}

/** One problem line. */
export function formatProblem(position: Position, path: string, message: string): string {
  return `${position.file}:${position.line}:${position.column} ${path}: ${message}`;
}

/**
 * Where a field stands in its YAML document: the value, or for a missing field the nearest enclosing value.
 * @param key point to the key of the last path element instead of its value (for unknown keys)
 */
export function locate(file: string, document: Document, lines: LineCounter, path: FieldPath, key = false): Position {
  let node: unknown = document.contents;
  let offset = offsetOf(node) ?? 0;
  for (const [depth, part] of path.entries()) {
    const last = depth === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === part);
      if (pair === undefined) break;
      offset = offsetOf(last && key ? pair.key : pair.value) ?? offsetOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isCollection(node) && typeof part === "number") {
      node = node.items[part];
      offset = offsetOf(node) ?? offset;
    } else break;
  }
  const { line, col } = lines.linePos(offset);
  return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** One thing that the schema has against a value. */
export interface DescribedIssue {
  readonly path: FieldPath;
  /** `<what is wrong> - <what to write>` */
  readonly message: string;
  /** It is about the key, not its value. */
  readonly atKey: boolean;
}

/**
 * A schema issue in words: one per unknown key, else one.
 * @param knownKeys the keys that the schema has at a path, for did-you-mean
 */
export function describeIssue(
  issue: core.$ZodIssue,
  knownKeys: (path: FieldPath) => readonly string[],
): DescribedIssue[] {
  const { path } = issue;
  const say = (message: string, atKey = false): DescribedIssue[] => [{ path, message, atKey }];
  switch (issue.code) {
    case "unrecognized_keys": {
      const known = knownKeys(path);
      return issue.keys.map((key) => ({ path: [...path, key], message: unknownKeyMessage(key, known), atKey: true }));
    }
    case "invalid_type":
      return say(issue.input === undefined ? missingMessage(issue.expected) : typeMessage(issue));
    case "invalid_value":
      return say(
        issue.input === undefined
          ? `is missing - use one of ${issue.values.map(String).join(", ")}`
          : `is not one of the allowed values - use ${issue.values.map(String).join(", ")}`,
      );
    case "too_small":
      return say(`is below the minimum - use ${issue.minimum} or more`);
    case "too_big":
      return say(`is above the maximum - use ${issue.maximum} or less`);
    case "invalid_key":
      return say(`the key ${issue.issues[0]?.message ?? "is invalid"}`, true);
    case "invalid_union": {
      const inside = issue.errors.find((issues) =>
        issues.every((inner) => inner.path.length > 0 || inner.code === "unrecognized_keys"),
      );
      return inside === undefined
        ? say(issue.input === undefined ? `is missing - ${issue.message.replace(/^.* - /, "")}` : issue.message)
        : inside.flatMap((inner) => describeIssue({ ...inner, path: [...path, ...inner.path] }, knownKeys));
    }
    default:
      return say(issue.message);
  }
}

/** The known key nearest to a mistyped one, if it is near enough to be meant. */
export function nearestKey(key: string, known: readonly string[]): string | undefined {
  const typed = key.toLowerCase();
  const ranked = known.map((candidate) => ({ candidate, distance: editDistance(typed, candidate.toLowerCase()) }));
  ranked.sort((a, b) => a.distance - b.distance || a.candidate.localeCompare(b.candidate));
  const best = ranked[0];
  if (best !== undefined && best.distance <= Math.min(3, Math.ceil(best.candidate.length / 3))) return best.candidate;
  return known.find((candidate) => typed.length >= 4 && candidate.toLowerCase().startsWith(typed));
}

/** Fields that people bring from elsewhere and that are left out on purpose, with the reason. */
const REFUSED_KEYS: Readonly<Record<string, string>> = {
  datastoreendpoint:
    "is not offered: without it K3s opens its own SQLite with a write-ahead log and a busy timeout of 30 s, which an endpoint loses, and its backups look nowhere else - remove it",
};

function unknownKeyMessage(key: string, known: readonly string[]): string {
  const refused = REFUSED_KEYS[key.toLowerCase().replaceAll("-", "")];
  if (refused !== undefined) return refused;
  const nearest = nearestKey(key, known);
  const others = known.length === 0 ? "remove it" : `remove it or use one of ${known.join(", ")}`;
  return `is not a known field - ${nearest === undefined ? others : `did you mean ${nearest}?`}`;
}

/** JavaScript's names for what an operator writes as YAML. */
const YAML_NAMES: Readonly<Record<string, string>> = {
  object: "map",
  record: "map",
  array: "list",
  int: "whole number",
};

function missingMessage(expected: string): string {
  return `is missing - write a ${YAML_NAMES[expected] ?? expected}`;
}

function typeMessage(issue: { expected: string; input?: unknown }): string {
  const type = Array.isArray(issue.input) ? "array" : typeof issue.input;
  const found = issue.input === null ? "empty" : `a ${YAML_NAMES[type] ?? type}`;
  if (issue.expected === "string" && ["number", "boolean"].includes(type)) return `is ${found} - put it in quotes`;
  return `is ${found} - write a ${YAML_NAMES[issue.expected] ?? issue.expected}`;
}

function offsetOf(node: unknown): number | undefined {
  return isNode(node) && node.range ? node.range[0] : undefined;
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
