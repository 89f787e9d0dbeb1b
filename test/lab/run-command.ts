/** Runs one program to its end and keeps what it printed. */
import { spawn } from "node:child_process";

/** Exit code (128 + signal number is not computed: a killed program has code -1) and output. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Wall time in milliseconds. */
  readonly milliseconds: number;
}

export interface CommandOptions {
  readonly cwd: string;
  /** Added to this process' environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Receives stdout and stderr as they come. */
  readonly onOutput?: (text: string) => void;
}

/** @throws Error when the program cannot be started */
export function runCommand(command: string, args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
        options.onOutput?.(text);
      });
    }
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? -1, ...output, milliseconds: performance.now() - started }));
  });
}
