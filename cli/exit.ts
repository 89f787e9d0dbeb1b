/** What a command ends with: the exit codes, the errors that carry them, and how an error is said to a person. */
import { CommanderError } from "commander";

/** Exit codes of every command. */
export const EXIT = {
  /** Everything that was asked for is done. */
  ok: 0,
  /** Something failed. */
  failed: 1,
  /** Wrong usage, or input that has to be fixed first; nothing was changed. */
  usage: 2,
  /** Nothing failed, but something is pending: unreachable or not enrolled devices. Run again later. */
  pending: 3,
} as const;

/** One of {@link EXIT}. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Input that the user has to fix; ends the command with {@link EXIT}.usage. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** How a command ends because of an error. */
export interface Ending {
  readonly code: ExitCode;
  /** For stderr; empty when commander has printed its own message. */
  readonly message: string;
}

/**
 * The ending for a thrown value.
 * @param error whatever was thrown
 */
export function endingOf(error: unknown): Ending {
  if (error instanceof CommanderError) return { code: error.exitCode === 0 ? EXIT.ok : EXIT.usage, message: "" };
  // By its name, so that telling of any error does not load the inventory.
  if (error instanceof Error && error.name === "InventoryError") return { code: EXIT.usage, message: error.message };
  if (error instanceof UsageError) return { code: EXIT.usage, message: `error: ${error.message}` };
  return { code: EXIT.failed, message: `error: ${error instanceof Error ? error.message : String(error)}` };
}

/** The code of a run over devices: failures weigh more than pending ones. */
export function exitCodeOf(counts: { readonly failed: number; readonly pending: number }): ExitCode {
  if (counts.failed > 0) return EXIT.failed;
  return counts.pending > 0 ? EXIT.pending : EXIT.ok;
}
