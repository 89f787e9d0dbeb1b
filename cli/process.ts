/**
 * The one place that starts other programs. Every run is bounded in time and in output, gets no shell, and is ended with
 * its whole process group.
 */
import { type ChildProcess, spawn } from "node:child_process";

/** How a program is run. */
export interface RunOptions {
  /** Sent to stdin, which is then closed. Default: nothing. */
  readonly stdin?: string | Uint8Array;
  /** Milliseconds after which the program is killed. Default: none. */
  readonly timeoutMs?: number;
  /** Killed when it aborts. */
  readonly signal?: AbortSignal;
  /** Folder to run in. Default: the current one. */
  readonly cwd?: string;
  /** Added to the environment; `undefined` takes a variable out of it. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Bytes kept of stdout and of stderr each; a program that writes more is killed. Default 256 KiB. */
  readonly maxOutputBytes?: number;
}

/** How a program ended. */
export interface RunResult {
  /** `undefined` when it was ended by a signal or could not be started. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it was ended by us, if it was. */
  readonly ended: "timeout" | "aborted" | "output" | undefined;
}

/** One running program: what it wrote so far and why it was ended. */
class Run {
  readonly #options: RunOptions;
  readonly #chunks: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  readonly #sizes = { stdout: 0, stderr: 0 };
  readonly #child: ReturnType<typeof spawn>;
  #ended: RunResult["ended"];

  constructor(command: string, args: readonly string[], options: RunOptions) {
    this.#options = options;
    this.#child = spawn(command, args, {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, LC_ALL: "C", ...options.environment },
    });
  }

  /** Resolves when the program has ended, however it did. */
  finished(): Promise<RunResult> {
    const { timeoutMs, signal } = this.#options;
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => this.#end("timeout"), timeoutMs);
    const abort = (): void => this.#end("aborted");
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    this.#feed();
    this.#child.stdout?.on("data", (chunk: Buffer) => this.#take("stdout", chunk));
    this.#child.stderr?.on("data", (chunk: Buffer) => this.#take("stderr", chunk));
    return new Promise((resolve) => {
      const settle = (exitCode: number | undefined, problem = ""): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        const text = (name: "stdout" | "stderr"): string => Buffer.concat(this.#chunks[name]).toString("utf8");
        resolve({ exitCode, stdout: text("stdout"), stderr: text("stderr") + problem, ended: this.#ended });
      };
      this.#child.on("error", (error) => settle(undefined, error.message));
      this.#child.on("close", (code) => settle(code ?? undefined));
    });
  }

  #feed(): void {
    // The program may end without reading its stdin: EPIPE is then no error of ours.
    this.#child.stdin?.on("error", () => {});
    this.#child.stdin?.end(this.#options.stdin ?? "");
  }

  #take(name: "stdout" | "stderr", chunk: Buffer): void {
    this.#sizes[name] += chunk.length;
    if (this.#sizes[name] > (this.#options.maxOutputBytes ?? 256 * 1024)) {
      this.#end("output");
      return;
    }
    this.#chunks[name].push(chunk);
  }

  #end(reason: NonNullable<RunResult["ended"]>): void {
    this.#ended ??= reason;
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // ESRCH: it has ended by itself in the meantime.
    }
  }
}

/**
 * Runs a program to its end.
 * @param command name on PATH, or a path
 * @param args its arguments; never secrets, they are visible to every user of the machine
 * @returns how it ended; never rejects
 */
export function runProgram(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return new Run(command, args, options).finished();
}

/**
 * Runs a program that may ask on the terminal, and takes what it writes to stdout. It has no bound in time: a person may be
 * typing.
 * @throws Error when it cannot be started
 */
export function captureForeground(
  command: string,
  args: readonly string[],
): Promise<{ readonly exitCode: number | undefined; readonly stdout: Uint8Array }> {
  const child = spawn(command, args, { stdio: ["inherit", "pipe", "inherit"], env: { ...process.env, LC_ALL: "C" } });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ exitCode: code ?? undefined, stdout: Buffer.concat(chunks) }));
  });
}

/** Where the stdout of a program goes: to this process's own, or to whoever reads it. */
export type ForegroundOutput = "stdout" | "stderr" | ((chunk: Buffer) => void);

