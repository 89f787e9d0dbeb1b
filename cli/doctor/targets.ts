/** Which devices the names on the command line mean, each once, in the order of the names. */
import { type Inventory, type Profile, resolveProfile, resolveRegion } from "../../components/inventory/index.ts";
import { requireDevice } from "../require.ts";

/**
 * Devices by the names of devices and regions.
 * @param names a name that both a region and a device have means the region
 * @throws UsageError when a name is neither
 */
export function selectDevices(inventory: Inventory, names: readonly string[]): Profile[] {
  const profiles = names.flatMap((name) => {
    if (inventory.regions.has(name)) return resolveRegion(inventory, name);
    requireDevice(inventory, name);
    return [resolveProfile(inventory, name)];
  });
  return [...new Map(profiles.map((profile) => [profile.id, profile])).values()];
}
