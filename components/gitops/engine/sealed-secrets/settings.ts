/** What the Sealed Secrets controller of a device is made from. Pure. */
import type { Profile } from "../../../inventory/types.ts";
import { secretsSourceOf } from "../secrets.ts";

/** Everything that the controller's objects depend on: devices that share it share one text. */
export interface SealedSecretsSettings {
  /** Image by digest. */
  readonly image: string;
  /** Names of the Secrets with its keys: its pod waits until all are there, and another set is another pod. At least one. */
  readonly keys: readonly string[];
}

/** Whether edge-fleet installs the controller on the device. */
export function runsSealedSecrets(profile: Pick<Profile, "joins" | "gitops">): boolean {
  return secretsSourceOf(profile) === "sealed-secrets";
}

/** Name of the Secret with a key. @param key name of its certificate, see `sealingKeyName` */
export function sealingSecretName(key: string): string {
  return `sealing-key-${key}`;
}
