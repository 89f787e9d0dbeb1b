/** A tree's folder on disk, for the tests of the writer. */

import { renderTree, type Tree } from "../../../components/gitops/tree.ts";
import type { TreeInput } from "../../../components/gitops/tree-input.ts";
import { planTree, writeTree } from "../../../components/gitops/writer.ts";
import { EXAMPLE, readFolder } from "./fleet.ts";

/** The example after a change of hardware: one region gone, one model larger, one leaf new. */
export const CHANGED: TreeInput = {
  ...EXAMPLE,
  models: { ...EXAMPLE.models, "rpi4-4g": { architecture: "arm64", memoryMiB: 8192 } },
  devices: EXAMPLE.devices.filter(({ region }) => region === "tokyo"),
};

/** Plans and writes a fleet's tree. */
export function write(directory: string, fleet: TreeInput): void {
  writeTree(directory, planTree(directory, renderTree(fleet)));
}

/** The emitted part of a folder: what must equal the tree. */
export function emitted(directory: string, tree: Tree): [string, string][] {
  return [...readFolder(directory)].filter(([path]) => tree.get(path)?.owner === "emitted");
}

/** The emitted part of a tree: what {@link emitted} must give. */
export function expected(tree: Tree): [string, string][] {
  return [...tree].flatMap(([path, { content, owner }]) => (owner === "emitted" ? [[path, content]] : []));
}
