/** Which devices of a region get a connection, and which need none. */
import { type Inventory, resolveProfile } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { requireRegion } from "../require.ts";
import { fingerprintOf } from "../ssh/keys.ts";
import type { AlreadyOutcome, Candidate } from "./outcome.ts";

/** What the command line asks for. */
export interface Selection {
  /** Ids given with --device; empty: every device that is not enrolled and not removed. */
  readonly devices: readonly string[];
  /** Ids given with --accept-new-key. */
  readonly acceptNewKey: readonly string[];
}

/** The devices to connect to, and those that are enrolled already. */
export interface Candidates {
  readonly candidates: readonly Candidate[];
  readonly already: readonly AlreadyOutcome[];
}

/**
 * Selects the devices of one region.
 * @throws UsageError when the region or a named device does not exist
 */
export function selectCandidates(inventory: Inventory, regionName: string, selection: Selection): Candidates {
  const region = requireRegion(inventory, regionName);
  const named = new Set([...selection.devices, ...selection.acceptNewKey]);
  const unknown = [...named].filter((id) => !region.devices.some(({ entry }) => entry.id === id));
  if (unknown.length > 0) {
    throw new UsageError(`${unknown.join(", ")}: no such device in ${region.file} - add it there or correct the id`);
  }
  const candidates: Candidate[] = [];
  const already: AlreadyOutcome[] = [];
  for (const record of region.devices) {
    const { id, hostKey, identityKey } = record.entry;
    if (named.size > 0 && !named.has(id)) continue;
    const profile = resolveProfile(inventory, id);
    if (!named.has(id) && profile.state === "removed") continue;
    if (!named.has(id) && hostKey !== undefined && identityKey !== undefined) {
      already.push({ id, state: "already", fingerprint: fingerprintOf(hostKey) });
      continue;
    }
    const acceptNewKey = selection.acceptNewKey.includes(id);
    candidates.push({ record, profile, acceptNewKey });
  }
  return { candidates, already };
}
