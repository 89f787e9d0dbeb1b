/** The Pulumi program of a fleet's repository: the stack's name picks what it is, the fleet's hub or the region of that name. */
import * as pulumi from "@pulumi/pulumi";
import { TreeRefusedError } from "./gitops/index.ts";
import { runHubStack } from "./hub/stack.ts";
import { hubOf, InventoryError, loadInventory } from "./inventory/index.ts";
import { runRegionStack } from "./region/stack.ts";
import { readSettings } from "./settings.ts";

/**
 * Runs the stack that Pulumi has selected, in the folder of its Pulumi.yaml. It is the whole program of a fleet:
 *
 * ```ts
 * import { runStack } from "edge-fleet";
 *
 * export default runStack;
 * ```
 *
 * @returns the stack's outputs
 * @throws RunError when the inventory, the tree or the configuration cannot be used; it says what to fix
 */
export async function runStack(): Promise<object> {
  const settings = readSettings();
  const stack = pulumi.getStack();
  try {
    const inventory = loadInventory(settings.inventory);
    return stack === hubOf(inventory.fleet)?.stack
      ? await runHubStack(inventory, settings)
      : await runRegionStack(stack, inventory, settings);
  } catch (error) {
    if (isExpected(error)) throw new pulumi.RunError(error.message);
    throw error;
  }
}

/** Errors that say what to fix need no stack trace; anything else is a defect of this program and shows one. */
function isExpected(error: unknown): error is Error {
  return (
    error instanceof InventoryError ||
    error instanceof TreeRefusedError ||
    (error instanceof Error && error.constructor === Error)
  );
}
