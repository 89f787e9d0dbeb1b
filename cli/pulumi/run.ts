/**
 * One bounded run of the `pulumi` CLI: listens to its events, and ends it when none come any more.
 */
import { EXIT, type ExitCode, UsageError } from "../exit.ts";
import { type ForegroundResult, runForeground, runProgram } from "../process.ts";
import { receiveEvents } from "./events.ts";
import { type PulumiRequest, planPulumi } from "./plan.ts";
import { isStalled, observe, type RunState, startState } from "./stall.ts";

/** A run and its bounds. */
export interface PulumiRun extends Omit<PulumiRequest, "eventLog"> {
  /** Milliseconds without an engine event after which the CLI is ended. */
  readonly stallMs: number;
  /** Where the CLI's stdout goes. Default stdout. */
  readonly stdout?: "stdout" | "stderr";
  /** Milliseconds that it then has to end by itself. Default 30,000. */
  readonly graceMs?: number;
}

/** How a run ended. */
export interface PulumiResult extends ForegroundResult {
  /** What its errors are about, see {@link RunState}. */
  readonly errors: RunState["errors"];
}

/** Runs the CLI. @throws UsageError when it is not installed */
export async function runPulumi(run: PulumiRun): Promise<PulumiResult> {
  let state = startState(Date.now());
  const socket = await receiveEvents((event) => {
    state = observe(state, event, Date.now());
  });
  const { args, environment } = planPulumi({ ...run, eventLog: socket.address });
  const interactive = process.stdin.isTTY === true && !run.yes && run.operation === "up";
  try {
    const result = await runForeground("pulumi", args, {
      environment,
      stdout: run.stdout ?? "stdout",
      pollMs: Math.max(100, Math.min(5_000, run.stallMs / 10)),
      graceMs: run.graceMs ?? 30_000,
      isStalled: () => isStalled(state, Date.now(), run.stallMs, interactive),
    });
    return { ...result, errors: state.errors };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new UsageError("pulumi is not on PATH - install the Pulumi CLI, https://www.pulumi.com/docs/install/");
    throw error;
  } finally {
    socket.close();
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
