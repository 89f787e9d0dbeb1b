/**
 * The Pulumi program. The stack's name picks what it is: the fleet's hub, or the region of that name.
 */
import * as pulumi from "@pulumi/pulumi";
import { TreeRefusedError } from "./components/gitops/index.ts";
import { runHubStack } from "./components/hub/stack.ts";
import { hubOf, InventoryError, loadInventory } from "./components/inventory/index.ts";
import { runRegionStack } from "./components/region/stack.ts";
import { readSettings } from "./components/settings.ts";

/** Runs the stack; what it returns are the stack's outputs. */
export default async function main(): Promise<object> {
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

/** Errors that say what to mend need no stack trace; anything else is a defect of this program and shows one. */
function isExpected(error: unknown): error is Error {
  return (
    error instanceof InventoryError ||
    error instanceof TreeRefusedError ||
    (error instanceof Error && error.constructor === Error)
  );
}
