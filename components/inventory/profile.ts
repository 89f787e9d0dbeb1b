/**
 * The profile of a device: every setting resolved through the layers, with the layer that each one comes from. Pure:
 * inventory in, profile out.
 */
import { DISTRIBUTION_NAMES } from "./distribution-schema.ts";
import { type LayerValues, mergeLayers } from "./layers.ts";
import type { Model } from "./schema.ts";
import { DEFAULT_SETTINGS, type Settings, SettingsSchema } from "./settings-schema.ts";
import type {
  DeviceRecord,
  DistributionProfiles,
  Inventory,
  Layer,
  Profile,
  Region,
  ResolvedSettings,
} from "./types.ts";

/** Names of the settings, in the order of the schema. */
const SETTING_NAMES = Object.keys(SettingsSchema.shape);

/** The settings part of a layer object that also carries fields of its own. */
function settingsOf(layer: object): Settings {
  return Object.fromEntries(Object.entries(layer).filter(([key]) => SETTING_NAMES.includes(key)));
}

/**
 * Resolves one device.
 * @param deviceId id of a device of any region
 * @throws Error when there is no such device, or a required setting (`ring`, `k3s.version`) is set in no layer
 */
export function resolveProfile(inventory: Inventory, deviceId: string): Profile {
  for (const region of inventory.regions.values()) {
    const record = region.devices.find(({ entry }) => entry.id === deviceId);
    if (record !== undefined) return resolveDevice(inventory, region, record);
  }
  throw new Error(
    `device ${deviceId} is in no region of ${inventory.directory} - use one of the ids in its region files`,
  );
}

