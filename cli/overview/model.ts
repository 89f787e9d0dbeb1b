/**
 * The architecture of this very fleet as one document: counts, connections and consequences. Pure; the renderers beside
 * it only lay it out.
 */
import { controlPlaneNamespace } from "../../components/gitops/index.ts";
import { hubOf, type Inventory, type Profile } from "../../components/inventory/index.ts";
import { withoutCredentials } from "../init/answers.ts";
import { type Connection, inboundConnections, outboundConnections, siteConnections } from "./connections.ts";
import { describeOffline, type OfflineBehaviour } from "./offline.ts";

/** How many devices have a value. */
export interface Count {
  readonly name: string;
  readonly devices: number;
}

/** One region. */
export interface RegionOverview {
  readonly name: string;
  /** Its control plane on the hub. */
  readonly namespace: string;
  readonly devices: number;
  /** Devices with a pinned host key: the others are pending. */
  readonly enrolled: number;
  /** Clusters: devices that join none. */
  readonly clusters: number;
  readonly models: readonly Count[];
  readonly rings: readonly Count[];
  readonly engines: readonly Count[];
  readonly distributions: readonly Count[];
  /** Jump hosts between the workstation and the devices. */
  readonly jumpHosts: readonly string[];
}

/** One hardware class. */
export interface ModelOverview {
  readonly name: string;
  readonly architecture: string;
  readonly memoryMiB: number;
  readonly devices: number;
}

/** What a promotion of one ring reaches. */
export interface RingOverview {
  readonly name: string;
  /** Full SHA that the ring deploys; `null`: nothing yet. */
  readonly revision: string | null;
  readonly devices: number;
  /** Percent of the fleet, one decimal. */
  readonly share: number;
  /** Percent of the fleet once this ring and all before it have the commit. */
  readonly cumulativeShare: number;
  readonly regions: readonly Count[];
  readonly models: readonly Count[];
}

/** The document. */
export interface Overview {
  readonly fleet: string;
  readonly git: { readonly url: string; readonly branch: string; readonly path: string };
  /** Undefined: the fleet has none. */
  readonly hub: { readonly stack: string; readonly argocd: string } | undefined;
  readonly devices: number;
  readonly enrolled: number;
  readonly clusters: number;
  readonly regions: readonly RegionOverview[];
  readonly models: readonly ModelOverview[];
  readonly rings: readonly RingOverview[];
  /** What pulls; a machine that joins a cluster has none of its own. */
  readonly engines: readonly Count[];
  /** Distribution and release, e.g. `k3s v1.36.2+k3s1`. */
  readonly distributions: readonly Count[];
  readonly wasm: readonly Count[];
  readonly delivery: readonly Count[];
  readonly security: readonly Count[];
  /** Workloads beside the overlays, with Applications of their own. */
  readonly workloads: readonly string[];
  /** Ports that must be open on a device. */
  readonly inbound: readonly Connection[];
  /** Ports between the machines of one cluster; empty where every device is a cluster of its own. */
  readonly site: readonly Connection[];
  /** Where devices connect to. */
  readonly outbound: readonly Connection[];
  readonly offline: readonly OfflineBehaviour[];
  /** Most devices that one mistake of each kind can reach. */
  readonly blastRadius: readonly Count[];
}

/**
 * @param profiles of the whole fleet
 * @param revisions full commit SHA by ring
 */
