/**
 * Writes pins into the text of a region's lock as it is at that moment, and tells what somebody else has written
 * meanwhile. Pure.
 */
import { parseYamlFile } from "../../components/inventory/files.ts";
import { renderRegionLock } from "../../components/inventory/lock.ts";
import {
  type LockedDevice,
  RegionLockSchema,
  type RevokedKeys,
  type SealingKey,
} from "../../components/inventory/lock-schema.ts";

/** What a device is pinned to from now on. */
export interface Pin {
  readonly id: string;
  readonly pinned: LockedDevice;
  /** What the lock had when the run began. Another value now means that somebody else wrote it meanwhile. */
  readonly before: Pick<LockedDevice, "hostKey" | "identityKey"> | undefined;
}

/** A region's lock file. */
export interface LockFile {
  readonly file: string;
  readonly region: string;
}

/** An edited lock. */
export interface EditedLock {
  readonly text: string;
  /** Messages for pins that were left out, by device id. */
  readonly conflicts: ReadonlyMap<string, string>;
}

/**
 * Edits the text of a lock. An identity key that goes, with its entry or because another one takes its place, is revoked;
 * one that comes back is not.
 * @param text undefined where there is no file yet
 * @param dropped ids whose entries go
 * @throws Error naming the file when its text is no lock
 */
export function editRegionLock(
  { file, region }: LockFile,
  text: string | undefined,
  pins: readonly Pin[],
  dropped: readonly string[] = [],
): EditedLock {
  const before: Lock = text === undefined ? { devices: {} } : parseLock(file, text);
  const devices = new Map(Object.entries(before.devices));
  const conflicts = new Map<string, string>();
  for (const { id, pinned, before: known } of pins) {
    const field = changedField(devices.get(id), known, pinned);
    if (field === undefined) devices.set(id, pinned);
    else conflicts.set(id, `${field} was changed in ${file} meanwhile - look at the entry and enroll again`);
  }
  for (const id of dropped) devices.delete(id);
  return { text: renderRegionLock(region, devices, revokedKeys(before, devices), before.sealing), conflicts };
}

interface Lock {
  readonly devices: Readonly<Record<string, LockedDevice>>;
  readonly revoked?: RevokedKeys | undefined;
  readonly sealing?: readonly SealingKey[] | undefined;
}

/** Keys that the lock has revoked or has of its devices, without those that its devices have now. */
function revokedKeys(before: Lock, devices: ReadonlyMap<string, LockedDevice>): RevokedKeys {
  const used = new Set([...devices.values()].map(({ identityKey }) => identityKey));
  const ids = new Set([...Object.keys(before.revoked ?? {}), ...Object.keys(before.devices)]);
  const entries = [...ids].map((id): [string, string[]] => {
    const keys = [...(before.revoked?.[id] ?? []), before.devices[id]?.identityKey];
    return [id, [...new Set(keys)].filter((key) => key !== undefined && !used.has(key)) as string[]];
  });
  return Object.fromEntries(entries.filter(([, keys]) => keys.length > 0));
}

/**
 * Edits the keys for SealedSecrets in the text of a lock.
 * @param text undefined where there is no file yet
 * @param edit from the keys as they are, the newest first, to those that are to be
 * @throws Error naming the file when its text is no lock
 */
export function editSealingKeys(
  { file, region }: LockFile,
  text: string | undefined,
  edit: (keys: readonly SealingKey[]) => readonly SealingKey[],
): string {
  const { devices, revoked = {}, sealing = [] }: Lock = text === undefined ? { devices: {} } : parseLock(file, text);
  return renderRegionLock(region, new Map(Object.entries(devices)), revoked, edit(sealing));
}

function parseLock(file: string, text: string): Lock {
  const problems: string[] = [];
  const { value } = parseYamlFile(file, text, RegionLockSchema, problems);
  if (value === undefined) throw new Error(problems.join("\n"));
  return value;
}

function changedField(
  now: LockedDevice | undefined,
  before: Pin["before"],
  wanted: LockedDevice,
): "hostKey" | "identityKey" | undefined {
  const fields = ["hostKey", "identityKey"] as const;
  return fields.find((field) => now?.[field] !== before?.[field] && now?.[field] !== wanted[field]);
}
