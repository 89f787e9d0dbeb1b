/** Runs the `edge-fleet` command as a user does: as a process. */
import { join } from "node:path";
import type { Command } from "commander";
import type { z } from "zod";
import { JSON_DOCUMENTS } from "../../../cli/json/reference.ts";
import { type RunResult, runProgram } from "../../../cli/process.ts";

/** Entry point of the command. */
export const MAIN = join(import.meta.dirname, "..", "..", "..", "cli", "main.ts");

/** Runs the command without a terminal. What it prints with --json is what docs/json.md says. */
export async function edgeFleet(
  args: readonly string[],
  options: { readonly environment?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): Promise<RunResult> {
  const result = await runProgram(process.execPath, [MAIN, ...args], { timeoutMs: 120_000, ...options });
  const schema = args.includes("--json") ? documentOf(args) : undefined;
  if (schema !== undefined && result.stdout !== "") schema.parse(JSON.parse(result.stdout));
  return result;
}

function documentOf([name = "", below = ""]: readonly string[]): z.ZodType | undefined {
  return JSON_DOCUMENTS.get(name) ?? JSON_DOCUMENTS.get(`${name} ${below}`);
}

/**
 * The command that words begin with, one below another where there are such.
 * @param commands of the program
 * @returns undefined where there is none; and the words after its name
 */
export function findCommand(
  commands: readonly Command[],
  [name = "", ...rest]: readonly string[],
): readonly [command: Command | undefined, rest: readonly string[]] {
  const command = commands.find((candidate) => candidate.name() === name);
  if (command === undefined || command.commands.length === 0 || rest.length === 0) return [command, rest];
  return findCommand(command.commands, rest);
}
