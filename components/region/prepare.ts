/**
 * Makes the plans of one region's devices, with what is to be said about them. Pure, but for the configuration of the
 * stack, which holds the secrets.
 */
import * as pulumi from "@pulumi/pulumi";
import { deviceProgram } from "../device/program.ts";
import { describeRegionSizes, renderDeviceEntry, treeDevice, treeInput } from "../gitops/index.ts";
import { type Inventory, type Profile, resolveFleet } from "../inventory/index.ts";
import { regionSecretKeys } from "../plan/contexts.ts";
import { type DevicePlan, isRefusal, planRegion, type Refusal } from "../plan/device.ts";
import { planFindings } from "../plan/findings.ts";

/** A region, planned. */
export interface PreparedRegion {
  /** Devices of the region. */
  readonly profiles: readonly Profile[];
  /** Devices of all regions. */
  readonly fleet: readonly Profile[];
  /** One for each of the region's devices. */
  readonly plans: readonly (DevicePlan | Refusal)[];
  /** Lines for people. */
  readonly warnings: readonly string[];
}

/**
 * @param secrets by key. Default: those of the stack's configuration
 * @throws Error when the inventory has no such region
 */
export function prepareRegion(
  inventory: Inventory,
  region: string,
  secrets?: Readonly<Record<string, string>>,
): PreparedRegion {
  if (!inventory.regions.has(region)) {
    const known = [...inventory.regions.keys()].join(", ");
    throw new Error(`${inventory.directory} has no region ${region} - use one of: ${known}`);
  }
  const fleet = resolveFleet(inventory);
  const profiles = fleet.filter((profile) => profile.region === region);
  const present = profiles.filter(({ state }) => state === "present");
  const findings = planFindings(inventory, present);
  const tree = treeInput(inventory, fleet);
  const plans = planRegion({
    profiles,
    artifacts: inventory.artifacts,
    secrets: secrets ?? stackSecrets(regionSecretKeys(present)),
    refused: findings.refused,
    gitUrl: inventory.fleet.git.url,
    entryOf: (profile) => renderDeviceEntry(tree, treeDevice(profile)),
    program: deviceProgram().sha256,
  });
  const sizes = describeRegionSizes(tree.devices.filter((device) => device.region === region));
  return { profiles, fleet, plans, warnings: [...findings.warnings, ...planWarnings(plans, findings.told), ...sizes] };
}

/** What plans alone warn of, since it depends on a secret; one line for all devices that share it. */
function planWarnings(plans: readonly (DevicePlan | Refusal)[], told: ReadonlySet<string>): string[] {
  const warned = plans.flatMap((plan) => {
    const texts = isRefusal(plan) ? [] : plan.warnings.filter((text) => !told.has(text));
    return texts.map((text) => ({ text, id: plan.id }));
  });
  return [...Map.groupBy(warned, ({ text }) => text)].map(([text, devices]) => {
    const more = devices.length > 1 ? ` and ${devices.length - 1} more` : "";
    return `${devices[0]?.id}${more}: ${text}`;
  });
}

/** Secrets as they are: a plan is made here, and the resource that carries them marks them as secrets again. */
function stackSecrets(keys: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    keys.flatMap((key) => {
      const value = pulumi.runtime.getConfig(`edge-fleet:${key}`);
      return value === undefined ? [] : [[key, value]];
    }),
  );
}
