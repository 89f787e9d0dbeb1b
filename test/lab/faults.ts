/**
 * The faults that a test file injects and the device survives, as figures: one line a file, `faults injected: 74,
 * survived: 74 (killed 60 of 60, ...)`, which test/bench/faults.ts adds up. A fault counts as survived only when its
 * whole body passed: the device works in its old or new state, the next run brings it to the wanted one, nothing is
 * left over.
 */
import { after } from "node:test";

/** What is done to the device, as the line names it. */
export type FaultKind =
  | "killed"
  | "power cut"
  | "hanging run"
  | "failing release"
  | "wrong artifact"
  | "cut download"
  | "missing artifact"
  | "full disk"
  | "wrong clock"
  | "unfit machine"
  | "dropped connection"
  | "several controllers"
  | "stale lock"
  | "hostile payload"
  | "hostile mirror"
  | "damaged file"
  | "replaced program";

/** How many of one kind. */
export interface FaultTally {
  readonly injected: number;
  readonly survived: number;
}

/** Tallies by kind. */
export type FaultTallies = ReadonlyMap<string, FaultTally>;

/** Counts the faults of one file. */
export class FaultCount {
  readonly #tallies = new Map<string, FaultTally>();

  /** So far, in the order in which the kinds came. */
  get tallies(): FaultTallies {
    return this.#tallies;
  }

  /**
   * Runs a body that injects a fault and asserts that the device survives it.
   * @param body may return a promise; what it throws is passed on and leaves the fault as one that was not survived
   * @param faults how many the body injects, all survived or none. Default 1
   * @returns what the body returns
   */
  survive<T>(kind: FaultKind, body: () => T, faults = 1): T {
    this.#add(kind, faults, 0);
    const result = body();
    if (!(result instanceof Promise)) {
      this.#add(kind, 0, faults);
      return result;
    }
    return result.then((value: unknown) => {
      this.#add(kind, 0, faults);
      return value;
    }) as T;
  }

  #add(kind: FaultKind, injected: number, survived: number): void {
    const present = this.#tallies.get(kind) ?? { injected: 0, survived: 0 };
    this.#tallies.set(kind, { injected: present.injected + injected, survived: present.survived + survived });
  }
}

/** A count that is told on stdout when the file that asks for it has ended. */
export function countFaults(): FaultCount {
  const count = new FaultCount();
  after(() => process.stdout.write(`${formatFaults(count.tallies)}\n`));
  return count;
}

/** The sum over all kinds. */
export function sumFaults(tallies: FaultTallies): FaultTally {
  const all = [...tallies.values()];
  return {
    injected: all.reduce((sum, { injected }) => sum + injected, 0),
    survived: all.reduce((sum, { survived }) => sum + survived, 0),
  };
}

/** The line of a file. */
export function formatFaults(tallies: FaultTallies): string {
  const { injected, survived } = sumFaults(tallies);
  const kinds = [...tallies].map(([kind, tally]) => `${kind} ${tally.survived} of ${tally.injected}`);
  return `faults injected: ${injected}, survived: ${survived} (${kinds.join(", ")})`;
}

/** Reads the line from what a run of the file printed; undefined when it has none. */
export function parseFaults(output: string): FaultTallies | undefined {
  const [, list] = /faults injected: \d+, survived: \d+ \(([^)\n]*)\)/.exec(output) ?? [];
  if (list === undefined) return undefined;
  const kinds = [...list.matchAll(/([a-z][a-z ]*) (\d+) of (\d+)/g)];
  return new Map(
    kinds.map(([, kind = "", survived, injected]) => [
      kind,
      { injected: Number(injected), survived: Number(survived) },
    ]),
  );
}
