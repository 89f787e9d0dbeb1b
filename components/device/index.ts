/**
 * The Device component: one apply over one SSH connection. Everything that it does was decided before, in
 * {@link DeviceSpec}; this maps the decision to one `remote.Command`.
 */
import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { leaveToEngine } from "../engine.ts";
import { type ApplyResult, parseApplyResult } from "../plan/payload.ts";
import { describeFailure } from "./failure.ts";
import type { DeviceSpec, ErasureSpec } from "./plan.ts";

/** What a run does with a device that it registers. */
export type DeviceAction =
  /** Makes the device what the spec says; nothing is dialled where the spec is what the state has. */
  | "apply"
  /** Keeps it in the state as it is, whatever the spec says; nothing is dialled. */
  | "hold"
  /** Runs the spec's `update` over the connection that stands in the state. */
  | "erase";

/** What is to happen to one device. */
export interface DeviceArgs {
  /** What to apply and where; for a device that has left the inventory what erases it. */
  readonly spec: DeviceSpec | ErasureSpec;
  readonly action: DeviceAction;
  /** Collects why an apply failed. One for all devices of a stack. */
  readonly failures: FailureLog;
}

/** What became of a device in this run. */
export type DeviceOutcome = { readonly applied: ApplyResult } | { readonly failed: string };

/**
 * Remembers why commands failed. A failed registration only rejects with "failed to register"; the provider's error text
 * reaches the program through an error hook alone (`onError`, Pulumi 3.218).
 */
export class FailureLog {
  readonly #reasons = new Map<string, string>();
  /** Bind to a command's `hooks.onError`. Never asks for a retry: the next `up` is the retry. */
  readonly hook = new pulumi.ErrorHook("edge-fleet-device-failure", ({ name, errors }) => {
    this.#reasons.set(name, describeFailure(errors[0] ?? ""));
    return false;
  });

  /** Reason of a failed resource by its name. */
  reason(name: string): string {
    return this.#reasons.get(name) ?? "the apply failed - see the diagnostics of this run";
  }
}

/** Inputs that stay as they are in the state, by action. */
const KEPT: Readonly<Record<DeviceAction, string[]>> = { apply: [], hold: ["*"], erase: ["connection", "create"] };

/**
 * A device whose desired state is applied by `pulumi up` over one SSH connection. To be erased is a state like others, and
 * the program asks for it: that a resource is gone from the program never erases a device, since the engine cannot tell
 * one that has left from one that the program could not register.
 */
export class Device extends pulumi.ComponentResource {
  /** The result of the last apply, or why this one failed. Unknown in a preview that would apply. */
  readonly outcome: pulumi.Output<DeviceOutcome>;

  constructor(name: string, args: DeviceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("edge-fleet:index:Device", name, {}, opts);
    const { spec, action, failures } = args;
    const commandName = `${name}-apply`;
    const apply = new remote.Command(
      commandName,
      {
        connection: spec.connection,
        create: spec.create,
        ...("stdin" in spec
          ? { stdin: spec.secret ? pulumi.secret(spec.stdin) : spec.stdin }
          : { update: spec.update }),
        logging: remote.Logging.None,
        addPreviousOutputInEnv: false,
      },
      { parent: this, retainOnDelete: true, hooks: { onError: [failures.hook] }, ignoreChanges: KEPT[action] },
    );
    leaveToEngine(apply);
    const applied = apply.stdout.apply((stdout): DeviceOutcome => ({ applied: parseApplyResult(stdout) }));
    this.outcome = pulumi.recover(applied, (): DeviceOutcome => ({ failed: failures.reason(commandName) }));
    this.registerOutputs();
  }
}
