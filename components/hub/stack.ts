/**
 * The hub stack: the {@link Hub} that the inventory, the configuration and the state of the last run ask for, and its
 * outputs. What it refuses, it refuses before anything of the hub is registered.
 */
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { readStackResources } from "../engine.ts";
import { controlPlaneNamespace } from "../gitops/labels.ts";
import { FLEET_CA_KEY, openFleetAuthority } from "../identity/authority.ts";
import type { HubSettings } from "../inventory/hub-schema.ts";
import { hubOf, type Inventory, resolveRegion } from "../inventory/index.ts";
import { GIT_SECRET_KEYS } from "../plan/git-access.ts";
import type { StackSettings } from "../settings.ts";
import { readAccess } from "./api.ts";
import type { HubRegion } from "./args.ts";
import { readClusterUid } from "./cluster.ts";
import { findDefinitions, markDefinitions, readDefinitions, refuseForeign, refuseOlder } from "./definitions.ts";
import { hubGit } from "./git.ts";
import { listHeldObjects } from "./held.ts";
import { Hub } from "./index.ts";
import {
  findInstalledHub,
  type InstalledHub,
  refuseHeld,
  refuseOtherCluster,
  refuseUndeclared,
  vanishedControlPlanes,
} from "./installed.ts";
import { type Cluster, readCluster } from "./kubeconfig.ts";
import { type ArgoCdManifests, loadArgoCd } from "./manifests.ts";
import { planPrincipals } from "./principal/plan.ts";
import { openServer, SERVER_SECRET_KEYS } from "./server.ts";

/**
 * Outputs of the hub stack: `kubeconfig-<region>` for each region's stack, secret; `principal-<region>`, the addresses that
 * the load balancers of a region's principals have got, by their release; and which cluster the hub is.
 */
export type HubOutputs = Readonly<Record<`kubeconfig-${string}` | "clusterUid", pulumi.Output<string>>> &
  Readonly<Record<`principal-${string}`, Readonly<Record<string, pulumi.Output<string>>>>>;

/**
 * @throws Error when the fleet has no hub, the manifests or the kubeconfig cannot be used, the kubeconfig leads to another
 * cluster than before, or a control plane would go that nothing says may go
 */
export async function runHubStack(inventory: Inventory, settings: StackSettings): Promise<HubOutputs> {
  const { directory, fleet, artifacts } = inventory;
  const stack = pulumi.getStack();
  const wanted = hubOf(fleet);
  if (wanted === undefined) {
    const why = `hub: is none, so the stack ${stack} has nothing to install - describe the hub there, or remove the stack`;
    throw new Error(`${join(directory, "fleet.yaml")} ${why}`);
  }
  const regions = hubRegions(inventory, settings.tokenGenerations, wanted);
  const cluster = readCluster(settings.context);
  const access = settings.context === undefined ? {} : { context: settings.context };
  const manifests = await loadArgoCd(wanted.argocd.version, artifacts, directory);
  const installed = findInstalledHub(await readStackResources());
  refuseUndeclared(vanishedControlPlanes(installed, inventory.regions.keys()), directory);
  const uid = await readClusterUid(stack, access);
  refuseOtherCluster(installed, uid, stack);
  await refuseHeldControlPlanes(installed, inventory, cluster);
  if (wanted.definitions === "adopt") refuseOlder(await readDefinitions(stack, access, manifests.crds), manifests.crds);
  else await refuseForeignDefinitions(installed, manifests, fleet.fleet, settings.context);
  const hub = new Hub(stack, {
    cluster: { ...access, ...cluster, uid },
    manifests: { ...manifests, crds: markDefinitions(manifests.crds, fleet.fleet) },
    regions,
    gitUrl: fleet.git.url,
    workloads: fleet.workloads ?? [],
    projects: fleet.projects ?? {},
    definitions: wanted.definitions,
    highAvailability: wanted.highAvailability,
    metrics: wanted.metrics,
    server: openServer(wanted.server, readSecrets(Object.values(SERVER_SECRET_KEYS))),
    awaitReady: settings.awaitReady,
  });
  await reportRemoved(regions, inventory, hub);
  const accesses = Object.entries(hub.regions).flatMap(([region, { kubeconfig, principalAddresses }]) => [
    [`kubeconfig-${region}`, kubeconfig],
    ...(Object.keys(principalAddresses).length === 0 ? [] : [[`principal-${region}`, principalAddresses]]),
  ]);
  return Object.fromEntries([["clusterUid", hub.clusterUid], ...accesses]) as HubOutputs;
}

