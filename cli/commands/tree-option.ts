/** What `render` and `promote` share: the folder of the GitOps tree. */
import { Option } from "commander";
import { listLeaves, type TreeInput, treeInput } from "../../components/gitops/index.ts";
import { type Inventory, resolveFleet } from "../../components/inventory/index.ts";

/** `--tree DIR`; the default is that of the stack setting `edge-fleet:tree`. */
export function treeOption(): Option {
  return new Option("-t, --tree <dir>", "folder of the GitOps tree").default("fleet");
}

/** What the whole fleet's tree is computed from. */
export function fleetTree(inventory: Inventory): TreeInput {
  return treeInput(inventory, resolveFleet(inventory));
}

/** Overlays that the devices of a ring deploy, below the tree's folder. */
export function overlaysOfRing(tree: TreeInput, ring: string): string[] {
  return listLeaves(tree.devices.filter((device) => device.ring === ring)).map(
    ({ region, model }) => `overlays/${region}/${model}/kustomization.yaml`,
  );
}
