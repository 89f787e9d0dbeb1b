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
  init: "systemd",
  preflight: { allowReboot: false },
  distribution: "k3s",
  k3s: {
    disable: ["traefik", "servicelb", "metrics-server"],
    ownCni: false,
    clusterCidr: "10.42.0.0/16",
    serviceCidr: "10.43.0.0/16",
  },
  taints: [],
  replace: false,
  k0s: {
    disable: ["metrics-server", "autopilot", "helm"],
    podCidr: "10.244.0.0/16",
    serviceCidr: "10.96.0.0/12",
  },
  microk8s: { addons: ["dns", "rbac"] },
  kubelet: { maxPods: 30 },
  wasm: [],
  network: { shape: "single", dummyRoute: true },
  security: "cis",
  registries: {},
  time: { zone: "UTC", ntpServers: [] },
  maintenance: [],
  artifacts: { delivery: "fetch", images: false },
  gitops: { engine: "argocd-agent" },
  readiness: { timeoutSeconds: 300 },
  rollback: { afterSeconds: 1200 },
  backup: { everyHours: 24, keep: 3 },
  decommission: "retain",
  values: {},
} satisfies Settings;

/** Flannel backend by network shape. https://docs.k3s.io/networking/basic-network-options */
const FLANNEL_BACKEND = { single: "host-gw", lan: "vxlan", "multi-site": "wireguard-native" } as const;

/** The keys of a device entry that are identity, not settings. */
const IDENTITY_KEYS = ["id", "host", "model", "hostKey", "identityKey", "facts", "joins"] as const;

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
    {
      layer: "fleet",
      values: settingsOf(inventory.fleet, ["fleet", "git", "rings", "hub", "guard", "workloads", "rollout", "policy"]),
    },
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
    joins: entry.joins,
    ...complete(merged),
    origins: merged.origins,
  };
}

type ResolvedSettings = Omit<
  Profile,
  "id" | "region" | "model" | "architecture" | "memoryMiB" | "host" | "hostKey" | "identityKey" | "joins" | "origins"
>;

/** The default layer has set every field that may be read here without a check. */
type DefaultedSettings = Settings & typeof DEFAULT_SETTINGS;

function complete(merged: MergedSettings): ResolvedSettings {
  const settings = merged.settings as DefaultedSettings;
  const { ssh, k3s, k0s, microk8s, network, artifacts, backup } = settings as Settings &
    Required<Pick<Settings, "ssh">>;
  const distribution: Profile["distribution"] = settings.distribution;
  const version = (name: Profile["distribution"], value: string | undefined) =>
    name === distribution ? required(value, `${name}.version`) : (value ?? "");
  const shape = network?.shape ?? DEFAULT_SETTINGS.network.shape;
  return {
    ring: required(settings.ring, "ring"),
    labels: (merged.settings.labels ?? {}) as Profile["labels"],
    taints: settings.taints,
    ssh: { ...settings.ssh, proxy: completeProxy(ssh?.proxy, settings.ssh.user) },
    init: settings.init,
    preflight: settings.preflight,
    distribution,
    replace: settings.replace,
    k3s: {
      ...settings.k3s,
      version: version("k3s", k3s?.version),
      flannelBackend: k3s?.flannelBackend ?? FLANNEL_BACKEND[shape],
    },
    k0s: { ...settings.k0s, version: version("k0s", k0s?.version) },
    microk8s: { ...settings.microk8s, version: version("microk8s", microk8s?.version) },
    kubelet: settings.kubelet,
    wasm: settings.wasm,
    network: {
      shape,
      nodeIp: network?.nodeIp,
      interface: network?.interface,
      resolvConf: network?.resolvConf,
      dummyRoute: settings.network.dummyRoute,
    },
    security: settings.security,
    registries: settings.registries,
    time: settings.time,
    maintenance: settings.maintenance,
    artifacts: {
      ...settings.artifacts,
      mirror: artifacts?.mirror,
      maxKiBPerSecond: artifacts?.maxKiBPerSecond,
    },
    gitops: settings.gitops,
    readiness: settings.readiness,
    rollback: settings.rollback,
    backup: { ...settings.backup, push: backup?.push },
    decommission: settings.decommission,
    values: settings.values,
  };
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
