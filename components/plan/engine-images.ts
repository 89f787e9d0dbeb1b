/**
 * Images of what edge-fleet itself brings to a device, as the lock has them. With `artifacts.images` and a mirror each comes as an archive too, so that a device needs no registry. Pure.
 */
import { agentOf, runsAgent } from "../gitops/engine/agent/settings.ts";
import { runsArgoCd } from "../gitops/engine/argocd/settings.ts";
import { runsExternalSecrets } from "../gitops/engine/external-secrets/settings.ts";
import { type FLUX_PARTS, type FluxImages, runsFlux } from "../gitops/engine/flux/settings.ts";
import { runsSealedSecrets } from "../gitops/engine/sealed-secrets/settings.ts";
import type { ArtifactsLock } from "../inventory/schema.ts";
import type { Profile } from "../inventory/types.ts";
import type { Distribution } from "./distributions/distribution.ts";

/** An image of a device. */
export interface EngineImage {
  /** Its field in artifacts.lock.yaml, for people. */
  readonly field: string;
  /** Reference by digest. Undefined: it is not locked. */
  readonly reference: string | undefined;
}

/** Images of Argo CD. */
export function argoCdImages({ gitops }: Profile, lock: ArtifactsLock): Record<"argocd" | "redis", EngineImage> {
  const { version } = gitops.argocd;
  const imageOf = (name: "argocd" | "redis"): EngineImage => ({
    field: `argocd.${version}.images.${name}`,
    reference: lock.argocd?.[version]?.images?.[name],
  });
  return { argocd: imageOf("argocd"), redis: imageOf("redis") };
}

/** The image of Argo CD's agent. */
export function agentImage(version: string, lock: ArtifactsLock): EngineImage {
  return { field: `argocdAgent.${version}.image`, reference: lock.argocdAgent?.[version]?.image };
}

/** Images of Flux. */
export function fluxImages({ gitops }: Profile, lock: ArtifactsLock): Record<keyof FluxImages, EngineImage> {
  const imageOf = (part: keyof typeof FLUX_PARTS): EngineImage => ({
    field: `flux.${part}.${gitops.flux[part]}.image`,
    reference: lock.flux?.[part]?.[gitops.flux[part]]?.image,
  });
  return { sourceController: imageOf("sourceController"), kustomizeController: imageOf("kustomizeController") };
}

/** The image of Sealed Secrets' controller. */
export function sealedSecretsImage({ gitops }: Profile, lock: ArtifactsLock): EngineImage {
  const { version } = gitops.sealedSecrets;
  return { field: `sealedSecrets.${version}.image`, reference: lock.sealedSecrets?.[version]?.image };
}

/** The image of External Secrets' controller. */
export function externalSecretsImage({ gitops }: Profile, lock: ArtifactsLock): EngineImage {
  const { version } = gitops.externalSecrets;
  return { field: `externalSecrets.${version}.image`, reference: lock.externalSecrets?.[version]?.image };
}

/** All images of what a device gets beside its distribution. */
export function engineImages(profile: Profile, lock: ArtifactsLock): EngineImage[] {
  const agent = agentOf(profile)?.version;
  return [
    ...(runsArgoCd(profile) ? Object.values(argoCdImages(profile, lock)) : []),
    ...(runsAgent(profile) && agent !== undefined ? [agentImage(agent, lock)] : []),
    ...(runsFlux(profile) ? Object.values(fluxImages(profile, lock)) : []),
    ...(runsSealedSecrets(profile) ? [sealedSecretsImage(profile, lock)] : []),
    ...(runsExternalSecrets(profile) ? [externalSecretsImage(profile, lock)] : []),
  ];
}

/**
 * Whether a device gets the engine's images as archives: it asks for images without a registry, a mirror has the archives,
 * which nobody else publishes, and its distribution imports what lies in a folder.
 */
export function getsImageArchives(
  { artifacts }: Pick<Profile, "artifacts">,
  { images }: Pick<Distribution, "images">,
): boolean {
  return artifacts.images && artifacts.mirror !== undefined && images !== undefined;
}

/** Name of an image for files and people: the end of its repository, e.g. `argocd`. */
export function imageName(reference: string): string {
  return reference.replace(/^.*\//, "").replace(/[:@].*$/, "");
}