/** A program that has the terminal to itself while it runs. */
export interface ForegroundOptions {
  /** Added to the environment; a variable that is set there already stays as it is. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where its stdout goes. `stderr` keeps stdout free for a report of our own; a function takes it. */
  readonly stdout: ForegroundOutput;
}

/** How a foreground program ended. */
export interface ForegroundResult {
  /** `undefined` when a signal ended it. */
  readonly exitCode: number | undefined;
  /** Somebody pressed Ctrl-C, or asked this process to end. */
  readonly interrupted: boolean;
}

/**
 * Runs a program with this process's own stdin, stdout and stderr, and waits for it whatever happens. Ctrl-C reaches it
 * through the terminal, which signals the whole process group: handing it on would make it two, at which Pulumi gives up.
 * @throws Error when it cannot be started
 */
export async function runForeground(
  command: string,
  args: readonly string[],
  { environment, stdout }: ForegroundOptions,
): Promise<ForegroundResult> {
  const child = spawn(command, args, {
    stdio: ["inherit", stdout === "stdout" ? 1 : stdout === "stderr" ? 2 : "pipe", "inherit"],
    env: { ...environment, ...process.env },
  });
  if (typeof stdout === "function") child.stdout?.on("data", stdout);
  return outlive(child, ["SIGTERM"]);
}

/**
 * Waits for the end of a program, whatever happens: Ctrl-C, which the terminal gives to both, is only noted.
 * @param handedOn signals that the program gets from this process
 * @throws Error when it cannot be started
 */
async function outlive(child: ChildProcess, handedOn: readonly NodeJS.Signals[]): Promise<ForegroundResult> {
  let interrupted = false;
  const note = (): void => {
    interrupted = true;
  };
  const forward = (signal: NodeJS.Signals): void => {
    note();
    child.kill(signal);
  };
  process.on("SIGINT", note);
  for (const signal of handedOn) process.on(signal, forward);
  try {
    return await new Promise<ForegroundResult>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => resolve({ exitCode: code ?? undefined, interrupted }));
    });
  } finally {
    process.off("SIGINT", note);
    for (const signal of handedOn) process.off(signal, forward);
  }
}

/** A program that works beside this process, on its terminal or on pipes. */
export interface AttachOptions {
  /** `inherit`: this process's own. A text is sent; held open, the pipe's end tells the program that this process is gone. */
  readonly stdin: "inherit" | { readonly text: string; readonly held: boolean };
  /** `inherit`: this process's own. */
  readonly stdout: "inherit" | ((chunk: Buffer) => void);
  /** As {@link stdout}. */
  readonly stderr: "inherit" | ((chunk: Buffer) => void);
  /** Goes before what is set already. Default: nothing. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Its own session, which the terminal's Ctrl-C does not reach. Default false. */
  readonly session?: boolean;
  /** Ends it when it aborts. Default: nobody does. */
  readonly signal?: AbortSignal;
}

/**
 * Runs a program to its end beside this process, which survives Ctrl-C meanwhile and hands other signals on.
 * @throws Error when it cannot be started
 */
export async function attachProgram(
  command: string,
  args: readonly string[],
  { stdin, stdout, stderr, environment, session = false, signal }: AttachOptions,
): Promise<ForegroundResult> {
  const child = spawn(command, args, {
    stdio: [stdin === "inherit" ? 0 : "pipe", stdout === "inherit" ? 1 : "pipe", stderr === "inherit" ? 2 : "pipe"],
    env: { ...process.env, ...environment },
    detached: session,
  });
  const end = (): void => void child.kill("SIGTERM");
  signal?.addEventListener("abort", end);
  if (typeof stdout !== "string") child.stdout?.on("data", stdout);
  if (typeof stderr !== "string") child.stderr?.on("data", stderr);
  if (stdin !== "inherit") {
    child.stdin?.on("error", () => {}).write(stdin.text);
    if (!stdin.held) child.stdin?.end();
  }
  if (signal?.aborted) end();
  try {
    return await outlive(child, ["SIGTERM", "SIGHUP"]);
  } finally {
    signal?.removeEventListener("abort", end);
  }
}
