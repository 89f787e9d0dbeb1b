/**
 * The text of a region's lock: pins of devices to the bytes of `<region>.lock.yaml`, the same bytes for the same pins.
 * Pure; who writes the file is the command's matter.
 */
import { stringify } from "yaml";
import type { LockedDevice } from "./lock-schema.ts";

/**
 * Renders the file, sorted by id.
 * @param devices pins by id
 */
export function renderRegionLock(region: string, devices: ReadonlyMap<string, LockedDevice>): string {
  const sorted = [...devices].sort(([a], [b]) => (a < b ? -1 : 1));
  const header = [
    `What the devices of ${region} are pinned to: SSH host key, identity key and what they said about themselves.`,
    `Written by \`edge-fleet enroll ${region}\`, never by hand; reviewed and committed like package-lock.json.`,
  ];
  const body = stringify(
    // An object would put ids of digits alone in front.
    { devices: new Map(sorted.map(([id, pins]) => [id, ordered(pins)])) },
    { lineWidth: 0 },
  );
  return `${header.map((line) => `# ${line}\n`).join("")}${body}`;
}

function ordered({ hostKey, identityKey, facts }: LockedDevice): LockedDevice {
  return {
    hostKey,
    ...(identityKey === undefined ? {} : { identityKey }),
    ...(facts === undefined ? {} : { facts }),
  };
}
