/**
 * The Device component: one apply over one SSH connection. Everything that it does was decided before, in
 * {@link DeviceSpec}; this maps the decision to one `remote.Command`.
 */
import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { type ApplyResult, parseApplyResult } from "./apply.ts";
import { describeFailure } from "./failure.ts";
import type { DeviceSpec } from "./plan.ts";

export interface DeviceArgs {
  /** What to apply and where. */
  readonly spec: DeviceSpec;
  /** True for a device that was applied before and does not answer now: it stays in the state as it is, nothing is dialled. */
  readonly held: boolean;
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

/** A device whose desired state is applied by `pulumi up` over one SSH connection. */
export class Device extends pulumi.ComponentResource {
  /** The result of the last apply, or why this one failed. Unknown in a preview that would apply. */
  readonly outcome: pulumi.Output<DeviceOutcome>;

  constructor(name: string, args: DeviceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("edge-fleet:index:Device", name, {}, opts);
    const { spec, failures } = args;
    const commandName = `${name}-apply`;
    const apply = new remote.Command(
      commandName,
      {
        connection: spec.connection,
        create: spec.create,
        stdin: spec.secret ? pulumi.secret(spec.stdin) : spec.stdin,
        ...(spec.remove === undefined ? {} : { delete: spec.remove }),
        logging: remote.Logging.None,
        addPreviousOutputInEnv: false,
      },
      {
        parent: this,
        retainOnDelete: spec.remove === undefined,
        hooks: { onError: [failures.hook] },
        ...(args.held ? { ignoreChanges: ["*"] } : {}),
      },
    );
    const applied = apply.stdout.apply((stdout): DeviceOutcome => ({ applied: parseApplyResult(stdout) }));
    this.outcome = pulumi.recover(applied, (): DeviceOutcome => ({ failed: failures.reason(commandName) }));
    this.registerOutputs();
  }
}
