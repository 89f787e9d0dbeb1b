/**
 * A region stack: reads the previous run's outputs and the hub's, probes, plans, writes the GitOps tree, and hands the
 * plan to the {@link Region}. A preview neither dials nor writes.
 */
import * as pulumi from "@pulumi/pulumi";
import { renderPayload } from "../device/apply.ts";
import { probeDevices, type Reachability } from "../device/reachability.ts";
import {
  controlPlaneNamespace,
  describeChanges,
  describeRegionSizes,
  hasChanges,
  planTree,
  renderApplicationSets,
  renderTree,
  type TreeInput,
  treeInput,
  writeTree,
} from "../gitops/index.ts";
import { type Inventory, type Profile, resolveFleet } from "../inventory/index.ts";
import type { StackSettings } from "../settings.ts";
import { deviceContexts, joinedServers, regionSecretKeys } from "./contexts.ts";
import { Region } from "./index.ts";
import type { PreviousOutputs, RegionOutputs } from "./outputs.ts";
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
    previousOutputs(),
    regionKubeconfig(inventory.fleet.hub.stack ?? "hub", region),
  ]);
  const maxRemovals = (inventory.fleet.guard?.maxRemovals ?? MAX_REMOVALS) + settings.allowRemovals;
  const secrets = stackSecrets(regionSecretKeys(profiles));
  const servers = serverHashes(profiles, inventory, secrets);
  const plan = planRegion({ region, profiles, previous: previous.devices, reachability, servers, maxRemovals });
  await reportPlan(plan);
  for (const line of describeRegionSizes(tree.devices.filter((device) => device.region === region)))
    await pulumi.log.warn(line);
  await emitTree(tree, settings.tree);
  const { outputs } = new Region(region, {
    plan,
    artifacts: inventory.artifacts,
    previous,
    profiles,
    secrets,
    applicationSets: renderApplicationSets(region, tree),
    hubKubeconfig,
  });
  const { devices, programs, pushed, pending, failed } = outputs;
  return { devices, programs, pushed, pending, failed };
}

/** Hash of the wanted state of each enrolled device that others join. */
function serverHashes(
  profiles: readonly Profile[],
  { artifacts }: Inventory,
  secrets: Readonly<Record<string, string>>,
): Record<string, string> {
  const joined = joinedServers(profiles);
  const contexts = deviceContexts(profiles, secrets);
  const servers = profiles.filter(({ id, hostKey }) => joined.has(id) && hostKey !== undefined);
  return Object.fromEntries(
    servers.map((profile) => [profile.id, renderPayload(profile, artifacts, contexts.get(profile.id)).hash]),
  );
}

/** Outputs of this stack's previous run: a stack may refer to itself. */
async function previousOutputs(): Promise<PreviousOutputs> {
  const self = new pulumi.StackReference("previous-run", { name: stackName(pulumi.getStack()) });
  const read = async (name: keyof PreviousOutputs): Promise<Record<string, string>> => {
    const details = await self.getOutputDetails(name);
    return (details.value as Record<string, string> | undefined) ?? {};
  };
  return { devices: await read("devices"), programs: await read("programs"), pushed: await read("pushed") };
}

/**
 * Secrets of the stack's configuration as they are: a payload is rendered here, and the resource that carries it marks it
 * as a secret again.
 */
function stackSecrets(keys: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    keys.flatMap((key) => {
      const value = pulumi.runtime.getConfig(`edge-fleet:${key}`);
      return value === undefined ? [] : [[key, value]];
    }),
  );
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
    await pulumi.log.warn(
      `${id} left the inventory: it leaves the state, and the device is left as it is unless its decommission was wipe`,
    );
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
