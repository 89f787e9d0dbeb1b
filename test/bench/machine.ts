/**
 * What a figure depends on: the machine and how busy it was. Every benchmark takes this before it starts and prints it
 * with its result, because a ratio holds for one machine in one state.
 */
import { readFileSync } from "node:fs";
import { arch, cpus, loadavg, totalmem } from "node:os";

/** State of the machine. */
export interface Machine {
  /** Logical processors. */
  readonly processors: number;
  readonly model: string;
  readonly architecture: string;
  readonly memoryGiB: number;
  /** Processes that ran or waited to run, averaged over the last minute. Above `processors`, wall times are too high. */
  readonly load: number;
  /** Processes that run or wait to run right now, this one included. */
  readonly runnable: number;
  readonly node: string;
}

/** Reads it. */
export function readMachine(): Machine {
  const [first] = cpus();
  return {
    processors: cpus().length,
    model: first?.model.trim() ?? "unknown",
    architecture: arch(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    load: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    runnable: Number(/ (\d+)\//.exec(readFileSync("/proc/loadavg", "utf8"))?.[1] ?? 0),
    node: process.version,
  };
}

/** One line. */
export function describeMachine({ processors, model, architecture, memoryGiB, load, runnable, node }: Machine): string {
  return `${processors} x ${model} (${architecture}), ${memoryGiB} GiB, Node.js ${node}, load ${load} and ${runnable} runnable at the start`;
}
