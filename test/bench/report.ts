/**
 * How a benchmark tells its result: a table for people, or with `--json` one JSON document on stdout. Nothing is
 * graded: a benchmark fails only when what it measures did not happen.
 */
import { describeMachine, type Machine } from "./machine.ts";

/** One measured or derived figure. */
export interface Figure {
  /** What was measured, in plain words. */
  readonly name: string;
  readonly value: number;
  /** `s`, `ms`, `MiB`, `B`, `x` for a ratio; empty for a count. */
  readonly unit: string;
  /** How a derived figure came about, or what to compare it with. */
  readonly note?: string;
}

/** Result of one benchmark. */
export interface BenchmarkResult {
  readonly benchmark: string;
  /** What ran how often, and how it was measured. */
  readonly method: string;
  readonly machine: Machine;
  readonly figures: readonly Figure[];
}

/** Prints a result to stdout: a table, or JSON with `--json` among the arguments. */
export function printResult(result: BenchmarkResult, args: readonly string[] = process.argv.slice(2)): void {
  process.stdout.write(args.includes("--json") ? `${JSON.stringify(result, null, 2)}\n` : formatResult(result));
}

/** The table. */
export function formatResult({ benchmark, method, machine, figures }: BenchmarkResult): string {
  const rows = figures.map(({ name, value, unit, note = "" }) => [name, formatValue(value), unit, note] as const);
  const width = (column: 0 | 1 | 2) => Math.max(...rows.map((row) => row[column].length));
  const [names, values, units] = [width(0), width(1), width(2)];
  const lines = rows.map(([name, value, unit, note]) =>
    `  ${name.padEnd(names)}  ${value.padStart(values)} ${unit.padEnd(units)}  ${note}`.trimEnd(),
  );
  return `${benchmark}: ${method}\n  ${describeMachine(machine)}\n${lines.join("\n")}\n`;
}

/** A line on stderr, so that stdout holds the result alone. */
export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Three significant digits; counts and bytes in full. */
function formatValue(value: number): string {
  return Number.isInteger(value) || Math.abs(value) >= 1000
    ? String(Math.round(value))
    : String(Number(value.toPrecision(3)));
}

/** The middle of a list, or the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[sorted.length / 2 - 1] ?? Number.NaN) + upper) / 2;
}