export function buildOverview(
  inventory: Inventory,
  profiles: readonly Profile[],
  revisions: ReadonlyMap<string, string>,
): Overview {
  const { fleet, regions } = inventory;
  const { url, branch = "main", path = "fleet" } = fleet.git;
  const rings = ringOverviews(fleet.rings, profiles, revisions);
  const overviews = [...regions.keys()].map((name) =>
    regionOverview(
      name,
      profiles.filter(({ region }) => region === name),
    ),
  );
  const hub = hubOf(fleet);
  return {
    fleet: fleet.fleet,
    git: { url: withoutCredentials(url), branch, path },
    hub: hub && { stack: hub.stack, argocd: hub.argocd.version },
    devices: profiles.length,
    enrolled: profiles.filter(({ hostKey }) => hostKey !== undefined).length,
    clusters: profiles.filter(({ joins }) => joins === undefined).length,
    regions: overviews,
    models: modelOverviews(inventory, profiles),
    rings,
    engines: count(profiles, engineOf),
    distributions: count(profiles, (profile) => [`${profile.distribution} ${profile[profile.distribution].version}`]),
    wasm: count(profiles, ({ wasm }) => wasm),
    delivery: count(profiles, ({ artifacts }) => [artifacts.delivery]),
    security: count(profiles, ({ security }) => [security]),
    workloads: (fleet.workloads ?? []).map(({ name }) => name),
    inbound: inboundConnections(profiles),
    site: siteConnections(profiles),
    outbound: outboundConnections(inventory, profiles),
    offline: describeOffline(profiles),
    blastRadius: [
      { name: "one device", devices: profiles.length > 0 ? 1 : 0 },
      ...rings
        .slice(0, 1)
        .map(({ name, devices }) => ({ name: `a commit promoted to the first ring, ${name}`, devices })),
      { name: "the largest region's control plane or stack", devices: most(overviews) },
      { name: "the hub, or Git: no new commit reaches a device", devices: profiles.length },
    ],
  };
}

function regionOverview(name: string, own: readonly Profile[]): RegionOverview {
  return {
    name,
    namespace: controlPlaneNamespace(name),
    devices: own.length,
    enrolled: own.filter(({ hostKey }) => hostKey !== undefined).length,
    clusters: own.filter(({ joins }) => joins === undefined).length,
    models: count(own, ({ model }) => [model]),
    rings: count(own, ({ ring }) => [ring]),
    engines: count(own, engineOf),
    distributions: count(own, ({ distribution }) => [distribution]),
    jumpHosts: [...new Set(own.flatMap(({ ssh }) => (ssh.proxy === undefined ? [] : [ssh.proxy.host])))].sort(),
  };
}

function modelOverviews({ models }: Inventory, profiles: readonly Profile[]): ModelOverview[] {
  const used = Map.groupBy(profiles, ({ model }) => model);
  return Object.keys(models)
    .sort()
    .flatMap((name) => {
      const own = used.get(name);
      const [first] = own ?? [];
      if (own === undefined || first === undefined) return [];
      return [{ name, architecture: first.architecture, memoryMiB: first.memoryMiB, devices: own.length }];
    });
}

function ringOverviews(
  names: readonly string[],
  profiles: readonly Profile[],
  revisions: ReadonlyMap<string, string>,
): RingOverview[] {
  let reached = 0;
  return names.map((name) => {
    const own = profiles.filter(({ ring }) => ring === name);
    reached += own.length;
    return {
      name,
      revision: revisions.get(name) ?? null,
      devices: own.length,
      share: percent(own.length, profiles.length),
      cumulativeShare: percent(reached, profiles.length),
      regions: count(own, ({ region }) => [region]),
      models: count(own, ({ model }) => [model]),
    };
  });
}

/** Counts by value, in name order. */
export function count(profiles: readonly Profile[], values: (profile: Profile) => readonly string[]): Count[] {
  const counts = new Map<string, number>();
  for (const profile of profiles) for (const value of values(profile)) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, devices]) => ({ name, devices }));
}

function engineOf({ gitops, joins }: Profile): readonly string[] {
  return joins === undefined ? [gitops.engine] : [];
}

/** `1 device`, `2 devices`. */
export function plural(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}

/** Percent with one decimal; 0 of nothing is 0. */
export function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part / whole) * 1000) / 10;
}

function most(regions: readonly RegionOverview[]): number {
  return regions.reduce((largest, { devices }) => Math.max(largest, devices), 0);
}
