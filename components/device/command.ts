/**
 * One dial as a resource: the engine runs it when the plan of its device is another one than before, or when the attempt
 * is, and keeps what came of it. It is the one place that knows how a dial stands in the state.
 */
import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { dialCommand } from "./folder.ts";
import { DIAL_ENVIRONMENT } from "./state.ts";

/** A dial. */
export interface Dial {
  /** Id of the device. */
  readonly id: string;
  /** Plan of the device, see `planText`. */
  readonly text: pulumi.Input<string>;
  /** Secret files of the device, see `DevicePlan.secretFiles`; empty where there are none. */
  readonly secretFiles: pulumi.Input<string>;
  /** See `nextAttempt`. */
  readonly attempt: string;
  /** A plan says that the device is to leave: the entry may go from the program after it. */
  readonly removed: boolean;
}

/**
 * Registers a dial, named by its device. It is protected until its device is declared removed: a device that merely is no
 * longer in the program is refused by the engine.
 * @param holdsSecrets whether there are secret files: the state of a device without any holds nothing encrypted
 */
export function registerDial(dial: Dial, holdsSecrets: boolean, opts: pulumi.CustomResourceOptions): local.Command {
  const { id, text, secretFiles, attempt, removed } = dial;
  return new local.Command(
    id,
    {
      create: dialCommand(pulumi.getStack()),
      stdin: text,
      environment: {
        [DIAL_ENVIRONMENT.device]: id,
        [DIAL_ENVIRONMENT.attempt]: attempt,
        ...(holdsSecrets ? { [DIAL_ENVIRONMENT.secrets]: pulumi.secret(secretFiles) } : {}),
      },
      logging: local.Logging.None,
      addPreviousOutputInEnv: true,
    },
    { ...opts, protect: !removed },
  );
}
