/**
 * The secrets that a device needs, by their keys in the stack's configuration: passwords of registries, keys, and what its
 * distribution asks for. A profile only names keys; the values come from the caller and end in files of mode 0600.
 */
import type { Profile } from "../../inventory/types.ts";
import { backupSecretKeys } from "../backup.ts";
import { gitSecretKeys } from "../git-access.ts";
import { PLACEHOLDER } from "../placeholder.ts";
import { sealingSecretKeys } from "../sealing.ts";
import { distributionOf } from "./index.ts";
import { registrySecretKeys } from "./registries.ts";

/**
 * Keys of every secret that the device's files hold, sorted: what a caller has to look up before it renders.
 * @param joined whether other devices join this one
 */
export function secretKeys(profile: Profile, joined: boolean): string[] {
  const keys = new Set([
    ...registrySecretKeys(profile),
    ...backupSecretKeys(profile),
    ...gitSecretKeys(profile),
    ...sealingSecretKeys(profile),
    ...(distributionOf(profile).secretKeys?.(profile, joined) ?? []),
  ]);
  return [...keys].sort();
}

/** A stand-in for every secret, for showing and comparing a device's files without the values. */
export function placeholderSecrets(profile: Profile, joined: boolean): Record<string, string> {
  return Object.fromEntries(secretKeys(profile, joined).map((key) => [key, `${PLACEHOLDER}${key}`]));
}
