/**
 * What Flux on a device is made from, and from the memory of a model what its two controllers may take: the figures that the
 * scheduler, the kubelet and the check of a tree's memory share. Pure.
 */
import type { Profile } from "../../../inventory/types.ts";
import { gitSecretName } from "../../labels.ts";
import { type EngineMemory, type MemoryRow, memoryOf, sizeFor } from "../pod.ts";

/** Images by digest, e.g. `ghcr.io/fluxcd/source-controller:v1.9.1@sha256:...`. */
export interface FluxImages {
  readonly sourceController: string;
  readonly kustomizeController: string;
}

/** Everything that the engine's objects depend on: devices that share it share one text. */
export interface FluxSettings {
  readonly images: FluxImages;
  /** RAM of the model in MiB. */
  readonly memoryMiB: number;
}

/** What the two controllers may take on a model. */
export interface FluxSize {
  readonly sourceController: EngineMemory;
  readonly kustomizeController: EngineMemory;
  /** Repositories that are fetched at a time: each is held in memory while it is. */
  readonly fetches: number;
}

/** Namespace of Flux on a device: upstream's own, which its command and its documentation take for granted. */
export const FLUX_NAMESPACE = "flux-system";

/** Value of the label of the node that runs it, see `ENGINE_NODE_LABEL` of ../pod.ts. */
export const FLUX_NODE = "flux";

/**
 * By memory of the model. Measured with the objects of one device: resident 138 and 166 MiB, of that 27 and 70 their own and
 * the rest mapped from their binaries, which the kernel takes back where it is short. The requests are their own and a part of
 * the rest; the limits leave room for a clone, which go-git unpacks in memory, and for a build of Kustomize.
 */
const SIZES: readonly (readonly [belowMiB: number, size: FluxSize])[] = [
  [3072, sizeOf([56, 256], [88, 256], 1)],
  [Number.POSITIVE_INFINITY, sizeOf([80, 512], [96, 512], 2)],
];

function sizeOf(source: MemoryRow, kustomize: MemoryRow, fetches: number): FluxSize {
  return { sourceController: memoryOf(source), kustomizeController: memoryOf(kustomize), fetches };
}

/** Whether edge-fleet installs Flux on the device. A machine that joins another one's cluster shares that one's. */
export function runsFlux({ joins, gitops }: Pick<Profile, "joins" | "gitops">): boolean {
  return joins === undefined && gitops.engine === "flux";
}

/** Whether the device program suspends the root of a device outside of its maintenance windows (program/window.sh). */
export function holdsToWindows({
  maintenance,
  ...profile
}: Pick<Profile, "joins" | "gitops" | "maintenance">): boolean {
  return runsFlux(profile) && maintenance.length > 0;
}

/** What the engine may take on a model. @param memoryMiB its RAM */
export function fluxSize(memoryMiB: number): FluxSize {
  return sizeFor(SIZES, memoryMiB);
}

/** MiB that the engine's pods request on a model: what is missing there for workloads. */
export function fluxRequestMiB(memoryMiB: number): number {
  const { sourceController, kustomizeController } = fluxSize(memoryMiB);
  return sourceController.requestMiB + kustomizeController.requestMiB;
}

/**
 * Name of the Secret by which GitRepositories log in; undefined where none is needed. It
 * reads every key that the Secret has (git/options.go of fluxcd/pkg).
 * @param access `gitops.access`
 */
export function fluxGitSecretName(access: Profile["gitops"]["access"]): string | undefined {
  if (access === undefined || (access.type === "none" && access.ca === undefined)) return undefined;
  return gitSecretName(access.type);
}

/** Name of a controller, of its objects and of its pods' label `app`, of its repository and its image. */
export type FluxController = "source-controller" | "kustomize-controller";

/** A controller, and the kinds whose definitions it needs. */
export interface FluxPart {
  readonly name: FluxController;
  readonly group: string;
  /** In the plural, as its definitions' files are named. A process ends where a kind that it watches is not defined. */
  readonly kinds: readonly string[];
}

/** The controllers by their settings. */
export const FLUX_PARTS: Readonly<Record<keyof FluxImages, FluxPart>> = {
  sourceController: {
    name: "source-controller",
    group: "source.toolkit.fluxcd.io",
    kinds: ["buckets", "gitrepositories", "helmcharts", "helmrepositories", "ocirepositories"],
  },
  kustomizeController: {
    name: "kustomize-controller",
    group: "kustomize.toolkit.fluxcd.io",
    kinds: ["kustomizations"],
  },
};

/** File of a kind's definition in `config/crd/bases/` of a controller's repository. */
export function fluxDefinitionFile({ group }: FluxPart, kind: string): string {
  return `${group}_${kind}.yaml`;
}
