/**
 * The locked files that a device needs: where each comes from, what it must hash to, where the device stores it and
 * where it ends up. Pure.
 */
import { createHash } from "node:crypto";
import { renderAgent } from "../gitops/engine/agent/index.ts";
import { runsAgent } from "../gitops/engine/agent/settings.ts";
import { renderEngine } from "../gitops/engine/argocd/index.ts";
import { runsArgoCd } from "../gitops/engine/argocd/settings.ts";
import { renderExternalSecrets } from "../gitops/engine/external-secrets/index.ts";
import {
  EXTERNAL_SECRETS_KINDS,
  type ExternalSecretsKind,
  externalSecretsDefinitionFile,
  runsExternalSecrets,
} from "../gitops/engine/external-secrets/settings.ts";
import { renderFlux } from "../gitops/engine/flux/index.ts";
import { FLUX_PARTS, fluxDefinitionFile, runsFlux } from "../gitops/engine/flux/settings.ts";
import { renderSealedSecrets } from "../gitops/engine/sealed-secrets/index.ts";
import { runsSealedSecrets } from "../gitops/engine/sealed-secrets/settings.ts";
import type { ArtifactFile, ArtifactsLock } from "../inventory/schema.ts";
import type { Profile, WasmRuntime } from "../inventory/types.ts";
import { requireAgent } from "./agent.ts";
import { artifactUrl, isLocalPath } from "./artifact-url.ts";
import { distributionOf } from "./distributions/index.ts";
import { SHIM_BINARIES } from "./distributions/wasm.ts";
import {
  agentImage,
  argoCdImages,
  type EngineImage,
  engineImages,
  externalSecretsImage,
  fluxImages,
  getsImageArchives,
  imageName,
  sealedSecretsImage,
} from "./engine-images.ts";
import { sealingSecretNames } from "./sealing.ts";

/** A file, resolved for one device. */
export interface ResolvedArtifact {
  /** For people and reports, e.g. `k3s`, `k3s-images`, `spin`, `microk8s-assertions`, `base`. */
  readonly name: string;
  /**
   * `binary`: installed as it is. `shim`: a tar.gz with one binary of the name that {@link installPath} ends with.
   * `images`: an archive that the distribution imports. `snap` and `assertions`: given to snapd from the store.
   * `manifest`: Kubernetes objects that the cluster has as long as the file is there; a change restarts nothing.
   */
  readonly kind: "binary" | "shim" | "images" | "snap" | "assertions" | "manifest";
  /**
   * http(s) URL without blanks, mirror applied; the path beside the lock file where {@link local} is true; empty where the
   * {@link content} is known.
   */
  readonly url: string;
  /**
   * True for assertions that `edge-fleet lock` has put beside the lock file (the store has no one URL for them) where no
   * mirror serves them: only the dial can bring them.
   */
  readonly local: boolean;
  /** What edge-fleet makes itself. Absent: it is fetched. */
  readonly content?: string;
  /** SHA-256 in lower-case hex, from the lock or of the {@link content}. */
  readonly sha256: string;
  /** Bytes, where the lock tells. */
  readonly size?: number;
  /** The device's `artifacts.delivery`; always `push` where {@link local} is true or the {@link content} is known. */
  readonly delivery: "fetch" | "push";
  /** Path on the device where the device program puts it and looks for it. */
  readonly storePath: string;
  /** Absolute path of the installed file. Absent for what snapd takes from the store. */
  readonly installPath?: string;
  /** Octal mode of the installed file. Present with {@link installPath}. */
  readonly mode?: string;
}

/** Content-addressed store of a device. */
export const ARTIFACT_STORE = "/var/lib/edge-fleet/artifacts";

/** Definitions of Argo CD that a device needs, by the name of upstream's file, and what each is installed as. */
export const DEFINITIONS = {
  "application-crd.yaml": "edge-fleet-crd-application.yaml",
  "appproject-crd.yaml": "edge-fleet-crd-appproject.yaml",
} as const;

type Locate = Pick<ResolvedArtifact, "name" | "kind" | "installPath" | "mode">;

/**
 * Resolves everything that a device needs. The distribution's binary or snap comes first; then the image archive, the
 * snap's assertions, and each snap that is installed before it with its own, the first one last; then a shim per WASM
 * runtime, in the profile's order; then archives of the pull engine's images, its definitions and objects, and those of what
 * brings its Secrets.
 * @throws Error naming artifacts.lock.yaml, the field, the device and the fix: a file that is not locked, a URL that is
 * not http(s), or credentials in a URL (they would show in the device's process list)
 */
