/** A region stack: the GitOps tree, the {@link Region} and its outputs, by the inventory and the configuration. */
import * as pulumi from "@pulumi/pulumi";
import { FleetTree } from "../gitops/fleet-tree.ts";
import { hubOf, type Inventory } from "../inventory/index.ts";
import type { StackSettings } from "../settings.ts";
import { readHubKubeconfig } from "./hub-access.ts";
import { Region } from "./index.ts";
import type { RegionOutputs } from "./outputs.ts";

/**
 * @param region name of the region and of the stack
 * @throws Error when the region is unknown, the hub cannot be reached or is another one, or the tree cannot be written
 */
export async function runRegionStack(
  region: string,
  inventory: Inventory,
  settings: StackSettings,
): Promise<{ readonly [K in keyof RegionOutputs]: pulumi.Output<RegionOutputs[K]> }> {
  requireRegion(region, inventory);
  const hub = hubOf(inventory.fleet);
  const kubeconfig = hub === undefined ? undefined : await readHubKubeconfig(hub.stack, region);
  new FleetTree(`${region}-tree`, { inventory, directory: settings.tree });
  const access = kubeconfig === undefined ? {} : { hubKubeconfig: pulumi.secret(kubeconfig) };
  const { outputs } = new Region(region, { inventory, ...access, awaitReady: settings.awaitReady });
  const { devices, applied, waiting, agents, pending, failed, removed } = outputs;
  return { devices, applied, waiting, agents, pending, failed, removed };
}

function requireRegion(stack: string, { regions, directory, fleet }: Inventory): void {
  if (regions.has(stack)) return;
  const hub = hubOf(fleet);
  const names = [...(hub === undefined ? [] : [hub.stack]), ...regions.keys()];
  throw new Error(
    `the stack ${stack} is no region of ${directory}${hub === undefined ? "" : " and not the hub"} - use one of: ${names.join(", ")}; ` +
      `a region that is to go is restored in ${directory}/${stack}.yaml with state: removed`,
  );
}
