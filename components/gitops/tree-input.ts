/** What the tree and everything on the hub are computed from: the contract between the inventory and its renderers. */
import type { FleetFile } from "../inventory/schema.ts";
import type { Profile, WasmRuntime } from "../inventory/types.ts";
import type { SecretsSource } from "./engine/secrets.ts";
import type { WindowGroup } from "./windows.ts";

/** Hardware class as the tree sees it. */
export interface TreeModel {
  readonly architecture: "amd64" | "arm64";
  /** RAM in MiB. */
  readonly memoryMiB: number;
}

/** What a region's devices have in common, as far as workloads may want to know; what differs among them is absent. */
export interface RegionFacts {
  /** IANA time zone. */
  readonly timeZone?: string;
  /** Time servers in the order in which they are asked. */
  readonly ntpServers?: readonly string[];
  /** `network.shape` of the inventory. */
  readonly networkShape?: string;
  /** Endpoints by registry host. */
  readonly registryMirrors?: Readonly<Record<string, readonly string[]>>;
}

/** The WASM runtimes of a model. */
export interface ModelRuntimes {
  /** Those that at least one of its devices has: workloads that ask for them get their RuntimeClass. */
  readonly some: readonly WasmRuntime[];
  /** Those that all of its devices have: the model deploys their samples. */
  readonly all: readonly WasmRuntime[];
}

/** Where the tree lives in Git. */
export interface TreeGit {
  /** URL of the repository as the devices reach it. */
  readonly url: string;
  /** Branch whose ring files the hub follows. */
  readonly branch: string;
  /** Folder of the tree inside the repository. */
  readonly path: string;
  /** `live`: the device runs Kustomize. `rendered`: it applies what CI has rendered. */
  readonly layout: "live" | "rendered";
}

/** A device as the tree sees it. */
export interface TreeDevice {
  readonly id: string;
  readonly region: string;
  readonly model: string;
  readonly ring: string;
  /** What pulls on the device; without an agent it has no Application on the hub. */
  readonly engine: Profile["gitops"]["engine"];
  /** How its Flux reads Git. Absent: it has none. */
  readonly flux?: {
    /** `gitops.flux.reconcileMinutes`. */
    readonly reconcileMinutes: number;
    /** Secret by which it logs in. Absent: the repository is public. */
    readonly gitSecret?: string;
    /** Whether that is a GitHub App's. Absent: it is not. */
    readonly gitHubApp?: boolean;
  };
  /** WASM runtimes. Absent: none. */
  readonly wasm?: readonly WasmRuntime[];
  /** What brings Secrets to it. Absent: nothing of ours. */
  readonly secrets?: SecretsSource;
  /** Names of the keys for SealedSecrets that it has. Absent: it has nothing to open them. */
  readonly sealing?: readonly string[];
  /** Facts for its workloads by key. Absent: none. */
  readonly values?: Readonly<Record<string, string>>;
  /** Labels, which workloads and patches select by. Absent: none. */
  readonly labels?: Readonly<Record<string, string>>;
  /** When its Applications may change. Absent: always. */
  readonly windows?: WindowGroup;
}

/** A workload beside the overlays, with Applications of its own. */
export type TreeWorkload = NonNullable<FleetFile["workloads"]>[number];
/** What single devices change of a workload. */
export type TreePatch = NonNullable<FleetFile["patches"]>[number];
/** What AppProjects allow beside the namespaces of their workloads, by name. */
export type TreeProjects = NonNullable<FleetFile["projects"]>;

/**
 * Full commit SHA by ring, by the workload's name; that of the overlays is {@link OVERLAY_WORKLOAD}. A ring that deploys
 * nothing is not in it.
 */
export type Pins = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Everything that the tree is computed from. */
export interface TreeInput {
  readonly fleetName: string;
  readonly git: TreeGit;
  /** In the order in which a change passes through them. */
  readonly rings: readonly string[];
  readonly models: Readonly<Record<string, TreeModel>>;
  readonly devices: readonly TreeDevice[];
  /** What the devices of a region have in common, by region. Absent: nothing is known. */
  readonly regions?: Readonly<Record<string, RegionFacts>>;
  /** Absent: none. */
  readonly workloads?: readonly TreeWorkload[];
  /** Absent: none. */
  readonly patches?: readonly TreePatch[];
  /** Absent: they allow what their workloads need. */
  readonly projects?: TreeProjects;
}

/** What of the fleet the engine of a device has to know. */
export type EntryFleet = Pick<TreeInput, "git" | "workloads" | "patches" | "projects">;
