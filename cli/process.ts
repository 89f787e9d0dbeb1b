/**
 * The one place that starts other programs. Every run is bounded in time and in output, gets no shell, and is ended with
 * its whole process group.
 */
import { spawn, spawnSync } from "node:child_process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** How a program is run. */
export interface RunOptions {
  /** Sent to stdin, which is then closed. Default: nothing. */
  readonly stdin?: string | Uint8Array;
  /** Sent to stdin after the first line on stdout, which it is computed from; stdin is then closed. */
  readonly reply?: (firstLine: string) => Readable | undefined;
  /**
   * Called with each line on stdout. What it returns is sent to stdin, which stays open; `close` ends stdin. Answers are
   * sent one after the other. Not together with {@link reply}.
   */
  readonly converse?: (line: string) => Readable | "close" | undefined;
  /** Milliseconds after which the program is killed. Default: none. */
  readonly timeoutMs?: number;
  /** Milliseconds without a byte in either direction after which it is killed. Default: none. */
  readonly idleMs?: number;
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
  readonly ended: "timeout" | "idle" | "aborted" | "output" | undefined;
}

/** One running program: what it wrote so far and why it was ended. */
class Run {
  readonly #options: RunOptions;
  readonly #chunks: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  readonly #sizes = { stdout: 0, stderr: 0 };
  readonly #child: ReturnType<typeof spawn>;
  #ended: RunResult["ended"];
  #replied = false;
  /** Characters of stdout that {@link RunOptions.converse} has been given. */
  #heard = 0;
  #speaking: Promise<void> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;

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
    this.#touch();
    this.#feed();
    this.#child.stdout?.on("data", (chunk: Buffer) => this.#take("stdout", chunk));
    this.#child.stderr?.on("data", (chunk: Buffer) => this.#take("stderr", chunk));
    return new Promise((resolve) => {
      const settle = (exitCode: number | undefined, problem = ""): void => {
        clearTimeout(timer);
        clearTimeout(this.#idle);
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
    const { reply, converse } = this.#options;
    if (reply === undefined && converse === undefined) this.#child.stdin?.end(this.#options.stdin ?? "");
    else this.#child.stdin?.write(this.#options.stdin ?? "");
  }

  #take(name: "stdout" | "stderr", chunk: Buffer): void {
    this.#touch();
    this.#sizes[name] += chunk.length;
    if (this.#sizes[name] > (this.#options.maxOutputBytes ?? 256 * 1024)) {
      this.#end("output");
      return;
    }
    this.#chunks[name].push(chunk);
    if (name === "stdout") this.#reply();
    if (name === "stdout") this.#converse();
  }

  #reply(): void {
    if (this.#options.reply === undefined || this.#replied) return;
    const text = Buffer.concat(this.#chunks.stdout).toString("utf8");
    const end = text.indexOf("\n");
    if (end < 0) return;
    this.#replied = true;
    const body = this.#options.reply(text.slice(0, end)) ?? Readable.from([]);
    body.on("data", () => this.#touch());
    body.on("error", () => this.#end("aborted"));
    if (this.#child.stdin !== null) body.pipe(this.#child.stdin);
  }

  #converse(): void {
    const { converse } = this.#options;
    if (converse === undefined) return;
    const text = Buffer.concat(this.#chunks.stdout).toString("latin1");
    for (let end = text.indexOf("\n", this.#heard); end >= 0; end = text.indexOf("\n", this.#heard)) {
      const answer = converse(Buffer.from(text.slice(this.#heard, end), "latin1").toString("utf8"));
      this.#heard = end + 1;
      if (answer !== undefined) this.#speaking = this.#speaking.then(() => this.#say(answer));
    }
  }

  async #say(answer: Readable | "close"): Promise<void> {
    const { stdin } = this.#child;
    if (stdin === null || answer === "close") {
      stdin?.end();
      return;
    }
    answer.on("data", () => this.#touch());
    try {
      await pipeline(answer, stdin, { end: false });
    } catch {
      // A source that fails ends the run; a program that has ended has no stdin, and is judged by how it ended.
      if (!stdin.destroyed) this.#end("aborted");
    }
  }

  #touch(): void {
    if (this.#options.idleMs === undefined) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#end("idle"), this.#options.idleMs);
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

/** A program that has the terminal to itself while it runs. */
export interface ForegroundOptions {
  /** Added to the environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where its stdout goes. `stderr` keeps stdout free for a report of our own. */
  readonly stdout: "stdout" | "stderr";
  /** Asked again and again; true ends the program. */
  readonly isStalled: () => boolean;
  /** Milliseconds between two questions. */
  readonly pollMs: number;
  /** Milliseconds between SIGINT and SIGKILL once it is stalled. */
  readonly graceMs: number;
}

/** How a foreground program ended. */
export interface ForegroundResult {
  /** `undefined` when a signal ended it. */
  readonly exitCode: number | undefined;
  /** `stopped`: it obeyed SIGINT. `killed`: it did not, and could not clean up. */
  readonly stalled: "stopped" | "killed" | undefined;
}

/**
 * Runs a program with this process's own stdin, stdout and stderr. Ctrl-C reaches it through the terminal; this process
 * then only waits for it.
 * @throws Error when it cannot be started
 */
export function runForeground(
  command: string,
  args: readonly string[],
  options: ForegroundOptions,
): Promise<ForegroundResult> {
  const child = spawn(command, args, {
    stdio: ["inherit", options.stdout === "stderr" ? 2 : 1, "inherit"],
    env: { ...process.env, ...options.environment },
  });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  const ignore = (): void => {};
  process.on("SIGINT", ignore).on("SIGTERM", forward);
  let stalled: ForegroundResult["stalled"];
  let killer: NodeJS.Timeout | undefined;
  const poll = setInterval(() => {
    if (stalled !== undefined || !options.isStalled()) return;
    stalled = "stopped";
    child.kill("SIGINT");
    killer = setTimeout(() => {
      stalled = "killed";
      killTree(child.pid);
    }, options.graceMs);
  }, options.pollMs);
  return new Promise<ForegroundResult>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve({ exitCode: code ?? undefined, stalled }));
  }).finally(() => {
    clearInterval(poll);
    clearTimeout(killer);
    process.off("SIGINT", ignore).off("SIGTERM", forward);
  });
}

/** Kills a process and its descendants: it shares our process group, so the group cannot be used. */
function killTree(root: number | undefined): void {
  if (root === undefined) return;
  const listing = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).stdout ?? "";
  const rows = listing.split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  const doomed = [root];
  for (const parent of doomed)
    for (const [pid, ppid] of rows) if (ppid === parent && pid !== undefined) doomed.push(pid);
  for (const pid of doomed) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // ESRCH: it has ended by itself in the meantime.
    }
  }
}
