/**
 * When a run of the engine counts as stalled: from the growth of its event log to a verdict. A host that turns silent
 * after it was dialled hangs the engine for ever, and no option of the engine ends that.
 */

/** What is known of the event log. */
export interface LogState {
  /** Bytes. */
  readonly size: number;
  /** Milliseconds (epoch) at which the size was first seen. */
  readonly since: number;
}

/** Carries the state over to a new observation. */
export function observe(previous: LogState, size: number, now: number): LogState {
  return size === previous.size ? previous : { size, since: now };
}

/**
 * Whether the run has to be ended.
 * @param lastEvent last line of the log
 * @param stallMs silence that counts as a stall
 * @param interactive the CLI may be waiting for a person's yes, which is no stall
 */
export function isStalled(
  state: LogState,
  now: number,
  stallMs: number,
  lastEvent: string,
  interactive: boolean,
): boolean {
  if (now - state.since < stallMs) return false;
  return !(interactive && isWaitingForAnswer(lastEvent));
}

/** After the summary of a preview the CLI asks and writes nothing until it is answered. */
export function isWaitingForAnswer(lastEvent: string): boolean {
  try {
    const event = JSON.parse(lastEvent) as Record<string, unknown>;
    return event.summaryEvent !== undefined || event.cancelEvent !== undefined;
  } catch {
    return false;
  }
}
