/** What must hold before a tree can be rendered: devices that would overwrite each other are refused. */
import type { TreeInput } from "./tree-input.ts";

/**
 * Workloads are checked where they are written (inventory/workload-checks.ts).
 * @throws Error naming the device, what is wrong with it and the fix
 */
export function checkTree({ devices, rings, models }: TreeInput): void {
  const seen = new Set<string>();
  for (const { id, ring, model } of devices) {
    if (seen.has(id)) throw new Error(`device ${id} is listed twice - give each device an id of its own`);
    if (!rings.includes(ring))
      throw new Error(`device ${id}: ring ${ring} is not one of the fleet's - use one of ${rings.join(", ")}`);
    if (!Object.hasOwn(models, model))
      throw new Error(`device ${id}: model ${model} is unknown - use one of ${Object.keys(models).join(", ")}`);
    seen.add(id);
  }
}
