/**
 * Builds the executable of one part from its Go module in this folder, with progress lines. Checksums of modules are
 * verified against the committed go.sum and the checksum database; nothing here switches that off.
 */
import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { setPriority } from "node:os";
import { delimiter, join } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { PROGRESS_MS } from "./cache.ts";
import { childrenSeconds, type Forecast } from "./forecast.ts";
import { buildArguments, type GoPart } from "./parts.ts";

const execute = promisify(execFile);

/** Priority of a build: a long one must not starve what else the machine does. */
const BUILD_NICENESS = 10;

/** How much of a failed build's output the error shows, in characters from the end. */
const SHOWN_OUTPUT = 4000;

/** Where Go's own installer puts it, for shells that lack it on PATH. */
const GO_INSTALLER_PATH = "/usr/local/go/bin/go";

/** The Go compiler. */
export interface Go {
  /** The executable. */
  readonly path: string;
  /** Version, target and cgo, as they decide what a build yields. */
  readonly identity: string;
}

/**
 * Finds the Go compiler.
 * @returns its path and identity
 * @throws Error naming what to install
 */
export async function findGo(): Promise<Go> {
  const path = findOnPath("go") ?? (existsSync(GO_INSTALLER_PATH) ? GO_INSTALLER_PATH : undefined);
  if (!path) {
    throw new Error(
      "go is not on PATH, and the lab builds its tools from Go modules - install Go 1.26 (https://go.dev/dl)",
    );
  }
  const { stdout } = await execute(path, ["env", "GOVERSION", "GOOS", "GOARCH", "CGO_ENABLED"], {
    cwd: import.meta.dirname,
  });
  return { path, identity: stdout.trim().split(/\s+/).join(" ") };
}

/**
 * Builds a part.
 * @param go the compiler
 * @param part what to build
 * @param directory folder that gets the executable, named as the part
 * @param forecast of all builds; gets what this one takes
 * @param report gets a line at the start, every 10 s with the time left of all builds, and at the end
 * @throws Error with the end of the compiler's output
 */
export async function build(
  go: Go,
  part: GoPart,
  directory: string,
  forecast: Forecast,
  report: (line: string) => void,
): Promise<void> {
  const started = performance.now();
  const elapsed = () => `${Math.round((performance.now() - started) / 1000)} s`;
  report(`building ${part.name}, ${part.version}`);
  const [command = "build", ...rest] = buildArguments(part);
  const child = startGo(go, part, [command, "-o", join(directory, part.name), ...rest]);
  const ticker = setInterval(() => {
    if (child.pid) forecast.spend(part.name, childrenSeconds(child.pid));
    report(`building ${part.name}: ${elapsed()}${forecast.text()}`);
  }, PROGRESS_MS);
  try {
    await ended(child, part);
  } finally {
    clearInterval(ticker);
  }
  report(`built ${part.name} in ${elapsed()}`);
}

function startGo(go: Go, part: GoPart, args: readonly string[]): ChildProcessByStdio<null, Readable, Readable> {
  const child = spawn(go.path, args, {
    cwd: part.directory,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, GOWORK: "off" },
  });
  if (child.pid) setPriority(child.pid, BUILD_NICENESS);
  return child;
}

async function ended(child: ChildProcessByStdio<null, Readable, Readable>, part: GoPart): Promise<void> {
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-SHOWN_OUTPUT);
    });
  }
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? signal ?? "unknown"));
  });
  if (code !== 0) {
    throw new Error(`go build of ${part.name} in ${part.directory} ended with ${code}:\n${output.trim()}`);
  }
}

/**
 * Looks a command up on PATH.
 * @param command file name
 * @param path list of folders in PATH's syntax. Default: this process's PATH
 * @param accept decides whether a found file counts. Default: every one does
 * @returns path of the first accepted file
 */
export function findOnPath(
  command: string,
  path: string = process.env.PATH ?? "",
  accept: (file: string) => boolean = () => true,
): string | undefined {
  return path
    .split(delimiter)
    .filter(Boolean)
    .map((directory) => join(directory, command))
    .find((file) => existsSync(file) && accept(file));
}
