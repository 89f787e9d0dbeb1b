/** What the pull engine of one device takes: from the inventory and the rings of a tree to the objects by which it knows what to run. */
import { formatObjects, treeInput } from "../../components/gitops/index.ts";
import { type Inventory, resolveFleet } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { renderPull } from "../pulls/pull.ts";
import { readRings } from "../rollout/rings.ts";

/** The objects as YAML, or why there are none. */
export interface DevicePulls {
  /** Empty where its ring pins no commit. */
  readonly text: string;
  /** Empty where there are objects. */
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
  const workloads = new Map((input.workloads ?? []).map(({ name }) => [name, readRings(tree, name)] as const));
  const { cluster, namespace, objects } = renderPull(device, input, readRings(tree), workloads);
  if (objects.length === 0) {
    const nothing = `ring ${device.ring} pins no commit: ${id} pulls nothing - use edge-fleet promote ${device.ring}`;
    return { text: "", nothing };
  }
  const where =
    cluster === "hub" ? "on the hub, made by its ApplicationSets" : `for its own cluster, namespace ${namespace}`;
  return { text: formatObjects([`What ${id} pulls with ${device.engine}, ${where}.`], objects), nothing: "" };
}
