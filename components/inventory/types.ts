/**
 * The inventory after loading: plain, validated, positions kept. Everything downstream (profiles, scripts, tree,
 * resources) is computed from these objects alone.
 */
import type { z } from "zod";
import type { LockedDevice, RevokedKeys, SealingKey } from "./lock-schema.ts";
import type { ArtifactsLock, DeviceEntry, FleetFile, Model, RegionFile, SettingsSchema } from "./schema.ts";

/** Where a value stands in a file. Lines and columns count from 1. */
export interface Position {
  /** Path as the operator gave it, e.g. `stacks/tokyo.yaml`. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/**
 * Finds a field of one layer in the file where it is written: its value, or for a field that is missing the nearest value
 * around it. The path is that of the layer's own fields, e.g. `["k3s", "version"]`.
 */
export type Locate = (path: readonly PropertyKey[]) => Position;

/** A region: its file, the devices of its CSV file, and its lock, merged. */
export interface Region {
  readonly name: string;
  /** `removed`: every device of it is removed. */
  readonly state: State;
  /** The region file without its own fields: the region layer of the settings. */
  readonly settings: Omit<RegionFile, "region" | "state" | "devices" | "devicesFrom">;
  /** Path of the region file. */
  readonly file: string;
  readonly locate: Locate;
  readonly devices: readonly DeviceRecord[];
  readonly lock: RegionLock;
}

/** `<region>.lock.yaml`: what is pinned of the region's devices. */
export interface RegionLock {
  /** Path of the file, which need not exist. */
  readonly file: string;
  /** By id; also of devices that the region does not have. */
  readonly devices: Readonly<Record<string, LockedDevice>>;
  /** Identity keys that are no longer any device's, by id. */
  readonly revoked: RevokedKeys;
  /** Keys for SealedSecrets, the newest first. */
  readonly sealing: readonly SealingKey[];
  readonly locate: Locate;
}

/** A device entry and where it is written. */
export interface DeviceRecord {
  /** The entry with its part of the region's lock. */
  readonly entry: DeviceEntry;
  readonly position: Position;
  /** The field path inside the file, e.g. `devices[12]`, for messages. */
  readonly path: string;
  readonly locate: Locate;
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
  /** Fields of fleet.yaml, and of models.yaml behind the model's name. */
  readonly locate: { readonly fleet: Locate; readonly models: Locate };
}

/** The layer that a resolved value comes from. `default` is edge-fleet's own default. */
export type Layer = "default" | "fleet" | "model" | "region" | "device";

/** Whether a device or a region is wanted. */
export type State = "present" | "removed";

/** Read-only all the way down. */
type Frozen<T> = T extends readonly (infer E)[]
  ? readonly Frozen<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Frozen<T[K]> }
    : T;

/** Every setting with its default. What has none, and is set in no layer, is undefined. */
export type ResolvedSettings = Frozen<z.output<typeof SettingsSchema>>;

/** Kubernetes distributions that edge-fleet runs. */
export type Distribution = ResolvedSettings["distribution"];
/** WASM runtimes that edge-fleet installs as containerd shims. */
export type WasmRuntime = ResolvedSettings["wasm"][number];
/** Where images of one registry come from first. */
export type RegistryMirror = ResolvedSettings["registries"][string];
/** Where copies of a datastore are sent, and for whom they are encrypted. */
export type BackupPush = NonNullable<ResolvedSettings["backup"]["push"]>;
/** A time at which workloads may change, in the device's time zone. */
export type MaintenanceWindow = ResolvedSettings["maintenance"][number];
/** A jump host, complete: its user is the device's where none is set. */
export type ResolvedProxy = NonNullable<ResolvedSettings["ssh"]["proxy"]> & { readonly user: string };

/** Settings of the distributions; a version is empty where the device runs another one and no layer sets it. */
export type DistributionProfiles = {
  readonly [D in Distribution]: Omit<ResolvedSettings[D], "version"> & { readonly version: string };
};

/** The fully resolved settings of one device: {@link ResolvedSettings}, and what follows from the device itself. */
export interface Profile extends Omit<ResolvedSettings, "ring" | "ssh" | Distribution>, DistributionProfiles {
  readonly id: string;
  readonly region: string;
  readonly model: string;
  /** `removed` where the entry or its whole region says so, and for one that is stolen. */
  readonly state: State;
  /** Somebody else has the machine: it is removed, never dialled, and shut out of the hub at once. */
  readonly stolen: boolean;
  readonly ring: string;
  readonly architecture: "amd64" | "arm64";
  /** RAM of the model in MiB. */
  readonly memoryMiB: number;
  readonly host: string;
  /** Pinned SSH host key, absent until the device is enrolled. */
  readonly hostKey: string | undefined;
  /** The device's own public key, absent until the device is enrolled. */
  readonly identityKey: string | undefined;
  /** Certificates of the region's lock whose private keys the device gets, to open what is sealed for it; the newest first. */
  readonly sealing: readonly string[];
  readonly ssh: Omit<ResolvedSettings["ssh"], "proxy"> & { readonly proxy: ResolvedProxy | undefined };
  /** Id of the device whose cluster this one joins as an agent. */
  readonly joins: string | undefined;
  /** Layer of every resolved setting by its path, e.g. `k3s.version` -> `model`. */
  readonly origins: Readonly<Record<string, Layer>>;
}
