/**
 * CSV text to cells that know where they stand: RFC 4180 with commas, any line ending, blanks around unquoted cells
 * trimmed. Lines without a filled cell are left out, as spreadsheets export them.
 */
import { formatProblem } from "./problems.ts";

/** One cell. */
export interface CsvCell {
  /** Without quotes, and trimmed where it had none. */
  readonly value: string;
  /** Counts from 1; so does the column. */
  readonly line: number;
  readonly column: number;
  /** Offsets of the cell in the text, quotes and blanks included. */
  readonly start: number;
  readonly end: number;
}

/** The first line with a filled cell, and the lines behind it. */
export interface CsvTable {
  readonly header: readonly CsvCell[];
  readonly rows: readonly (readonly CsvCell[])[];
}

const QUOTED = /[ \t]*"((?:[^"]|"")*)"[ \t]*/y;
const PLAIN = /[^,\r\n]*/y;
const LINE_END = /\r\n|\n|\r/y;

/**
 * Reads a table.
 * @param file name for messages
 * @param problems receives the first error of the syntax, a separator other than the comma, and columns named twice; the
 * table is then empty
 */
export function parseCsv(file: string, text: string, problems: string[]): CsvTable {
  const scanner = new Scanner(text);
  const lines: CsvCell[][] = [];
  const refuse = (cell: Pick<CsvCell, "line" | "column">, path: string, message: string): CsvTable => {
    problems.push(formatProblem({ file, line: cell.line, column: cell.column }, path, message));
    return { header: [], rows: [] };
  };
  while (!scanner.done) {
    const row = scanner.row();
    if ("message" in row) return refuse(row, "(csv)", row.message);
    if (row.cells.some(({ value }) => value !== "")) lines.push(row.cells);
  }
  const [header = [], ...rows] = lines;
  const [only] = header;
  if (only !== undefined && header.length === 1 && /[;\t]/.test(only.value))
    return refuse(only, "(csv)", `is separated by ${only.value.includes(";") ? "semicolons" : "tabs"} - write commas`);
  const twice = header.find(
    ({ value }, index) => value !== "" && header.findIndex((other) => other.value === value) < index,
  );
  if (twice !== undefined) return refuse(twice, "(header)", `names the column ${twice.value} twice - remove one`);
  return { header, rows };
}

interface SyntaxProblem {
  readonly message: string;
  readonly line: number;
  readonly column: number;
}

class Scanner {
  readonly #text: string;
  #offset: number;
  #line = 1;
  #lineStart: number;

  constructor(text: string) {
    this.#text = text;
    this.#offset = text.startsWith("\ufeff") ? 1 : 0;
    this.#lineStart = this.#offset;
  }

  get done(): boolean {
    return this.#offset >= this.#text.length;
  }

  /** One record, which quotes may stretch over several lines. */
  row(): { readonly cells: CsvCell[] } | SyntaxProblem {
    const cells: CsvCell[] = [];
    for (;;) {
      const cell = this.#cell();
      if ("message" in cell) return cell;
      cells.push(cell);
      if (this.#text[this.#offset] !== ",") break;
      this.#offset += 1;
    }
    const end = this.#match(LINE_END);
    if (end === undefined && !this.done)
      return {
        ...this.#place(this.#offset),
        message: "stands behind a closing quote - put a comma there, or double the quote",
      };
    this.#line += 1;
    this.#lineStart = this.#offset;
    return { cells };
  }

  #cell(): CsvCell | SyntaxProblem {
    const start = this.#offset;
    const place = this.#place(start);
    const quoted = this.#match(QUOTED);
    if (quoted !== undefined) {
      const newlines = quoted[0].split(/\r\n|\n|\r/);
      this.#line += newlines.length - 1;
      if (newlines.length > 1) this.#lineStart = this.#offset - (newlines.at(-1) ?? "").length;
      return { value: (quoted[1] ?? "").replaceAll('""', '"'), ...place, start, end: this.#offset };
    }
    const text = this.#match(PLAIN)?.[0] ?? "";
    const quote = text.indexOf('"');
    if (quote >= 0) {
      const open = text.trimStart().startsWith('"');
      const message = open
        ? "opens a quote that nothing closes - close it"
        : "is a quote inside a cell without quotes - quote the whole cell and double this one";
      return { ...this.#place(start + quote), message };
    }
    return { value: text.trim(), ...place, start, end: this.#offset };
  }

  #place(offset: number): { readonly line: number; readonly column: number } {
    return { line: this.#line, column: offset - this.#lineStart + 1 };
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#offset;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#offset = pattern.lastIndex;
    return match ?? undefined;
  }
}
