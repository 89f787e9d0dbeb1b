/** The controllers that bring Secrets to a device: which one it has, and what each takes. Pure. */
import type { Profile } from "../../inventory/types.ts";
import type { EngineMemory } from "./pod.ts";

/** What brings Secrets, by its name in the inventory, which is that of its namespace too. */
export type SecretsSource = Exclude<Profile["gitops"]["secrets"], "none">;

/** What is known of a controller beside its objects. */
export interface SecretsController {
  /** Its name, for people. */
  readonly title: string;
  readonly memory: EngineMemory;
  /** Registry of upstream's image. */
  readonly registry: string;
}

/**
 * As measured. Sealed Secrets: resident 46 MiB with 60 SealedSecrets, of that 10 its own and the rest its binary; 67 after one
 * of 900 kB. External Secrets: resident 82 MiB with 60 ExternalSecrets, of that 25 its own and the rest the binary of a build
 * with four of its stores; the request is its own and a part of the rest, the limit leaves room for clients of other stores.
 */
export const SECRETS_CONTROLLERS: Readonly<Record<SecretsSource, SecretsController>> = {
  "sealed-secrets": {
    title: "Sealed Secrets",
    memory: { requestMiB: 48, limitMiB: 128 },
    registry: "docker.io",
  },
  "external-secrets": {
    title: "External Secrets",
    memory: { requestMiB: 64, limitMiB: 192 },
    registry: "ghcr.io",
  },
};

/** What edge-fleet installs on the device: beside an engine, which brings what it works on. Undefined: nothing. */
export function secretsSourceOf({ joins, gitops }: Pick<Profile, "joins" | "gitops">): SecretsSource | undefined {
  return joins === undefined && gitops.engine !== "none" && gitops.secrets !== "none" ? gitops.secrets : undefined;
}
