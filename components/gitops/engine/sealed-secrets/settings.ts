/** What the Sealed Secrets controller of a device is made from, and what it may take. Pure. */
import type { Profile } from "../../../inventory/types.ts";
import type { EngineMemory } from "../pod.ts";

/** Everything that the controller's objects depend on: devices that share it share one text. */
export interface SealedSecretsSettings {
  /** Image by digest. */
  readonly image: string;
  /** Names of the Secrets with its keys: its pod waits until all are there, and another set is another pod. At least one. */
  readonly keys: readonly string[];
}

/** Namespace of the controller and of its keys. */
export const SEALED_SECRETS_NAMESPACE = "sealed-secrets";

/** As measured: resident 46 MiB with 60 SealedSecrets, of that 10 its own and the rest its binary; 67 after one of 900 kB. */
export const SEALED_SECRETS_MEMORY: EngineMemory = { requestMiB: 48, limitMiB: 128 };

/** Whether edge-fleet installs the controller on the device: beside an engine, which brings what it opens. */
export function runsSealedSecrets({ joins, gitops }: Pick<Profile, "joins" | "gitops">): boolean {
  return joins === undefined && gitops.engine !== "none" && gitops.secrets === "sealed-secrets";
}

/** Name of the Secret with a key. @param key name of its certificate, see `sealingKeyName` */
export function sealingSecretName(key: string): string {
  return `sealing-key-${key}`;
}
