/** Runs a command for a test, and tells what it printed and how it ended, whatever the exit code. */
import { spawn } from "node:child_process";
import { constants } from "node:os";

/** What a command printed and how it ended. */
export interface CommandResult {
  /** Exit code, or 128 + signal number. */
  readonly code: number;
  /** Standard output as UTF-8. */
  readonly stdout: string;
  /** Standard error as UTF-8. */
  readonly stderr: string;
}

/** What else a caller may set. */
export interface CommandSetting {
  /** Working directory. Default: this process's. */
  readonly cwd?: string;
  /** Receives stdout and stderr as they come. */
  readonly onOutput?: (text: string) => void;
  /** What the command reads on its standard input. Default: nothing. */
  readonly input?: string;
}

/**
 * Runs a command and waits until it has ended and its output is read.
 * @param command executable, looked up on the PATH of `env`
 * @param args its arguments
 * @param env its whole environment. Default: this process's
 * @param setting working directory, listener and standard input
 * @throws Error when it cannot be started
 */
export function runCommand(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  { cwd, onOutput, input = "" }: CommandSetting = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
    // A command that ends without reading closes the pipe; its exit code tells.
    child.stdin.on("error", () => {}).end(input);
    const output = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        output[stream] += text;
        onOutput?.(text);
      });
    }
    child.once("error", reject);
    child.once("close", (code, signal) =>
      resolve({ code: code ?? 128 + (signal === null ? 0 : constants.signals[signal]), ...output }),
    );
  });
}
