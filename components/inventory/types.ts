/**
 * The inventory after loading: plain, validated, positions kept. Everything downstream (profiles, scripts, tree,
 * resources) is computed from these objects alone.
 */
import type { ArtifactsLock, DeviceEntry, FleetFile, Model, RegionFile } from "./schema.ts";

/** Where a value stands in a file. Lines and columns count from 1. */
export interface Position {
  /** Path as the operator gave it, e.g. `stacks/tokyo.yaml`. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A region file and the devices of its CSV file, merged. */
export interface Region {
  readonly name: string;
  /** The region file without its devices: the region layer of the settings. */
  readonly settings: Omit<RegionFile, "region" | "devices" | "devicesFrom">;
  /** Path of the region file. */
  readonly file: string;
  readonly devices: readonly DeviceRecord[];
}

/** A device entry and where it is written. */
export interface DeviceRecord {
  readonly entry: DeviceEntry;
  readonly position: Position;
  /** The field path inside the file, e.g. `devices[12]`, for messages. */
  readonly path: string;
}

/** Everything in `stacks/`. */
export interface Inventory {
  /** Folder that was read. */
  readonly directory: string;
  readonly fleet: FleetFile;
  readonly models: Readonly<Record<string, Model>>;
  /** Regions by name, in name order. */
  readonly regions: ReadonlyMap<string, Region>;
  readonly artifacts: ArtifactsLock;
}

/** The layer that a resolved value comes from. `default` is edge-fleet's own default. */
export type Layer = "default" | "fleet" | "model" | "region" | "device";

/** A jump host, complete. */
export interface ResolvedProxy {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly hostKey: string;
}

/** The fully resolved settings of one device. */
export interface Profile {
  readonly id: string;
  readonly region: string;
  readonly model: string;
  readonly ring: string;
  readonly architecture: "amd64" | "arm64";
  /** RAM of the model in MiB. */
  readonly memoryMiB: number;
  readonly host: string;
  /** Pinned SSH host key, absent until the device is enrolled. */
  readonly hostKey: string | undefined;
  /** The device's own public key, absent until the device is enrolled. */
  readonly identityKey: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly ssh: { readonly user: string; readonly port: number; readonly proxy: ResolvedProxy | undefined };
  readonly distribution: "k3s";
  readonly k3s: {
    readonly version: string;
    readonly disable: readonly string[];
    readonly flannelBackend: string;
    readonly clusterCidr: string;
    readonly serviceCidr: string;
  };
  readonly artifacts: { readonly delivery: "fetch" | "push"; readonly mirror: string | undefined };
  readonly gitops: { readonly engine: "argocd-agent" | "argocd" | "flux" };
  readonly readiness: { readonly timeoutSeconds: number };
  /** Layer of every resolved setting by its path, e.g. `k3s.version` -> `model`. */
  readonly origins: Readonly<Record<string, Layer>>;
}
