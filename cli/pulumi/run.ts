/** Runs the `pulumi` CLI on the terminal, one stack after the other, and reads what a stack says about itself. */
import { UsageError } from "../exit.ts";
import { type ForegroundOutput, runForeground, runProgram } from "../process.ts";
import { type PulumiRequest, planCall } from "./call.ts";

/** How a run ended. */
export interface PulumiEnd {
  readonly stack: string;
  /** `cancelled`: a person ended it, so nothing else is to follow. */
  readonly end: "succeeded" | "failed" | "cancelled";
}

/** Exit code of a run that was cancelled: `ExitCancelled` of sdk/go/common/util/cmdutil in Pulumi. */
const CANCELLED = 8;

/**
 * Runs the CLI for one stack.
 * @param stdout where the CLI's stdout goes
 * @throws UsageError when it is not installed
 */
export async function runPulumi(request: PulumiRequest, stdout: ForegroundOutput): Promise<PulumiEnd> {
  const { args, environment } = planCall(request);
  const { stack } = request;
  try {
    const { exitCode, interrupted } = await runForeground("pulumi", args, { environment, stdout });
    if (interrupted || exitCode === undefined || exitCode === CANCELLED) return { stack, end: "cancelled" };
    return { stack, end: exitCode === 0 ? "succeeded" : "failed" };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw notInstalled();
    throw error;
  }
}

/**
 * The stack's outputs, secrets left out.
 * @throws UsageError when the CLI is not installed
 * @throws Error with the CLI's message
 */
export async function stackOutputs(stack: string): Promise<unknown> {
  const args = ["stack", "output", "--json", "--stack", stack, "--non-interactive"];
  const result = await runProgram("pulumi", args, {
    timeoutMs: 120_000,
    environment: { PULUMI_SKIP_UPDATE_CHECK: "true" },
    maxOutputBytes: 64 * 1024 * 1024,
  });
  if (result.exitCode === undefined && result.stderr.includes("ENOENT")) throw notInstalled();
  if (result.exitCode !== 0)
    throw new Error(`pulumi stack output ${stack}: ${result.stderr.trim() || "no answer in 2 min"}`);
  return JSON.parse(result.stdout);
}

/**
 * Sets a secret of a stack's configuration, by stdin: arguments are seen by every user of the machine.
 * @throws UsageError when the CLI is not installed
 * @throws Error with the CLI's message
 */
export async function setStackSecret(stack: string, key: string, value: string): Promise<void> {
  const result = await runProgram("pulumi", ["config", "set", "--secret", key, "--stack", stack, "--non-interactive"], {
    stdin: value,
    timeoutMs: 120_000,
    environment: { PULUMI_SKIP_UPDATE_CHECK: "true" },
  });
  if (result.exitCode === undefined && result.stderr.includes("ENOENT")) throw notInstalled();
  if (result.exitCode !== 0)
    throw new Error(`pulumi config set ${key} --stack ${stack}: ${result.stderr.trim() || "no answer in 2 min"}`);
}

function notInstalled(): UsageError {
  return new UsageError("pulumi is not on PATH - install the Pulumi CLI, https://www.pulumi.com/docs/install/");
}
