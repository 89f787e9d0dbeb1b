/** Runs a program as {@link runDeviceCommand} does, with variables added to this process' environment, and takes its time. */
import {
  type CommandSetting,
  type CommandResult as Result,
  runCommand as runDeviceCommand,
} from "./devices/command.ts";

/** What a program printed, how it ended and how long it took. */
export interface CommandResult extends Result {
  /** Wall time in milliseconds. */
  readonly milliseconds: number;
}

/** Where and with what a command runs. */
export interface CommandOptions extends CommandSetting {
  readonly cwd: string;
  /** Added to this process' environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** @throws Error when the program cannot be started */
export async function runCommand(
  command: string,
  args: readonly string[],
  { env, ...setting }: CommandOptions,
): Promise<CommandResult> {
  const started = performance.now();
  const result = await runDeviceCommand(command, args, { ...process.env, ...env }, setting);
  return { ...result, milliseconds: performance.now() - started };
}
