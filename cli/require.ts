/** Finds what a name on the command line means, or says which names there are. */
import { type Inventory, type Profile, type Region, resolveProfile } from "../components/inventory/index.ts";
import { UsageError } from "./exit.ts";

/** @returns name of the region that has the device @throws UsageError when none has */
export function requireDevice(inventory: Pick<Inventory, "directory" | "regions">, id: string): string {
  for (const [name, { devices }] of inventory.regions) if (devices.some(({ entry }) => entry.id === id)) return name;
  throw new UsageError(`device ${id} is in no region of ${inventory.directory} - use an id of a region file`);
}

/** @throws UsageError when there is no such region */
export function requireRegion(inventory: Inventory, name: string): Region {
  const region = inventory.regions.get(name);
  if (region !== undefined) return region;
  const known = [...inventory.regions.keys()].join(", ") || "none yet";
  throw new UsageError(`region ${name} is not in ${inventory.directory} - use one of ${known}`);
}

/** A device whose host key is pinned. @throws UsageError when there is no such device, or it is not enrolled */
export function requireEnrolled(inventory: Inventory, id: string): Profile {
  requireDevice(inventory, id);
  const profile = resolveProfile(inventory, id);
  if (profile.hostKey !== undefined) return profile;
  throw new UsageError(`device ${id} is not enrolled - run edge-fleet enroll ${profile.region}`);
}
