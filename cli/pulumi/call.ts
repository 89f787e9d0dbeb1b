/**
 * The arguments and the environment with which `pulumi` is called. Plain `pulumi` gives the same result; the levers
 * only make it faster, and docs/operations.md has what was measured. Pure.
 */
import type { StackChoice } from "./stacks.ts";

/** What is asked for. */
export interface PulumiRequest extends StackChoice {
  readonly operation: "preview" | "up";
  /** Resource operations at a time. */
  readonly parallel: number;
  /** URNs to which the run is narrowed, wildcards as Pulumi has them; empty: all. */
  readonly targets: readonly string[];
  /** Passed on as they are, e.g. `--diff`. */
  readonly flags: readonly string[];
}

/** A call of the CLI. */
export interface PulumiCall {
  readonly args: readonly string[];
  /** Of the levers; what the user has set counts more. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Plans the call. */
export function planCall({ operation, stack, region, devices, parallel, targets, flags }: PulumiRequest): PulumiCall {
  // The hub keeps its checkpoints: its objects cannot be re-created by running again, a device's dial can.
  const skipCheckpoints = operation === "preview" || region !== undefined;
  const all = [...(devices.length > 0 ? [PARENT] : []), ...devices.map(deviceTarget), ...targets];
  const narrowed = all.flatMap((target) => ["--target", target]);
  return {
    args: [operation, "--stack", stack, "--parallel", String(parallel), ...narrowed, ...flags],
    environment: {
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_CONTINUE_ON_ERROR: "true",
      PULUMI_DIY_BACKEND_ZSTD: "true",
      ...(skipCheckpoints ? { PULUMI_SKIP_CHECKPOINTS: "true" } : {}),
    },
  };
}

/** The component of a region, without which the engine cannot make a device of a new stack. */
const PARENT = "**::edge-fleet:index:Region::*";

/** The command of a device, whatever the project and the stack are called. Pulumi matches all but `*` as it is written. */
function deviceTarget(id: string): string {
  return `**$command:local:Command::${id}`;
}
