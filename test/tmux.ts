/** A real terminal for the tests: tmux, Debian's package, with a server of its own that ends with the test. */
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds between two looks at the screen. */
const LOOK_MS = 100;

/** What the shell says after the command. */
const END = /^exit code (\d+)$/m;

/** A command on a terminal of 80 columns and 40 lines. */
export class Terminal {
  readonly #socket: string;

  /**
   * @param folder where the terminal's socket goes, outside of `cwd`
   * @param cwd the command's folder
   */
  constructor(context: Pick<TestContext, "after">, folder: string, cwd: string, command: readonly string[]) {
    this.#socket = join(folder, "tmux.sock");
    context.after(() => spawnSync("tmux", ["-S", this.#socket, "kill-server"]));
    const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
    const remain = ["set-option", "-g", "remain-on-exit", "on", ";"];
    // On a busy machine tmux 3.3a at times never learns how a command ended, so the shell tells it.
    const told = `trap : INT; ${words}; printf '\\nexit code %s\\n' "$?"`;
    const start = ["new-session", "-d", "-x", "80", "-y", "40", "-c", cwd, told];
    this.#tmux("-f", "/dev/null", "start-server", ";", ...remain, ...start);
  }

  /** What stands on the screen, lines that wrap joined. */
  screen(): string {
    return this.#tmux("capture-pane", "-p", "-J", "-S", "-").trimEnd();
  }

  /** Types text and Enter. */
  type(text: string): void {
    if (text !== "") this.#tmux("send-keys", "-l", text);
    this.press("Enter");
  }

  /** Presses one key by its name in tmux, e.g. `C-c`. */
  press(key: string): void {
    this.#tmux("send-keys", key);
  }

  /**
   * Waits until the screen ends with a text.
   * @throws Error with the screen when it does not within `timeoutMs`
   */
  async shows(end: string, timeoutMs = 60_000): Promise<void> {
    await this.#until(() => this.screen().endsWith(end.trimEnd()), JSON.stringify(end), timeoutMs);
  }

  /** Waits until the command has ended. @returns its exit code */
  async exitCode(timeoutMs = 60_000): Promise<number> {
    const code = () => END.exec(this.screen())?.[1];
    await this.#until(() => code() !== undefined, "the end of the command", timeoutMs);
    return Number(code());
  }

  async #until(holds: () => boolean, what: string, timeoutMs: number): Promise<void> {
    for (const end = Date.now() + timeoutMs; !holds(); await sleep(LOOK_MS))
      if (Date.now() > end) throw new Error(`the terminal does not show ${what}:\n${this.screen()}`);
  }

  #tmux(...args: string[]): string {
    return execFileSync("tmux", ["-S", this.#socket, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }
}
