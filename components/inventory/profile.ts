/**
 * The profile of a device: every setting resolved through the layers, with the layer that each one comes from. Pure:
 * inventory in, profile out.
 */
import { type MergedSettings, mergeLayers } from "./layers.ts";
import type { Settings } from "./schema.ts";
import type { DeviceRecord, Inventory, Layer, Profile, Region, ResolvedProxy } from "./types.ts";

/** What edge-fleet sets where no layer does. The reasons are in the schema's descriptions. */
export const DEFAULT_SETTINGS = {
  ssh: { user: "root", port: 22 },
  distribution: "k3s",
  k3s: {
    disable: ["traefik", "servicelb", "metrics-server"],
    flannelBackend: "host-gw",
    clusterCidr: "10.42.0.0/16",
    serviceCidr: "10.43.0.0/16",
  },
  artifacts: { delivery: "fetch" },
  gitops: { engine: "argocd-agent" },
  readiness: { timeoutSeconds: 300 },
} satisfies Settings;

/** The keys of a device entry that are identity, not settings. */
const IDENTITY_KEYS = ["id", "host", "model", "hostKey", "identityKey", "facts"] as const;

/** The settings part of a layer object that also carries identity fields. */
function settingsOf<T extends object>(layer: T, identity: readonly string[]): Settings {
  return Object.fromEntries(Object.entries(layer).filter(([key]) => !identity.includes(key))) as Settings;
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

/** Profiles of the whole fleet, by region and id. */
export function resolveFleet(inventory: Inventory): Profile[] {
  return [...inventory.regions.keys()].sort().flatMap((region) => resolveRegion(inventory, region));
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
  const merged = mergeLayers([
    { layer: "default", values: DEFAULT_SETTINGS },
    { layer: "fleet", values: settingsOf(inventory.fleet, ["fleet", "git", "rings", "hub", "guard"]) },
    { layer: "model", values: settingsOf(model, ["architecture", "memory"]) },
    { layer: "region", values: region.settings },
    { layer: "device", values: settingsOf(entry, IDENTITY_KEYS) },
  ]);
  return {
    id: entry.id,
    region: region.name,
    model: entry.model,
    architecture: model.architecture,
    memoryMiB: memoryMiB(model.memory),
    host: entry.host,
    hostKey: entry.hostKey,
    identityKey: entry.identityKey,
    ...complete(merged),
    origins: merged.origins,
  };
}

type ResolvedSettings = Pick<
  Profile,
  "ring" | "labels" | "ssh" | "distribution" | "k3s" | "artifacts" | "gitops" | "readiness"
>;

function complete({ settings }: MergedSettings): ResolvedSettings {
  const { ssh, k3s } = settings as typeof DEFAULT_SETTINGS & Settings;
  const user = ssh.user;
  return {
    ring: required(settings.ring, "ring"),
    labels: settings.labels ?? {},
    ssh: { user, port: ssh.port, proxy: completeProxy((ssh as Settings["ssh"])?.proxy, user) },
    distribution: settings.distribution ?? DEFAULT_SETTINGS.distribution,
    k3s: { ...k3s, version: required((k3s as Settings["k3s"])?.version, "k3s.version") },
    artifacts: {
      delivery: settings.artifacts?.delivery ?? DEFAULT_SETTINGS.artifacts.delivery,
      mirror: settings.artifacts?.mirror,
    },
    gitops: { engine: settings.gitops?.engine ?? DEFAULT_SETTINGS.gitops.engine },
    readiness: { timeoutSeconds: settings.readiness?.timeoutSeconds ?? DEFAULT_SETTINGS.readiness.timeoutSeconds },
  } as ResolvedSettings;
}

function completeProxy(proxy: NonNullable<Settings["ssh"]>["proxy"], user: string): ResolvedProxy | undefined {
  return proxy === undefined
    ? undefined
    : { host: proxy.host, port: proxy.port ?? 22, user: proxy.user ?? user, hostKey: proxy.hostKey };
}

function required<T>(value: T | undefined, path: string): T {
  if (value === undefined)
    throw new Error(`${path} is set in no layer - set it in fleet.yaml, in the model, the region or the device`);
  return value;
}

function valueAt(profile: Profile, path: string): unknown {
  if (path.startsWith("labels.")) return profile.labels[path.slice("labels.".length)];
  return path
    .split(".")
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], profile);
}

/** `4Gi` -> 4096. */
export function memoryMiB(quantity: string): number {
  const amount = Number.parseInt(quantity, 10);
  return quantity.endsWith("Gi") ? amount * 1024 : amount;
}
