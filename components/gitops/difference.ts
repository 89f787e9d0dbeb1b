/** How two texts differ, line by line: as lines for people, and in short for a message. */
import { diff } from "node:util";

const MAX_LINES = 12;

/** Where two texts first differ and how. */
export interface Difference {
  /** Line of the first text, from 1. */
  readonly line: number;
  /** ` `, `-` (first text) or `+` before each line; `@@` stands for what is left out. Empty when the texts are equal. */
  readonly text: readonly string[];
}

/** A unified diff. @param context lines that are shown around what differs */
export function diffLines(old: readonly string[], young: readonly string[], context: number): Difference {
  // `diff` of node:util says 1 for what is in its first list alone, and -1 for the second.
  const operations = diff([...old], [...young]);
  const changed = operations.flatMap(([operation], index) => (operation === 0 ? [] : [index]));
  const shown = new Set(
    changed.flatMap((at) => Array.from({ length: 2 * context + 1 }, (_, index) => at - context + index)),
  );
  const text = operations.flatMap(([operation, line], index) => {
    if (!shown.has(index)) return [];
    const gap = index > 0 && !shown.has(index - 1) ? ["@@"] : [];
    return [...gap, `${operation === 0 ? " " : operation === 1 ? "-" : "+"}${line}`];
  });
  const line = operations.slice(0, changed[0] ?? 0).filter(([operation]) => operation !== -1).length + 1;
  return { line, text };
}

/** {@link diffLines} of a file on disk and its rendered content, at most a dozen lines around what differs. */
export function renderDifference(disk: string, rendered: string): Difference {
  const { line, text } = diffLines(disk.split("\n"), rendered.split("\n"), 1);
  const lines = text.filter((shown) => shown !== "@@");
  const hidden = lines.length - MAX_LINES;
  const more = hidden > 0 ? [`… ${hidden} more line(s)`] : [];
  return { line, text: ["--- on disk", "+++ rendered", `@@ line ${line} @@`, ...lines.slice(0, MAX_LINES), ...more] };
}
