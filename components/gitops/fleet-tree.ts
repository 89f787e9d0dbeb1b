/** The FleetTree component: the Kustomize base/overlay tree of a fleet in a folder of its Git repository. */
import * as pulumi from "@pulumi/pulumi";
import { type Inventory, resolveFleet } from "../inventory/index.ts";
import { tellSummary } from "../summary.ts";
import { planFleet } from "./fleet-plan.ts";
import { treeInput } from "./tree.ts";
import { describeChanges, hasChanges, TreeRefusedError, writeTree } from "./writer.ts";

/** What a tree is made from. */
export interface FleetTreeArgs {
  /** The fleet, see `loadInventory`. */
  readonly inventory: Inventory;
  /** Folder of the tree. */
  readonly directory: string;
}

/**
 * Writes the tree. A preview tells what it would write. Nothing of it stands in the state: Git keeps the tree, and what it
 * is compared with is the folder.
 */
export class FleetTree extends pulumi.ComponentResource {
  /** @throws RunError when files stand in the way; nothing has been written then */
  constructor(name: string, { inventory, directory }: FleetTreeArgs, opts?: pulumi.ComponentResourceOptions) {
    super("edge-fleet:index:FleetTree", name, {}, opts);
    const { changes } = planFleet(directory, treeInput(inventory, resolveFleet(inventory)));
    void tellSummary("GitOps tree", hasChanges(changes) ? describeChanges(changes) : [], this);
    try {
      if (!pulumi.runtime.isDryRun()) writeTree(directory, changes);
    } catch (error) {
      throw error instanceof TreeRefusedError ? new pulumi.RunError(error.message) : error;
    }
    this.registerOutputs();
  }
}
