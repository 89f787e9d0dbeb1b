/** What the External Secrets controller of a device is made from. Pure. */
import type { Profile } from "../../../inventory/types.ts";
import { secretsSourceOf } from "../secrets.ts";

/** Everything that the controller's objects depend on: devices that share it share one text. */
export interface ExternalSecretsSettings {
  /** Image by digest. */
  readonly image: string;
}

/**
 * The kinds that it works on by the group of their definition. GeneratorState is there because the process ends where it
 * cannot watch it (cmd/controller/root.go of v2.9.0 sets its reconciler up whatever the flags).
 */
export const EXTERNAL_SECRETS_KINDS = {
  externalsecrets: "external-secrets.io",
  secretstores: "external-secrets.io",
  generatorstates: "generators.external-secrets.io",
} as const;

/** Plural names of the kinds of {@link EXTERNAL_SECRETS_KINDS}. */
export type ExternalSecretsKind = keyof typeof EXTERNAL_SECRETS_KINDS;

/** Whether edge-fleet installs the controller on the device. */
export function runsExternalSecrets(profile: Pick<Profile, "joins" | "gitops">): boolean {
  return secretsSourceOf(profile) === "external-secrets";
}

/** Name of upstream's file with the definition of a kind. */
export function externalSecretsDefinitionFile(kind: ExternalSecretsKind): string {
  return `${EXTERNAL_SECRETS_KINDS[kind]}_${kind}.yaml`;
}
