/**
 * The text of a region's lock: pins of devices to the bytes of `<region>.lock.yaml`, the same bytes for the same pins.
 * Pure; who writes the file is the command's matter.
 */
import { stringify } from "yaml";
import type { LockedDevice, RevokedKeys, SealingKey } from "./lock-schema.ts";

/**
 * Renders the file, sorted by id.
 * @param devices pins by id
 * @param revoked keys that are no longer any device's, by id. Default: none
 * @param sealing keys for SealedSecrets. Default: none
 */
export function renderRegionLock(
  region: string,
  devices: ReadonlyMap<string, LockedDevice>,
  revoked: RevokedKeys = {},
  sealing: readonly SealingKey[] = [],
): string {
  const sorted = [...devices].sort(byId);
  const header = [
    `What the devices of ${region} are pinned to: SSH host key, identity key and what they said about themselves.`,
    `Written by \`edge-fleet enroll ${region}\`, never by hand; reviewed and committed like package-lock.json.`,
    ...(sealing.length === 0
      ? []
      : [`What is sealed for them is opened by secrets of the stack: \`edge-fleet seal ${region}\`.`]),
  ];
  const body = stringify(
    // An object would put ids of digits alone in front.
    {
      devices: new Map(sorted.map(([id, pins]) => [id, ordered(pins)])),
      ...(Object.keys(revoked).length === 0 ? {} : { revoked: new Map(Object.entries(revoked).sort(byId)) }),
      ...(sealing.length === 0
        ? {}
        : { sealing: sealing.map((key) => ({ for: key.for, certificate: key.certificate })) }),
    },
    { lineWidth: 0 },
  );
  return `${header.map((line) => `# ${line}\n`).join("")}${body}`;
}

function byId([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function ordered({ hostKey, identityKey, facts }: LockedDevice): LockedDevice {
  return {
    hostKey,
    ...(identityKey === undefined ? {} : { identityKey }),
    ...(facts === undefined ? {} : { facts }),
  };
}
