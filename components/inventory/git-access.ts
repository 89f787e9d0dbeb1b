/** How a region reads the fleet's Git repository where no device is asked: its layers above the devices, and models left out. */
import type { z } from "zod";
import { GitAccessSchema } from "./git-schema.ts";
import { mergeValues, type Value } from "./layers.ts";
import type { Inventory } from "./types.ts";

/** @returns `gitops.access` of the fleet and the region; undefined where neither says any */
export function gitAccessOf(
  { fleet, regions }: Pick<Inventory, "fleet" | "regions">,
  region: string,
): z.output<typeof GitAccessSchema> | undefined {
  const merged = mergeValues(fleet.gitops?.access as Value, regions.get(region)?.settings.gitops?.access as Value);
  return merged === undefined ? undefined : GitAccessSchema.parse(merged);
}