export function resolveArtifacts(profile: Profile, lock: ArtifactsLock): ResolvedArtifact[] {
  const distribution = distributionOf(profile)
    .artifacts(profile, lock)
    .map(({ field, locked, ...place }) => resolve(profile, field, locked, place));
  const shims = profile.wasm.map((runtime) => shim(profile, lock, runtime));
  const secrets = [...sealedSecrets(profile, lock), ...externalSecrets(profile, lock)];
  const manifests = [...engine(profile, lock), ...flux(profile, lock), ...secrets];
  return [...distribution, ...shims, ...imageArchives(profile, lock), ...manifests];
}

function imageArchives(profile: Profile, lock: ArtifactsLock): ResolvedArtifact[] {
  const distribution = distributionOf(profile);
  if (!getsImageArchives(profile, distribution)) return [];
  return engineImages(profile, lock).map((image) => {
    const reference = requireImage(profile, image);
    const name = imageName(reference);
    const installPath = `${distribution.images}/edge-fleet-${name}.tar`;
    const field = `imageArchives.${reference}.${profile.architecture}`;
    const locked = lock.imageArchives?.[reference]?.[profile.architecture];
    return resolve(profile, field, locked, { name: `${name}-image`, kind: "images", installPath, mode: "0644" });
  });
}

function shim(profile: Profile, lock: ArtifactsLock, runtime: WasmRuntime): ResolvedArtifact {
  const { architecture } = profile;
  const installPath = `/usr/local/bin/${SHIM_BINARIES[runtime]}`;
  const place = { name: runtime, kind: "shim", installPath, mode: "0755" } as const;
  return resolve(profile, `wasm.${runtime}.${architecture}`, lock.wasm?.[runtime]?.[architecture], place);
}

/** Argo CD, on the machine that runs the API server, and the agent that connects it to a hub. */
function engine(profile: Profile, lock: ArtifactsLock): ResolvedArtifact[] {
  if (!runsArgoCd(profile)) return [];
  const { gitops, memoryMiB } = profile;
  const { version, reconcileMinutes } = gitops.argocd;
  const folder = distributionOf(profile).manifests;
  const locked = lock.argocd?.[version];
  const definitions = Object.entries(DEFINITIONS).map(([name, installed]) =>
    resolve(profile, `argocd.${version}.crds (${name})`, findDefinition(locked?.crds, name), {
      name: `argocd-${name.replace(".yaml", "")}`,
      kind: "manifest",
      installPath: `${folder}/${installed}`,
      mode: "0600",
    }),
  );
  const objects = made(
    `argocd ${version}`,
    `${folder}/edge-fleet-engine-argocd.yaml`,
    renderEngine({ images: requireImages(profile, argoCdImages(profile, lock)), memoryMiB, reconcileMinutes }),
  );
  return [...definitions, objects, ...agent(profile, lock, folder)];
}

/** Not named as the engine's own, which a device takes for the whole engine: Argo CD stays when the agent goes. */
function agent(profile: Profile, lock: ArtifactsLock, folder: string): ResolvedArtifact[] {
  if (!runsAgent(profile)) return [];
  const { version, address, port, generation } = requireAgent(profile);
  const image = requireImage(profile, agentImage(version, lock));
  const content = renderAgent({ image, address, port, generation });
  return [made(`argocd-agent ${version}`, `${folder}/edge-fleet-hub-agent.yaml`, content)];
}

/** Flux, on the machine that runs the API server. */
function flux(profile: Profile, lock: ArtifactsLock): ResolvedArtifact[] {
  if (!runsFlux(profile)) return [];
  const { gitops, memoryMiB } = profile;
  const folder = distributionOf(profile).manifests;
  const releaseOf = (part: keyof typeof FLUX_PARTS) => lock.flux?.[part]?.[gitops.flux[part]];
  const parts = Object.keys(FLUX_PARTS) as (keyof typeof FLUX_PARTS)[];
  const definitions = parts.flatMap((part) =>
    FLUX_PARTS[part].kinds.map((kind) => {
      const file = fluxDefinitionFile(FLUX_PARTS[part], kind);
      const place = { name: `flux-${kind}-crd`, kind: "manifest", mode: "0600" } as const;
      const installPath = `${folder}/edge-fleet-crd-flux-${kind}.yaml`;
      const field = `flux.${part}.${gitops.flux[part]}.crds (${file})`;
      return resolve(profile, field, findDefinition(releaseOf(part)?.crds, file), { ...place, installPath });
    }),
  );
  const objects = renderFlux({ images: requireImages(profile, fluxImages(profile, lock)), memoryMiB });
  return [...definitions, made("flux", `${folder}/edge-fleet-engine-flux.yaml`, objects)];
}

