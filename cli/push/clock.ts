/**
 * The clock of a device to which something is pushed, judged before a byte is sent: a device without a cluster fails by a
 * wrong one, one that has a cluster is only warned.
 */
import { type Bracket, clockFinding, controllerSeconds, parseClock } from "../ssh/clock.ts";
import { type PushOutcome, unsent } from "./outcome.ts";

/** One connection's judgement of the clock. Made before the connection is opened. */
export class ClockWatch {
  readonly #before: number;
  readonly #now: () => number;
  #finding: string | undefined;
  #refused = false;

  /** @param now the controller's seconds since 1970. Default: its clock */
  constructor(now: () => number = controllerSeconds) {
    this.#now = now;
    this.#before = now();
  }

  /** Nothing may be sent. */
  get refused(): boolean {
    return this.#refused;
  }

  /** Hears a line of the device. @returns whether it was the one about the clock */
  hear(line: string): boolean {
    const clock = parseClock(line);
    if (clock === undefined) return false;
    const bracket: Bracket = { before: this.#before, after: this.#now() };
    this.#finding = clockFinding(clock.seconds, bracket);
    this.#refused = this.#finding !== undefined && !clock.started;
    return true;
  }

  /** What became of the push, with what was found. */
  conclude(outcome: PushOutcome): PushOutcome {
    if (this.#finding === undefined) return outcome;
    const finding = `clock: ${this.#finding}`;
    if (this.#refused) return unsent(outcome.id, "failed", "clock", this.#finding);
    return { ...outcome, message: `${outcome.message}; warning: ${finding}` };
  }
}
