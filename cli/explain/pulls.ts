/** The objects by which the pull engine of one device knows what to run, by the inventory and the rings of a tree. */
import { formatObjects, treeInput } from "../../components/gitops/index.ts";
import { readPins } from "../../components/gitops/rings.ts";
import { type Inventory, resolveFleet } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { renderPull } from "../pulls/pull.ts";

/** The objects as YAML, and why they deploy nothing. */
export interface DevicePulls {
  /** Empty where nothing is applied for it. */
  readonly text: string;
  /** Why it pulls nothing; empty where it pulls. */
  readonly nothing: string;
}

/**
 * @param tree folder of the GitOps tree
 * @throws UsageError for a machine that joins another one's cluster
 */
export function devicePulls(inventory: Inventory, id: string, tree: string): DevicePulls {
  const input = treeInput(inventory, resolveFleet(inventory));
  const device = input.devices.find((candidate) => candidate.id === id);
  if (device === undefined)
    throw new UsageError(`device ${id} is a node of another one's cluster and pulls nothing - use the device it joins`);
  const { where, objects, deployed } = renderPull(device, input, readPins(tree, input.workloads));
  const text =
    objects.length === 0 ? "" : formatObjects([`What ${id} pulls with ${device.engine}: ${where}.`], objects);
  const nothing =
    device.engine === "none"
      ? `gitops.engine is none: ${id} pulls nothing - set it to argocd, or deploy to it yourself`
      : `ring ${device.ring} pins no commit: ${id} pulls nothing - use edge-fleet promote ${device.ring}`;
  return { text, nothing: deployed.length === 0 ? nothing : "" };
}
