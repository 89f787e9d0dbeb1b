/**
 * The hub stack: from the inventory and the configuration to the {@link Hub} and its outputs.
 */
import * as pulumi from "@pulumi/pulumi";
import { hubOf, type Inventory } from "../inventory/index.ts";
import type { StackSettings } from "../settings.ts";
import type { RegionAccess } from "./args.ts";
import { Hub } from "./index.ts";
import { kubeconfigPath, readCluster } from "./kubeconfig.ts";
import { loadArgoCd } from "./manifests.ts";

/** Outputs of the hub stack, read by the region stacks. */
export interface HubOutputs {
  /** Access of each region's stack, by region. */
  readonly regions: Readonly<Record<string, RegionAccess>>;
}

/** @throws Error when the manifests or the kubeconfig cannot be used */
export async function runHubStack(inventory: Inventory, settings: StackSettings): Promise<HubOutputs> {
  const wanted = hubOf(inventory.fleet);
  if (wanted === undefined) throw new Error("fleet.yaml says hub: none - write the hub there, or remove this stack");
  const kubeconfig = kubeconfigPath(settings.kubeconfig);
  const manifests = await loadArgoCd(wanted.argocd.version, inventory.artifacts, inventory.directory);
  const hub = new Hub(pulumi.getStack(), {
    kubeconfig,
    cluster: readCluster(kubeconfig),
    manifests,
    regions: [...inventory.regions.keys()],
    gitUrl: inventory.fleet.git.url,
    workloads: inventory.fleet.workloads ?? [],
    awaitReady: settings.awaitReady,
  });
  return { regions: hub.regions };
}
