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

/**
 * Finds a field of one layer in the file where it is written: its value, or for a field that is missing the nearest value
 * around it. The path is that of the layer's own fields, e.g. `["k3s", "version"]`.
 */
export type Locate = (path: readonly PropertyKey[]) => Position;

/** A region file and the devices of its CSV file, merged. */
export interface Region {
  readonly name: string;
  /** The region file without its devices: the region layer of the settings. */
  readonly settings: Omit<RegionFile, "region" | "devices" | "devicesFrom">;
  /** Path of the region file. */
  readonly file: string;
  readonly locate: Locate;
  readonly devices: readonly DeviceRecord[];
}

/** A device entry and where it is written. */
export interface DeviceRecord {
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

/** A jump host, complete. */
export interface ResolvedProxy {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly hostKey: string;
}

/** Kubernetes distributions that edge-fleet runs. */
export type Distribution = "k3s" | "k0s" | "microk8s";

/** WASM runtimes that edge-fleet installs as containerd shims. */
export type WasmRuntime = "spin" | "wasmtime" | "wasmedge" | "wasmer";

/** Where images of one registry come from first. */
export interface RegistryMirror {
  readonly endpoints: readonly string[];
  /** Absent: it is used without a login. */
  readonly username?: string | undefined;
  /** Key of the Pulumi secret that holds the password. */
  readonly passwordSecret?: string | undefined;
}

/** Where copies of a datastore are sent, and for whom they are encrypted. */
export interface BackupPush {
  /** Folder, https. */
  readonly url: string;
  /** PEM certificate. */
  readonly recipient: string;
  /** Absent: the secret alone is the credential, or none is needed. */
  readonly username?: string | undefined;
  /** Key of the Pulumi secret that holds password, token or secret key. */
  readonly passwordSecret?: string | undefined;
  /** Region of an S3 bucket. */
  readonly s3Region?: string | undefined;
}

/** A time at which workloads may change, in the device's time zone. */
export interface MaintenanceWindow {
  /** Default: every day. */
  readonly days?: readonly ("mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun")[] | undefined;
  /** `HH:MM` */
  readonly start: string;
  readonly durationMinutes: number;
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
  /** `key=value:effect` */
  readonly taints: readonly string[];
  readonly ssh: { readonly user: string; readonly port: number; readonly proxy: ResolvedProxy | undefined };
  readonly init: "systemd" | "openrc";
  /** May turn the memory cgroup on and reboot, once in its life. */
  readonly preflight: { readonly allowReboot: boolean };
  readonly distribution: Distribution;
  /** A change of distribution may erase the old cluster. */
  readonly replace: boolean;
  readonly k3s: {
    /** Empty where the device runs another distribution and no layer sets it; so in {@link k0s} and {@link microk8s}. */
    readonly version: string;
    readonly disable: readonly string[];
    readonly flannelBackend: string;
    /** The image brings the CNI: {@link flannelBackend} is `none`. */
    readonly ownCni: boolean;
    readonly clusterCidr: string;
    readonly serviceCidr: string;
  };
  readonly k0s: {
    readonly version: string;
    readonly disable: readonly string[];
    readonly podCidr: string;
    readonly serviceCidr: string;
  };
  readonly microk8s: { readonly version: string; readonly addons: readonly string[] };
  readonly kubelet: { readonly maxPods: number };
  readonly wasm: readonly WasmRuntime[];
  readonly network: {
    readonly shape: "single" | "lan" | "multi-site";
    readonly nodeIp: string | undefined;
    readonly interface: string | undefined;
    readonly resolvConf: string | undefined;
    readonly dummyRoute: boolean;
  };
  readonly security: "baseline" | "cis";
  /** Registry mirrors by registry host. */
  readonly registries: Readonly<Record<string, RegistryMirror>>;
  readonly time: { readonly zone: string; readonly ntpServers: readonly string[] };
  readonly maintenance: readonly MaintenanceWindow[];
  readonly artifacts: {
    readonly delivery: "fetch" | "push";
    readonly mirror: string | undefined;
    /** KiB per second; undefined: no bound. */
    readonly maxKiBPerSecond: number | undefined;
    /** Deliver the air-gap images too. */
    readonly images: boolean;
  };
  readonly gitops: { readonly engine: "argocd-agent" | "argocd" | "flux" };
  readonly readiness: { readonly timeoutSeconds: number };
  readonly rollback: { readonly afterSeconds: number };
  readonly backup: {
    readonly everyHours: number;
    readonly keep: number;
    /** Undefined: copies stay on the device. */
    readonly push: BackupPush | undefined;
  };
  readonly decommission: "retain" | "wipe";
  /** Facts for workloads by key. */
  readonly values: Readonly<Record<string, string>>;
  /** Id of the device whose cluster this one joins as an agent. */
  readonly joins: string | undefined;
  /** Layer of every resolved setting by its path, e.g. `k3s.version` -> `model`. */
  readonly origins: Readonly<Record<string, Layer>>;
}
