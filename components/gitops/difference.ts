/**
 * A short unified diff of two texts for a message: from the lines on disk to the rendered lines, at most a dozen lines
 * around what differs.
 */
import { diff } from "node:util";

const CONTEXT_LINES = 1;
const MAX_LINES = 12;

/** Where two texts first differ and how. */
export interface Difference {
  /** Line of the first text, from 1. */
  readonly line: number;
  /** `-` is on disk only, `+` is rendered only. Empty when the texts are equal. */
  readonly text: readonly string[];
}

/** Compares two texts line by line. */
export function renderDifference(disk: string, rendered: string): Difference {
  const operations = diff(disk.split("\n"), rendered.split("\n"));
  const changed = operations.flatMap(([operation], index) => (operation === 0 ? [] : [index]));
  const shown = operations.flatMap(([operation, line], index) => {
    const near = changed.some((at) => Math.abs(at - index) <= CONTEXT_LINES);
    return near ? [`${operation === 0 ? " " : operation === 1 ? "-" : "+"}${line}`] : [];
  });
  const first = changed[0] ?? 0;
  const line = operations.slice(0, first).filter(([operation]) => operation !== -1).length + 1;
  if (changed.length === 0) return { line: 1, text: [] };
  const hidden = shown.length - MAX_LINES;
  return {
    line,
    text: [
      "--- on disk",
      "+++ rendered",
      `@@ line ${line} @@`,
      ...shown.slice(0, MAX_LINES),
      ...(hidden > 0 ? [`… ${hidden} more line(s)`] : []),
    ],
  };
}