/**
 * How each region stands.
 * @throws Error when a token is counted for no region, or with no count, or as `planPrincipals`
 */
function hubRegions(
  inventory: Inventory,
  tokenGenerations: StackSettings["tokenGenerations"],
  { principal: exposure, metrics }: Pick<HubSettings, "principal" | "metrics">,
): Record<string, HubRegion> {
  const { regions, artifacts } = inventory;
  for (const [region, generation] of Object.entries(tokenGenerations)) {
    const key = `edge-fleet:tokenGenerations.${region}`;
    if (!regions.has(region))
      throw new Error(
        `${key}: there is no region ${region} - use one of: ${[...regions.keys()].join(", ")}; or, where it is removed: ` +
          `pulumi config rm --path ${key}`,
      );
    if (!Number.isInteger(generation) || generation < 1)
      throw new Error(`${key}: is ${generation} - use 1, 2, 3 and so on`);
  }
  const authority = () => openFleetAuthority(pulumi.runtime.getConfig(`edge-fleet:${FLEET_CA_KEY}`));
  const input = { exposure, scraper: metrics?.namespace, artifacts, authority };
  const standings = [...regions].map(([name, { state }]): [string, HubRegion] => {
    const principal = planPrincipals(name, resolveRegion(inventory, name), input);
    return [
      name,
      {
        removed: state === "removed",
        tokenGeneration: tokenGenerations[name] ?? 1,
        ...(principal === undefined ? {} : { principal }),
        ...gitOf(inventory, name),
      },
    ];
  });
  return Object.fromEntries(standings);
}

/** With the secrets of the stack's configuration, `edge-fleet:git-...`. */
function gitOf(inventory: Inventory, region: string): Pick<HubRegion, "git"> {
  const git = hubGit(inventory, region, readSecrets(GIT_SECRET_KEYS));
  return git === undefined ? {} : { git };
}

/** Those of the keys that are set, with their values. */
function readSecrets(keys: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    keys.flatMap((key) => {
      const value = pulumi.runtime.getConfig(`edge-fleet:${key}`);
      return value === undefined ? [] : [[key, value]];
    }),
  );
}

/** Nothing is asked once the state has them all. */
async function refuseForeignDefinitions(
  { definitions }: InstalledHub,
  { crds }: ArgoCdManifests,
  fleet: string,
  context: string | undefined,
): Promise<void> {
  const unknown = crds.map(({ metadata }) => metadata.name).filter((name) => !definitions.includes(name));
  if (unknown.length > 0) refuseForeign(await findDefinitions(await readAccess(context), unknown), fleet);
}

/** One whose token is gone is past that: its deletion has begun. */
async function refuseHeldControlPlanes(
  installed: InstalledHub,
  { regions }: Inventory,
  cluster: Cluster,
): Promise<void> {
  for (const { region, token } of vanishedControlPlanes(installed, regions.keys())) {
    if (token !== undefined) refuseHeld(region, await listHeldObjects(cluster, region, token));
  }
}

async function reportRemoved(
  standings: Readonly<Record<string, HubRegion>>,
  { regions }: Inventory,
  hub: Hub,
): Promise<void> {
  for (const [region, { removed }] of Object.entries(standings)) {
    if (removed !== true) continue;
    await pulumi.log.warn(
      `region ${region} is removed: its control plane ${controlPlaneNamespace(region)} runs on, without protection, until ` +
        `${regions.get(region)?.file} goes - first run pulumi up --stack ${region}, then pulumi destroy --stack ${region}`,
      hub,
    );
  }
}
