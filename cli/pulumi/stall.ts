/**
 * What the engine's events tell of a run: whether it has stalled, and what its errors are about. A host that turns silent
 * after it was dialled hangs the engine for ever, and no option of the engine ends that.
 */
import type { EngineEvent } from "./events.ts";

/** What is known of a run so far. */
export interface RunState {
  /** Milliseconds (epoch) of the last event, or of the start. */
  readonly since: number;
  /** The last event was one after which the CLI may ask a question. */
  readonly waiting: boolean;
  /** Names of the resources that errors are about; empty for the program or the run as a whole. */
  readonly errors: ReadonlySet<string>;
}

/** Before the first event. */
export function startState(now: number): RunState {
  return { since: now, waiting: false, errors: new Set() };
}

/** Carries the state over to a new event. */
export function observe({ errors }: RunState, event: EngineEvent, now: number): RunState {
  const { diagnosticEvent, summaryEvent, cancelEvent } = event;
  const subject = diagnosticEvent?.severity === "error" ? subjectOf(diagnosticEvent) : undefined;
  return {
    since: now,
    // After the summary of a preview the CLI asks and sends nothing until it is answered.
    waiting: summaryEvent !== undefined || cancelEvent !== undefined,
    errors: subject === undefined || errors.has(subject) ? errors : new Set([...errors, subject]),
  };
}

/**
 * Whether the run has to be ended.
 * @param stallMs silence that counts as a stall
 * @param interactive the CLI may be waiting for a person's yes, which is no stall
 */
export function isStalled({ since, waiting }: RunState, now: number, stallMs: number, interactive: boolean): boolean {
  return now - since >= stallMs && !(interactive && waiting);
}

/** The engine's last word on a run in which something has failed: the cause was told before. */
const LAST_WORD = /^(update|preview) failed\s*$/;

/** The URN is `urn:pulumi:<stack>::<project>::<types>::<name>`. */
function subjectOf({ message, urn = "" }: NonNullable<EngineEvent["diagnosticEvent"]>): string | undefined {
  if (urn === "") return LAST_WORD.test(message.replace(/<\{%[^%]*%\}>/g, "")) ? undefined : "";
  const [, , types = "", name = ""] = urn.split("::");
  return types === "pulumi:pulumi:Stack" ? "" : name;
}