/** Profiles of a region's devices, in id order. */
export function resolveRegion(inventory: Inventory, regionName: string): Profile[] {
  const region = inventory.regions.get(regionName);
  if (region === undefined) {
    const known = [...inventory.regions.keys()].join(", ");
    throw new Error(`region ${regionName} is not in ${inventory.directory} - use one of ${known || "none yet"}`);
  }
  return region.devices
    .map((record) => resolveDevice(inventory, region, record))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

const fleets = new WeakMap<Inventory, readonly Profile[]>();

/** Profiles of the whole fleet, by region and id. An inventory, which nothing changes, is resolved once. */
export function resolveFleet(inventory: Inventory): readonly Profile[] {
  const known = fleets.get(inventory);
  if (known !== undefined) return known;
  const fleet = [...inventory.regions.keys()].sort().flatMap((region) => resolveRegion(inventory, region));
  fleets.set(inventory, fleet);
  return fleet;
}

/** One resolved value and where it comes from. */
export interface ExplainedValue {
  /** e.g. `k3s.version` */
  readonly path: string;
  readonly value: unknown;
  readonly layer: Layer;
}

/** Every setting of a device with the layer that it comes from, in path order. */
export function explainDevice(inventory: Inventory, deviceId: string): ExplainedValue[] {
  const profile = resolveProfile(inventory, deviceId);
  return Object.entries(profile.origins)
    .map(([path, layer]) => ({ path, value: valueAt(profile, path), layer }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Resolves a device that the caller already holds. @throws as {@link resolveProfile} */
export function resolveDevice(inventory: Inventory, region: Region, record: DeviceRecord): Profile {
  const { entry } = record;
  const model = inventory.models[entry.model];
  if (model === undefined)
    throw new Error(
      `model ${entry.model} is not in models.yaml - use one of ${Object.keys(inventory.models).join(", ")}`,
    );
  const written: LayerValues[] = [
    { layer: "fleet", values: settingsOf(inventory.fleet) },
    { layer: "model", values: settingsOf(model) },
    { layer: "region", values: region.settings },
    { layer: "device", values: settingsOf(entry) },
  ];
  const steered = hasRoomForAgent(model) && inventory.fleet.hub !== "none" && written.some(namesPrincipal);
  const { settings, origins } = mergeLayers([
    { layer: "default", values: DEFAULT_SETTINGS },
    { layer: "default", values: steered ? { gitops: { engine: "argocd-agent" } } : {} },
    ...written,
  ]);
  const stolen = entry.state === "stolen";
  return {
    id: entry.id,
    region: region.name,
    model: entry.model,
    state: region.state === "removed" || (entry.state ?? "present") !== "present" ? "removed" : "present",
    stolen,
    architecture: model.architecture,
    memoryMiB: memoryMiB(model.memory),
    host: entry.host,
    hostKey: entry.hostKey,
    identityKey: entry.identityKey,
    sealing: sealingOf(region, entry),
    joins: entry.joins,
    ...complete(SettingsSchema.parse(settings)),
    // Nobody is to dial a machine that somebody else has.
    ...(stolen ? { decommission: "retain" } : {}),
    origins: { ...origins, state: stateOrigin(region, entry) },
  };
}

/** The agent takes 80 MiB more (gitops/engine/agent/settings.ts), which 2 GiB do not have beside Argo CD. */
function hasRoomForAgent({ memory }: Model): boolean {
  return memoryMiB(memory) >= 4096;
}

function namesPrincipal({ values }: LayerValues): boolean {
  return values.gitops?.agent?.address !== undefined;
}

function sealingOf({ lock }: Region, { id, model }: DeviceRecord["entry"]): readonly string[] {
  const scopes = ["region", `model/${model}`, `device/${id}`];
  return lock.sealing.filter((key) => scopes.includes(key.for)).map(({ certificate }) => certificate);
}

function stateOrigin(region: Region, { state }: DeviceRecord["entry"]): Layer {
  if (region.state === "removed") return "region";
  return state === undefined ? "default" : "device";
}

/** Adds what no schema can say: what is required after all, and what follows from another setting. */
function complete(settings: ResolvedSettings): Omit<Profile, "origins" | "state" | "stolen" | IdentityField> {
  const { ssh, distribution } = settings;
  const distributions = DISTRIBUTION_NAMES.map((name) => {
    const { version } = settings[name];
    const pinned = name === distribution ? required(version, `${name}.version`) : (version ?? "");
    return [name, { ...settings[name], version: pinned }];
  });
  return {
    ...settings,
    ring: required(settings.ring, "ring"),
    ssh: { ...ssh, proxy: ssh.proxy && { ...ssh.proxy, user: ssh.proxy.user ?? ssh.user } },
    ...(Object.fromEntries(distributions) as DistributionProfiles),
  };
}

type IdentityField =
  | "id"
  | "region"
  | "model"
  | "architecture"
  | "memoryMiB"
  | "host"
  | "hostKey"
  | "identityKey"
  | "sealing"
  | "joins";

function required<T>(value: T | undefined, path: string): T {
  if (value === undefined)
    throw new Error(`${path} is set in no layer - set it in fleet.yaml, in the model, the region or the device`);
  return value;
}

function valueAt(profile: Profile, path: string): unknown {
  for (const map of ["labels", "values", "registries"] as const) {
    if (path.startsWith(`${map}.`)) return valueOfMap(profile[map], path.slice(map.length + 1));
  }
  return path
    .split(".")
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], profile);
}

/** Keys of labels, values and registries contain dots themselves. */
function valueOfMap(map: Readonly<Record<string, unknown>>, path: string): unknown {
  const key = Object.keys(map).find((candidate) => path === candidate || path.startsWith(`${candidate}.`));
  if (key === undefined || key === path) return map[path];
  return (map[key] as Record<string, unknown>)[path.slice(key.length + 1)];
}

/** `4Gi` -> 4096. */
export function memoryMiB(quantity: string): number {
  const amount = Number.parseInt(quantity, 10);
  return quantity.endsWith("Gi") ? amount * 1024 : amount;
}

/** A device that stands in no inventory. */
export type DeviceDescription = Pick<Profile, "id" | "region" | "architecture" | "memoryMiB"> & {
  /** Everything else; what is left out has edge-fleet's own default. */
  readonly settings: Settings;
};

/**
 * The profile of a device that stands in no inventory. Where it is, and as whom it is reached, is not part of it.
 * @throws Error when a setting is not valid or the distribution's version is missing
 */
export function profileOf({ settings, ...device }: DeviceDescription): Profile {
  const merged = mergeLayers([
    { layer: "default", values: DEFAULT_SETTINGS },
    { layer: "device", values: { ring: "all", ...settings } },
  ]);
  const own = { model: device.architecture, state: "present", stolen: false, host: "", hostKey: undefined } as const;
  const rest = complete(SettingsSchema.parse(merged.settings));
  return { ...own, ...device, identityKey: undefined, sealing: [], joins: undefined, ...rest, origins: merged.origins };
}
