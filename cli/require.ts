/** Names given on the command line against the inventory: from a name to the thing, or to the message that mends it. */
import type { Inventory, Region } from "../components/inventory/index.ts";
import { UsageError } from "./exit.ts";

/** @throws UsageError when no region has the device */
export function requireDevice(inventory: Inventory, id: string): void {
  const known = [...inventory.regions.values()].some(({ devices }) => devices.some(({ entry }) => entry.id === id));
  if (!known)
    throw new UsageError(`device ${id} is in no region of ${inventory.directory} - use an id of a region file`);
}

/** @throws UsageError when there is no such region */
export function requireRegion(inventory: Inventory, name: string): Region {
  const region = inventory.regions.get(name);
  if (region !== undefined) return region;
  const known = [...inventory.regions.keys()].join(", ") || "none yet";
  throw new UsageError(`region ${name} is not in ${inventory.directory} - use one of ${known}`);
}
