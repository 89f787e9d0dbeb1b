/**
 * What Argo CD on a device is made from, and from the memory of a model what its processes may take: the figures that the
 * scheduler, the kubelet and the check of a tree's memory share. Pure.
 */

import type { Profile } from "../../../inventory/types.ts";
import { type EngineMemory, type MemoryRow, memoryOf, sizeFor } from "../pod.ts";

/** Images by digest, e.g. `quay.io/argoproj/argocd:v3.2.11@sha256:...`. */
export interface EngineImages {
  readonly argocd: string;
  readonly redis: string;
}

/** Everything that the engine's objects depend on: devices that share it share one text. */
export interface EngineSettings {
  readonly images: EngineImages;
  /** RAM of the model in MiB. */
  readonly memoryMiB: number;
  /** `gitops.argocd.reconcileMinutes`. */
  readonly reconcileMinutes: number;
}

/** What the three processes may take on a model. */
export interface EngineSize {
  readonly controller: EngineMemory;
  readonly repoServer: EngineMemory;
  readonly redis: EngineMemory;
  /** Applications that are compared, synced and rendered at a time; upstream's 20, 10 and no limit are for a hub. */
  readonly parallel: number;
}

/**
 * By memory of the model. The requests are what each was measured with at rest, with one device's objects (resident 199 to
 * 258 MiB, 135 and 12, of that 110 mapped from a binary that the two share); the limits leave room for Kustomize, Helm and
 * Git, which run inside the repo-server's.
 */
const SIZES: readonly (readonly [belowMiB: number, size: EngineSize])[] = [
  [3072, sizeOf([192, 448], [96, 320], [16, 64], 1)],
  [6144, sizeOf([256, 640], [128, 512], [32, 96], 2)],
  [Number.POSITIVE_INFINITY, sizeOf([384, 1024], [192, 768], [64, 192], 4)],
];

function sizeOf(controller: MemoryRow, repoServer: MemoryRow, redis: MemoryRow, parallel: number): EngineSize {
  return { controller: memoryOf(controller), repoServer: memoryOf(repoServer), redis: memoryOf(redis), parallel };
}

/** Whether edge-fleet installs Argo CD on the device. A machine that joins another one's cluster shares that one's. */
export function runsArgoCd({ joins, gitops }: Pick<Profile, "joins" | "gitops">): boolean {
  return joins === undefined && (gitops.engine === "argocd" || gitops.engine === "argocd-agent");
}

/** What the engine may take on a model. @param memoryMiB its RAM */
export function engineSize(memoryMiB: number): EngineSize {
  return sizeFor(SIZES, memoryMiB);
}

/** MiB that the engine's pods request on a model: what is missing there for workloads. */
export function engineRequestMiB(memoryMiB: number): number {
  const { controller, repoServer, redis } = engineSize(memoryMiB);
  return controller.requestMiB + repoServer.requestMiB + redis.requestMiB;
}

/** Seconds between two looks at Git, and what is added to them at random at most. */
export function reconciliation({ reconcileMinutes }: Pick<EngineSettings, "reconcileMinutes">): {
  readonly everySeconds: number;
  readonly jitterSeconds: number;
} {
  const everySeconds = reconcileMinutes * 60;
  return { everySeconds, jitterSeconds: everySeconds / 2 };
}
