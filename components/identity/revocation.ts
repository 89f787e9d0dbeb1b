/**
 * Whose certificates the hub must refuse: the principal's blocklist. What is pinned and is no device any more is
 * refused, so that deleting an entry lets nobody in again. Pure.
 */
import type { Profile, RegionLock } from "../inventory/index.ts";
import type { FleetAuthority } from "./authority.ts";
import { type DeviceIdentity, deviceFingerprints, isIdentityKey } from "./device.ts";

/** The fields of a profile that say whether its device may come in. */
export type AdmittedProfile = Pick<Profile, "id" | "state" | "identityKey">;

/**
 * Lists the identities that are refused: keys that the lock has revoked, and those of devices that are removed, stolen or
 * gone. The key of a device that is present is never among them.
 * @param profiles every device of the region
 */
export function revokedIdentities(
  { devices, revoked }: Pick<RegionLock, "devices" | "revoked">,
  profiles: readonly AdmittedProfile[],
): DeviceIdentity[] {
  const admitted = new Map(
    profiles.flatMap(({ id, state, identityKey }) => (state === "present" ? [[id, identityKey]] : [])),
  );
  const pinned = Object.entries(devices).map(([id, { identityKey }]) => [id, [identityKey]] as const);
  return [...pinned, ...Object.entries(revoked)]
    .flatMap(([id, keys]) => keys.map((identityKey) => ({ id, identityKey })))
    .filter(({ id, identityKey }) => !admitted.has(id) || admitted.get(id) !== identityKey)
    .filter((identity): identity is DeviceIdentity => identity.identityKey !== undefined)
    .filter(({ identityKey }) => isIdentityKey(identityKey))
    .sort((a, b) => (`${a.id} ${a.identityKey}` < `${b.id} ${b.identityKey}` ? -1 : 1));
}

/**
 * The blocklist of a region.
 * @param profiles every device of the region, whatever its state
 * @param authority the fleet's; it is asked for only where the region has agents
 * @returns undefined where no device has an agent, and so nothing reads one
 */
export function planBlocklist(
  lock: Pick<RegionLock, "devices" | "revoked">,
  profiles: readonly (AdmittedProfile & Pick<Profile, "gitops">)[],
  authority: () => FleetAuthority,
): Record<string, string> | undefined {
  const generations = profiles.flatMap(({ gitops: { engine, agent } }) =>
    engine === "argocd-agent" && agent?.generation !== undefined ? [agent.generation] : [],
  );
  if (generations.length === 0) return undefined;
  return renderBlocklist(authority(), revokedIdentities(lock, profiles), Math.max(...generations));
}

/**
 * The data of the ConfigMap that the principal reads: each key is the fingerprint of a certificate
 * (argocd-agent acb60cd1, internal/blocklist/configmap.go: FingerprintsFromConfigMapData); the value, which nobody reads,
 * says whose it was.
 * @param newest newest generation of certificates in the region
 */
export function renderBlocklist(
  authority: FleetAuthority,
  identities: readonly DeviceIdentity[],
  newest: number,
): Record<string, string> {
  const entries = identities.flatMap((identity) =>
    deviceFingerprints(authority, identity, newest).map((fingerprint): [string, string] => [fingerprint, identity.id]),
  );
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
