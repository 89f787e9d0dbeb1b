/** Flux: of each controller's Git tag the definitions of its kinds, and its image. Pure. */
import {
  FLUX_PARTS,
  type FluxImages,
  fluxDefinitionFile,
  runsFlux,
} from "../../../components/gitops/engine/flux/settings.ts";
import type { Profile } from "../../../components/inventory/index.ts";
import type { LockContext, UsedArtifact } from "../artifact.ts";
import { lockedImage } from "./argocd.ts";
import { nameUsers } from "./users.ts";

/** As `flux install` has it: manifests/bases of flux2, internal registry default. */
const REGISTRY = "ghcr.io/fluxcd";

/** Plans the releases that devices ask for. */
export function planFlux(context: LockContext): UsedArtifact[] {
  const devices = context.profiles.filter(runsFlux);
  return (Object.keys(FLUX_PARTS) as (keyof FluxImages)[]).flatMap((part) =>
    [...Map.groupBy(devices, ({ gitops }) => gitops.flux[part])]
      .sort()
      .flatMap(([version, users]) => planRelease(part, version, users, context)),
  );
}

/** A definition is found again by its file name, wherever its locked URL points. */
function planRelease(
  part: keyof FluxImages,
  version: string,
  users: readonly Profile[],
  { inventory, bases }: LockContext,
): UsedArtifact[] {
  const { name, kinds } = FLUX_PARTS[part];
  const release = inventory.artifacts.flux?.[part]?.[version];
  const common = { project: "flux", usedBy: nameUsers(users) } as const;
  let free = release?.crds.length ?? 0;
  const crds = kinds.map((kind): UsedArtifact => {
    const file = fluxDefinitionFile(FLUX_PARTS[part], kind);
    const found = release?.crds.findIndex(({ url }) => url.split("/").at(-1) === file) ?? -1;
    return {
      ...common,
      path: ["flux", part, version, "crds", found < 0 ? free++ : found],
      field: `flux.${part}.${version}.crds (${file})`,
      url: `${bases.flux}/${name}/${version}/config/crd/bases/${file}`,
      hash: { kind: "file" },
      locked: release?.crds[found],
    };
  });
  const path = ["flux", part, version, "image"];
  const hash = { kind: "image", reference: `${REGISTRY}/${name}:${version}` } as const;
  return [...crds, { ...common, path, field: path.join("."), url: name, hash, locked: lockedImage(release?.image) }];
}