function sealedSecrets(profile: Profile, lock: ArtifactsLock): ResolvedArtifact[] {
  if (!runsSealedSecrets(profile)) return [];
  const { version } = profile.gitops.sealedSecrets;
  const folder = distributionOf(profile).manifests;
  const locked = lock.sealedSecrets?.[version];
  const image = requireImage(profile, sealedSecretsImage(profile, lock));
  const installPath = `${folder}/edge-fleet-crd-sealedsecret.yaml`;
  const place = { name: "sealedsecret-crd", kind: "manifest", installPath, mode: "0600" } as const;
  const content = renderSealedSecrets({ image, keys: sealingSecretNames(profile) });
  return [
    resolve(profile, `sealedSecrets.${version}.crd`, locked?.crd, place),
    made(`sealed-secrets ${version}`, `${folder}/edge-fleet-sealed-secrets.yaml`, content),
  ];
}

function externalSecrets(profile: Profile, lock: ArtifactsLock): ResolvedArtifact[] {
  if (!runsExternalSecrets(profile)) return [];
  const { version } = profile.gitops.externalSecrets;
  const folder = distributionOf(profile).manifests;
  const locked = lock.externalSecrets?.[version];
  const image = requireImage(profile, externalSecretsImage(profile, lock));
  const kinds = Object.keys(EXTERNAL_SECRETS_KINDS) as ExternalSecretsKind[];
  const definitions = kinds.map((kind) => {
    const file = externalSecretsDefinitionFile(kind);
    return resolve(profile, `externalSecrets.${version}.crds (${file})`, findDefinition(locked?.crds, file), {
      name: `${kind}-crd`,
      kind: "manifest",
      installPath: `${folder}/edge-fleet-crd-${kind}.yaml`,
      mode: "0600",
    });
  });
  const path = `${folder}/edge-fleet-external-secrets.yaml`;
  return [...definitions, made(`external-secrets ${version}`, path, renderExternalSecrets({ image }))];
}

/** Objects that edge-fleet makes itself. */
function made(name: string, installPath: string, content: string): ResolvedArtifact {
  const sha256 = createHash("sha256").update(content).digest("hex");
  return {
    name,
    kind: "manifest",
    url: "",
    local: false,
    content,
    sha256,
    size: Buffer.byteLength(content),
    delivery: "push",
    storePath: `${ARTIFACT_STORE}/${sha256}`,
    installPath,
    mode: "0600",
  };
}

function requireImages<Name extends string>(
  profile: Profile,
  images: Readonly<Record<Name, EngineImage>>,
): Record<Name, string> {
  const entries = Object.entries<EngineImage>(images).map(([name, image]) => [name, requireImage(profile, image)]);
  return Object.fromEntries(entries) as Record<Name, string>;
}

function requireImage(profile: Profile, { field, reference }: EngineImage): string {
  return requireLocked(profile, field, reference);
}

/** A manifest is found by its file name, wherever its locked URL points. */
export function findDefinition(crds: readonly ArtifactFile[] | undefined, name: string): ArtifactFile | undefined {
  return crds?.find(({ url }) => url.split("/").at(-1) === name);
}

function resolve(profile: Profile, path: string, file: ArtifactFile | undefined, place: Locate): ResolvedArtifact {
  const locked = requireLocked(profile, path, file);
  const beside = ["assertions", "images", "manifest"].includes(place.kind) && isLocalPath(locked.url);
  const { url, local } = artifactUrl(locked.url, beside, profile, `artifacts.lock.yaml: ${path}`);
  return {
    ...place,
    url,
    local,
    sha256: locked.sha256,
    ...(locked.size === undefined ? {} : { size: locked.size }),
    delivery: local ? "push" : profile.artifacts.delivery,
    storePath: `${ARTIFACT_STORE}/${locked.sha256}`,
  };
}

/** @param path place in the lock file */
function requireLocked<Locked>({ id }: Profile, path: string, locked: Locked | undefined): Locked {
  if (locked !== undefined) return locked;
  throw new Error(`artifacts.lock.yaml: ${path} is missing, device ${id} needs it - run edge-fleet lock`);
}
