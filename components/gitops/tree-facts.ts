/** What the tree wants to know of devices and regions, out of resolved profiles. */
import { sealingKeyName } from "../identity/sealing.ts";
import type { Profile, RegistryMirror } from "../inventory/types.ts";
import { fluxGitSecretName, runsFlux } from "./engine/flux/settings.ts";
import { secretsSourceOf } from "./engine/secrets.ts";
import type { RegionFacts, TreeDevice } from "./tree-input.ts";
import { windowGroup } from "./windows.ts";

/** The fields of a profile that decide its values. */
export type ValueSource = Pick<Profile, "labels"> & Partial<Pick<Profile, "values">>;

/** The facts of a device for its workloads: its values, and its label `site` unless a value of that name is set. */
export function deviceValues({ labels, values = {} }: ValueSource): Record<string, string> {
  const { site } = labels;
  return site === undefined ? { ...values } : { site, ...values };
}

/** The device of a profile. @throws Error when it has windows in a time zone that is not known */
export function treeDevice(profile: Profile): TreeDevice {
  const { id, region, model, ring, gitops, wasm, labels, maintenance, time } = profile;
  const secrets = secretsSourceOf(profile);
  return {
    id,
    region,
    model,
    ring,
    engine: gitops.engine,
    ...(runsFlux(profile) ? { flux: fluxOf(gitops) } : {}),
    wasm,
    ...(secrets === undefined ? {} : { secrets }),
    ...(secrets === "sealed-secrets" ? { sealing: profile.sealing.map(sealingKeyName) } : {}),
    values: deviceValues(profile),
    labels,
    windows: windowGroup(maintenance, time.zone),
  };
}

function fluxOf({ access, flux }: Profile["gitops"]): NonNullable<TreeDevice["flux"]> {
  const gitSecret = fluxGitSecretName(access);
  return {
    reconcileMinutes: flux.reconcileMinutes,
    ...(gitSecret === undefined ? {} : { gitSecret }),
    ...(access?.type === "githubApp" ? { gitHubApp: true } : {}),
  };
}

/** What the devices of each region have in common. A fact that differs between two of them is none of the region's. */
export function regionFacts(profiles: readonly Profile[]): Record<string, RegionFacts> {
  const facts = new Map<string, Map<keyof RegionFacts, string>>();
  for (const profile of profiles) {
    const own = factsOf(profile);
    const known = facts.get(profile.region);
    if (known === undefined) facts.set(profile.region, new Map(own));
    else for (const [name, value] of known) if (own.get(name) !== value) known.delete(name);
  }
  return Object.fromEntries(
    [...facts].map(([region, known]) => [
      region,
      Object.fromEntries([...known].map(([name, value]) => [name, JSON.parse(value) as unknown])),
    ]),
  );
}

/** Facts as JSON, so that two devices' are compared at once. Empty lists and maps are no facts. */
function factsOf({ time, network, registries }: Profile): Map<keyof RegionFacts, string> {
  const facts = new Map<keyof RegionFacts, string>([
    ["timeZone", JSON.stringify(time.zone)],
    ["networkShape", JSON.stringify(network.shape)],
  ]);
  if (time.ntpServers.length > 0) facts.set("ntpServers", JSON.stringify(time.ntpServers));
  const mirrors = Object.entries(registries).sort(([a], [b]) => (a < b ? -1 : 1));
  if (mirrors.length > 0) facts.set("registryMirrors", JSON.stringify(endpointsOf(mirrors)));
  return facts;
}

function endpointsOf(mirrors: readonly [string, RegistryMirror][]): Record<string, readonly string[]> {
  return Object.fromEntries(mirrors.map(([host, { endpoints }]) => [host, endpoints]));
}
