/**
 * A region stack: reads the previous run's outputs and the hub's, probes, plans, writes the GitOps tree, and hands the
 * plan to the {@link Region}. A preview neither dials nor writes.
 */
import * as pulumi from "@pulumi/pulumi";
import { probeDevices, type Reachability } from "../device/reachability.ts";
import {
  controlPlaneNamespace,
  describeChanges,
  hasChanges,
  planTree,
  renderApplicationSet,
  renderTree,
  type TreeInput,
  treeInput,
  writeTree,
} from "../gitops/index.ts";
import { type Inventory, resolveFleet } from "../inventory/index.ts";
import type { StackSettings } from "../settings.ts";
import { Region } from "./index.ts";
import type { RegionOutputs } from "./outputs.ts";
import { planRegion, probeTargets, type RegionPlan } from "./plan.ts";

/** Default of `guard.maxRemovals`. */
const MAX_REMOVALS = 1;

/**
 * @param region name of the region and of the stack
 * @throws Error when the region is unknown, the removal guard refuses, or the tree cannot be written
 */
export async function runRegionStack(
  region: string,
  inventory: Inventory,
  settings: StackSettings,
): Promise<{ readonly [K in keyof RegionOutputs]: pulumi.Output<RegionOutputs[K]> }> {
  const fleet = resolveFleet(inventory);
  const profiles = fleet.filter((profile) => profile.region === region);
  const tree = treeInput(inventory, fleet);
  const probing = !pulumi.runtime.isDryRun() && settings.probe;
  const [reachability, previous, hubKubeconfig] = await Promise.all([
    probing ? probeDevices(probeTargets(profiles)) : new Map<string, Reachability>(),
    previousDevices(),
    regionKubeconfig(inventory.fleet.hub.stack ?? "hub", region),
  ]);
  const maxRemovals = (inventory.fleet.guard?.maxRemovals ?? MAX_REMOVALS) + settings.allowRemovals;
  const plan = planRegion({ region, profiles, previous, reachability, maxRemovals });
  await reportPlan(plan);
  await emitTree(tree, settings.tree);
  const { outputs } = new Region(region, {
    plan,
    artifacts: inventory.artifacts,
    previous,
    applicationSet: renderApplicationSet(region, tree),
    hubKubeconfig,
  });
  return { devices: outputs.devices, pending: outputs.pending, failed: outputs.failed };
}

/** Output `devices` of this stack's previous run: a stack may refer to itself. */
async function previousDevices(): Promise<Record<string, string>> {
  const self = new pulumi.StackReference("previous-run", { name: stackName(pulumi.getStack()) });
  const details = await self.getOutputDetails("devices");
  return (details.value as Record<string, string> | undefined) ?? {};
}

/** @throws RunError when the hub's stack does not exist or its backend does not answer */
async function regionKubeconfig(hubStack: string, region: string): Promise<pulumi.Output<string> | undefined> {
  const hub = new pulumi.StackReference("hub", { name: stackName(hubStack) });
  const { value, secretValue } = await hub.getOutputDetails("regions").catch(() => {
    throw new pulumi.RunError(
      `the outputs of the hub stack ${hubStack} cannot be read - if it does not exist yet: pulumi stack init ${hubStack}`,
    );
  });
  const regions = (secretValue ?? value) as Record<string, { kubeconfig?: string }> | undefined;
  const kubeconfig = regions?.[region]?.kubeconfig;
  if (kubeconfig !== undefined) return pulumi.secret(kubeconfig);
  await pulumi.log.warn(
    `the hub stack ${hubStack} has no namespace ${controlPlaneNamespace(region)} yet, so no device is registered - run pulumi up on it, then on ${region} again`,
  );
  return undefined;
}

function stackName(stack: string): string {
  return `${pulumi.getOrganization()}/${pulumi.getProject()}/${stack}`;
}

async function reportPlan({ hold, wait, remove }: RegionPlan): Promise<void> {
  for (const { profile, reason } of [...hold, ...wait]) await pulumi.log.info(`pending ${profile.id}: ${reason}`);
  for (const id of remove) {
    await pulumi.log.warn(`${id} left the inventory: it leaves the state, and the device itself is left as it is`);
  }
}

async function emitTree(input: TreeInput, directory: string): Promise<void> {
  const changes = planTree(directory, renderTree(input));
  if (!pulumi.runtime.isDryRun()) writeTree(directory, changes);
  const tense = pulumi.runtime.isDryRun() ? "would change" : "changed";
  if (hasChanges(changes)) {
    await pulumi.log.info(`GitOps tree ${directory} ${tense}:\n${describeChanges(changes).join("\n")}`);
  }
}
