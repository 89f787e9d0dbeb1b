/** When builds will be done on this machine, by what each takes and has taken in processor time. */
import { readFileSync } from "node:fs";

/** Ticks of a second in `/proc` (Linux' USER_HZ). */
const TICKS = 100;

/** Processor seconds that must have been spent before they say anything of the machine. */
const ENOUGH = 10;

/** One build, as a forecast sees it. */
interface Work {
  readonly name: string;
  /** Processor seconds of the whole build. */
  readonly seconds: number;
}

/** The time left of several builds, some of which run at the same time. */
export class Forecast {
  readonly #left: Map<string, number>;
  readonly #spent = new Map<string, number>();
  readonly #started: number;
  readonly #now: () => number;

  /**
   * @param works what is to be built
   * @param now clock in milliseconds. Default: this process' own
   */
  constructor(works: readonly Work[], now: () => number = () => performance.now()) {
    this.#left = new Map(works.map(({ name, seconds }) => [name, seconds]));
    this.#now = now;
    this.#started = now();
  }

  /**
   * Notes what a build has taken so far.
   * @param name the build
   * @param seconds processor seconds since its start
   */
  spend(name: string, seconds: number): void {
    this.#spent.set(name, seconds);
  }

  /**
   * Notes that nothing is left of a build.
   * @param name the build
   */
  finish(name: string): void {
    this.#left.delete(name);
  }

  /**
   * The time left of all builds, at the speed at which this machine has worked so far.
   * @returns `, about 4 min left`; empty while too little is known. A build that finds packages compiled ends earlier
   */
  text(): string {
    const spent = [...this.#spent.values()].reduce((sum, seconds) => sum + seconds, 0);
    if (spent < ENOUGH) return "";
    const rest = [...this.#left].reduce((sum, [name, all]) => sum + Math.max(0, all - (this.#spent.get(name) ?? 0)), 0);
    const seconds = (rest * (this.#now() - this.#started)) / 1000 / spent;
    return seconds > 90
      ? `, about ${Math.round(seconds / 60)} min left`
      : `, about ${Math.ceil(seconds / 10) * 10} s left`;
  }
}

/**
 * Processor seconds of the ended children of a process: a build's compilers.
 * @param pid the process
 * @param read reads a file. Default: from disk
 * @returns seconds; 0 when the process has ended
 */
export function childrenSeconds(
  pid: number,
  read: (path: string) => string = (path) => readFileSync(path, "utf8"),
): number {
  let stat: string;
  try {
    stat = read(`/proc/${pid}/stat`);
  } catch {
    return 0;
  }
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) / TICKS;
}
