/**
 * A region stack: reads the previous run's outputs and the hub's, probes, plans, writes the GitOps tree, and hands the
 * plan to the {@link Region}. A preview neither dials nor writes.
 */
import * as pulumi from "@pulumi/pulumi";
import { probeDevices, type Reachability } from "../device/reachability.ts";
import { failAtEnd, readStackOutputs } from "../engine.ts";
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
import { deviceContexts, joinedServers, regionSecretKeys } from "../plan/contexts.ts";
import { type PlanFindings, planFindings } from "../plan/findings.ts";
import { renderPayload } from "../plan/payload.ts";
import type { StackSettings } from "../settings.ts";
import { Region } from "./index.ts";
import type { PreviousOutputs, RegionOutputs } from "./outputs.ts";
import { planRegion, probeTargets, type RegionPlan } from "./plan.ts";
import { erasureTargets } from "./removal.ts";

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
  const [previous, hubKubeconfig] = await Promise.all([
    previousOutputs(),
    regionKubeconfig(inventory.fleet.hub.stack ?? "hub", region),
  ]);
  const targets = [...probeTargets(profiles), ...erasureTargets(profiles, previous.wipe)];
  const reachability = probing ? await probeDevices(targets) : new Map<string, Reachability>();
  const maxRemovals = (inventory.fleet.guard?.maxRemovals ?? MAX_REMOVALS) + settings.allowRemovals;
  const secrets = stackSecrets(regionSecretKeys(profiles));
  const findings = planFindings(inventory, profiles);
  const servers = serverHashes(profiles, inventory, secrets);
  const { devices: applied, wipe: toWipe } = previous;
  const known = { previous: applied, wipe: toWipe, reachability, servers };
  const plan = planRegion({ region, profiles, fleet, maxRemovals, ...known });
  await reportPlan(plan);
  await reportFindings(findings);
  for (const line of describeRegionSizes(tree.devices.filter((device) => device.region === region)))
    await pulumi.log.warn(line);
  await emitTree(tree, settings.tree);
  const component = new Region(region, {
    plan,
    artifacts: inventory.artifacts,
    previous,
    profiles,
    refused: findings.refused,
    secrets,
    applicationSets: renderApplicationSets(region, tree),
    hubKubeconfig,
  });
  if (component.refused.length > 0) {
    await failAtEnd(`not applied: ${component.refused.join(", ")} - the output failed says why`, component);
  }
  const { devices, programs, pushed, pending, failed, wipe, removed } = component.outputs;
  return { devices, programs, pushed, pending, failed, wipe, removed };
}

/** Hash of the wanted state of each enrolled device that others join; one that no state has where it cannot be planned. */
function serverHashes(
  profiles: readonly Profile[],
  { artifacts }: Inventory,
  secrets: Readonly<Record<string, string>>,
): Record<string, string> {
  const joined = joinedServers(profiles);
  const contexts = deviceContexts(profiles, secrets);
  const servers = profiles.filter(({ id, hostKey }) => joined.has(id) && hostKey !== undefined);
  const hashOf = (profile: Profile): string => {
    try {
      return renderPayload(profile, artifacts, contexts.get(profile.id)).hash;
    } catch {
      return "refused";
    }
  };
  return Object.fromEntries(servers.map((profile) => [profile.id, hashOf(profile)]));
}

/** Outputs of this stack's previous run. */
async function previousOutputs(): Promise<PreviousOutputs> {
  const {
    devices = {},
    programs = {},
    pushed = {},
    wipe = {},
  } = (await readStackOutputs(pulumi.getStack())) as Partial<PreviousOutputs>;
  return { devices, programs, pushed, wipe };
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
  const outputs = await readStackOutputs(hubStack).catch(() => {
    throw new pulumi.RunError(
      `the outputs of the hub stack ${hubStack} cannot be read - if it does not exist yet: pulumi stack init ${hubStack}`,
    );
  });
  const kubeconfig = outputs[`kubeconfig-${region}`];
  if (typeof kubeconfig === "string") return pulumi.secret(kubeconfig);
  await pulumi.log.warn(
    `the hub stack ${hubStack} has no namespace ${controlPlaneNamespace(region)} yet, so no device is registered - run pulumi up on it, then on ${region} again`,
  );
  return undefined;
}

async function reportPlan({ hold, wait, erase, overdue, drop }: RegionPlan): Promise<void> {
  for (const { profile, reason } of [...hold, ...wait]) await pulumi.log.info(`pending ${profile.id}: ${reason}`);
  for (const id of erase) await pulumi.log.warn(`${id} left the inventory and is wiped`);
  for (const { id, reason } of overdue) await pulumi.log.warn(`${id} left the inventory and is to be wiped: ${reason}`);
  for (const { id, reason } of drop) {
    const why = reason === "" ? "" : `, and not wiped: ${reason}`;
    await pulumi.log.warn(`${id} left the inventory: it leaves the stack, the device is left as it is${why}`);
  }
}

/** Warnings of the engine, also where a device fails: an error would fail the run before the other devices. */
async function reportFindings({ errors, warnings }: PlanFindings): Promise<void> {
  for (const line of errors) await pulumi.log.warn(`not applied: ${line}`);
  for (const line of warnings) await pulumi.log.warn(line);
}

async function emitTree(input: TreeInput, directory: string): Promise<void> {
  const changes = planTree(directory, renderTree(input));
  if (!pulumi.runtime.isDryRun()) writeTree(directory, changes);
  const tense = pulumi.runtime.isDryRun() ? "would change" : "changed";
  if (hasChanges(changes)) {
    await pulumi.log.info(`GitOps tree ${directory} ${tense}:\n${describeChanges(changes).join("\n")}`);
  }
}
