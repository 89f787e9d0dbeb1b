/** What a person sees: tables on stdout, progress on stderr, colour only where it helps. */

/** Colours that the tables use. */
export type Colour = "green" | "yellow" | "red" | "dim" | "bold";

const CODES: Readonly<Record<Colour, number>> = { green: 32, yellow: 33, red: 31, dim: 2, bold: 1 };

/** A stream that may be a terminal. */
export interface Output {
  /** Absent: a file or a pipe, where colours would be noise. */
  readonly isTTY?: boolean;
  /** Of the terminal. Absent: it is none. */
  readonly columns?: number;
  write(text: string): unknown;
}

/** True when the stream is a terminal and NO_COLOR (no-color.org) is not set. */
export function usesColour(stream: Output, environment: NodeJS.ProcessEnv = process.env): boolean {
  return stream.isTTY === true && (environment.NO_COLOR ?? "") === "" && environment.TERM !== "dumb";
}

/** Columns of the terminal; where it is none those of COLUMNS; undefined: as many as are needed. */
export function terminalWidth(stream: Output, environment: NodeJS.ProcessEnv = process.env): number | undefined {
  const columns = stream.isTTY === true ? stream.columns : Number.parseInt(environment.COLUMNS ?? "", 10);
  return columns !== undefined && columns > 0 ? columns : undefined;
}

/** The text in a colour, or as it is. */
export function paint(text: string, colour: Colour | undefined, enabled: boolean): string {
  return enabled && colour !== undefined ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text;
}

/** A table's cell: text, or text in a colour. */
export type Cell = string | { readonly text: string; readonly colour: Colour };

/**
 * Left-aligned columns, two spaces apart, no trailing blanks.
 * @param header column names
 * @param rows cells in column order
 * @param colour whether to colour
 */
export function formatTable(header: readonly string[], rows: readonly (readonly Cell[])[], colour: boolean): string {
  const all: (readonly Cell[])[] = [header.map((text) => ({ text, colour: "bold" as const })), ...rows];
  const text = (cell: Cell | undefined): string => (typeof cell === "object" ? cell.text : (cell ?? ""));
  const widths = header.map((_, column) => all.reduce((width, row) => Math.max(width, text(row[column]).length), 0));
  const line = (row: readonly Cell[]): string => {
    const last = row.findLastIndex((cell) => text(cell) !== "");
    const cells = row.slice(0, last + 1).map((cell, column) => {
      const padding = column === last ? "" : " ".repeat((widths[column] ?? 0) - text(cell).length);
      return paint(text(cell), typeof cell === "object" ? cell.colour : undefined, colour) + padding;
    });
    return cells.join("  ");
  };
  return `${all.map(line).join("\n")}\n`;
}

/** Text from a device or a process, safe to print: no control characters, at most `max` characters. */
export function printable(text: string, max = 300): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the purpose
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ").trim();
  return clean.length > max ? `${clean.slice(0, max - 1)}…` : clean;
}

/** Milliseconds before a run shows that it is at work. */
const QUIET_MS = 2_000;
/** Milliseconds between two lines where the stream is no terminal. */
const LINE_MS = 10_000;

/** Shows how far a run is, on stderr, once it takes over two seconds. */
export class Progress {
  readonly #label: string;
  readonly #total: number;
  readonly #stream: Output;
  readonly #started = Date.now();
  #done = 0;
  #shown = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param label what is being done, e.g. `enroll tokyo`
   * @param total number of items
   * @param stream default stderr
   */
  constructor(label: string, total: number, stream: Output = process.stderr) {
    this.#label = label;
    this.#total = total;
    this.#stream = stream;
    this.#timer = setInterval(() => this.#show(), stream.isTTY === true ? 500 : 1_000);
    this.#timer.unref();
  }

  /** One more item is done. */
  advance(): void {
    this.#done += 1;
  }

  /** Stops showing and clears the terminal's line. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#shown > 0 && this.#stream.isTTY === true) this.#stream.write("\r\u001b[K");
  }

  #show(): void {
    const now = Date.now();
    if (now - this.#started < QUIET_MS) return;
    const text = `${this.#label}: ${this.#done}/${this.#total} after ${Math.round((now - this.#started) / 1000)} s`;
    if (this.#stream.isTTY === true) this.#stream.write(`\r\u001b[K${text}`);
    else if (now - this.#shown >= LINE_MS) this.#stream.write(`${text}\n`);
    else return;
    this.#shown = now;
  }
}
