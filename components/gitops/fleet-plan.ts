/** The tree of a fleet against its folder: reads what the rings pin, renders, and compares. */
import { keepsEntry } from "./entry-guard.ts";
import { planTree, type TreeChanges } from "./plan.ts";
import { readPins } from "./rings.ts";
import { renderTree, type Tree } from "./tree.ts";
import type { TreeInput } from "./tree-input.ts";

/** A tree and what a write of it would do. */
export interface FleetPlan {
  readonly tree: Tree;
  readonly changes: TreeChanges;
}

/**
 * Plans the tree.
 * @param directory the tree's folder; need not exist
 * @throws RolloutFileError when a ring file cannot be read
 * @throws Error as {@link renderTree} and {@link planTree}
 */
export function planFleet(directory: string, input: TreeInput): FleetPlan {
  const tree = renderTree(input, readPins(directory, input.workloads));
  return { tree, changes: planTree(directory, tree, (path) => keepsEntry(input, path, tree)) };
}
