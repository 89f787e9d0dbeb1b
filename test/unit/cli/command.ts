/** Runs the `edge-fleet` command as a user does: as a process. */
import { join } from "node:path";
import { type RunResult, runProgram } from "../../../cli/process.ts";

/** Entry point of the command. */
export const MAIN = join(import.meta.dirname, "..", "..", "..", "cli", "main.ts");

/** Runs the command without a terminal. */
export function edgeFleet(
  args: readonly string[],
  options: { readonly environment?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<RunResult> {
  return runProgram(process.execPath, [MAIN, ...args], { timeoutMs: 120_000, ...options });
}
