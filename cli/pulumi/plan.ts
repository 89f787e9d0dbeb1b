/**
 * How `pulumi` is called: from the stack, the operation and the options to arguments and environment. The levers and
 * their reasons stand in docs/; all of them were measured.
 */

/** What is asked for. */
export interface PulumiRequest {
  readonly operation: "preview" | "up";
  readonly stack: string;
  /** The hub's stack keeps its checkpoints: its resources cannot be re-created by running again. */
  readonly isHub: boolean;
  /** Resource operations at a time. Default 64: devices are waited for, not computed. */
  readonly parallel: number;
  /** `up` without a preview and without a question. */
  readonly yes: boolean;
  /** Where the engine sends its events, see `EventSocket`. */
  readonly eventLog: string;
  /** Passed on as they are. */
  readonly extra: readonly string[];
}

/** A call of the CLI. */
export interface PulumiCall {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** Plans the call. */
export function planPulumi(request: PulumiRequest): PulumiCall {
  const unattended = request.operation === "up" && request.yes ? ["--skip-preview", "--yes"] : [];
  const skipCheckpoints = request.operation === "preview" || !request.isHub;
  return {
    args: [
      request.operation,
      "--stack",
      request.stack,
      "--parallel",
      String(request.parallel),
      "--event-log",
      request.eventLog,
      ...unattended,
      ...request.extra,
    ],
    environment: {
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_CONTINUE_ON_ERROR: "true",
      // A self-managed backend then keeps a third of the bytes; it reads either form, whatever wrote it.
      PULUMI_DIY_BACKEND_ZSTD: "true",
      // --event-log is a debugging flag of the CLI and unknown to it without this.
      PULUMI_DEBUG_COMMANDS: "true",
      ...(skipCheckpoints ? { PULUMI_SKIP_CHECKPOINTS: "true" } : {}),
    },
  };
}
