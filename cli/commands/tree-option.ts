/** What the commands that read or write the GitOps tree share: its folder. */
import { Option } from "commander";
import { type TreeInput, treeInput } from "../../components/gitops/index.ts";
import { type Inventory, resolveFleet } from "../../components/inventory/index.ts";
import { projectPath } from "../project.ts";

/** `--tree DIR`; the default is that of the stack setting `edge-fleet:tree`, in the project. */
export function treeOption(): Option {
  return new Option("-t, --tree <dir>", "folder of the GitOps tree").default(projectPath("fleet"));
}

/** What the whole fleet's tree is computed from. */
export function fleetTree(inventory: Inventory): TreeInput {
  return treeInput(inventory, resolveFleet(inventory));
}
