/**
 * One bounded run of the `pulumi` CLI: gives it an event log, watches the log grow, and ends the CLI when it does not.
 */
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXIT, type ExitCode, UsageError } from "../exit.ts";
import { type ForegroundResult, runForeground, runProgram } from "../process.ts";
import { type PulumiRequest, planPulumi } from "./plan.ts";
import { isStalled, type LogState, observe } from "./stall.ts";

/** A run and its bounds. */
export interface PulumiRun extends Omit<PulumiRequest, "eventLog"> {
  /** Milliseconds without an engine event after which the CLI is ended. */
  readonly stallMs: number;
  /** Where the CLI's stdout goes. Default stdout. */
  readonly stdout?: "stdout" | "stderr";
  /** Milliseconds that it then has to end by itself. Default 30,000. */
  readonly graceMs?: number;
}

/** Runs the CLI. @throws UsageError when it is not installed */
export async function runPulumi(run: PulumiRun): Promise<ForegroundResult> {
  const directory = mkdtempSync(join(tmpdir(), "edge-fleet-pulumi-"));
  const eventLog = join(directory, "events.jsonl");
  const { args, environment } = planPulumi({ ...run, eventLog });
  const interactive = process.stdin.isTTY === true && !run.yes && run.operation === "up";
  let state: LogState = { size: 0, since: Date.now() };
  try {
    return await runForeground("pulumi", args, {
      environment,
      stdout: run.stdout ?? "stdout",
      pollMs: Math.max(100, Math.min(5_000, run.stallMs / 10)),
      graceMs: run.graceMs ?? 30_000,
      isStalled: () => {
        const { size, lastLine } = readTail(eventLog);
        state = observe(state, size, Date.now());
        return isStalled(state, Date.now(), run.stallMs, lastLine, interactive);
      },
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new UsageError("pulumi is not on PATH - install the Pulumi CLI, https://www.pulumi.com/docs/install/");
    throw error;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What to tell and to return when the CLI was ended for being stalled. */
export function stallMessage(run: Pick<PulumiRun, "stack" | "stallMs">, how: "stopped" | "killed"): string {
  const minutes = Math.round(run.stallMs / 6_000) / 10;
  const lock =
    how === "killed"
      ? `It had to be killed, so the stack's lock may remain: see that nobody else runs it, then: pulumi cancel --yes ${run.stack}`
      : `It ended when asked; should the next run say that the stack is locked: pulumi cancel --yes ${run.stack}`;
  return `error: no engine event for ${minutes} min: a device has probably gone silent in the middle of its command. pulumi was ended.\n${lock}\nThen run again: devices that are done answer at once that nothing changed.`;
}

/** The stack's outputs as JSON text. @throws Error with the CLI's message */
export async function stackOutputs(stack: string): Promise<unknown> {
  const args = ["stack", "output", "--json", "--stack", stack, "--non-interactive"];
  const environment = { PULUMI_SKIP_UPDATE_CHECK: "true" };
  const result = await runProgram("pulumi", args, {
    timeoutMs: 120_000,
    environment,
    maxOutputBytes: 64 * 1024 * 1024,
  });
  if (result.exitCode !== 0)
    throw new Error(`pulumi stack output ${stack}: ${result.stderr.trim() || "no answer in 2 min"}`);
  return JSON.parse(result.stdout);
}

/** Exit code of a run whose stack reports nothing of its own. */
export function plainExitCode(result: ForegroundResult): ExitCode {
  return result.exitCode === 0 && result.stalled === undefined ? EXIT.ok : EXIT.failed;
}

const TAIL_BYTES = 64 * 1024;

/** Size of the log and its last whole line; a line longer than the tail comes out cut, which no caller minds. */
function readTail(file: string): { size: number; lastLine: string } {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch {
    return { size: 0, lastLine: "" };
  }
  try {
    const { size } = fstatSync(descriptor);
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    readSync(descriptor, buffer, 0, buffer.length, size - buffer.length);
    return { size, lastLine: buffer.toString("utf8").trimEnd().split("\n").at(-1) ?? "" };
  } finally {
    closeSync(descriptor);
  }
}
