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
import { placeDefinitions } from "./definitions.ts";
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

function planRelease(
  part: keyof FluxImages,
  version: string,
  users: readonly Profile[],
  { inventory, bases }: LockContext,
): UsedArtifact[] {
  const { name, kinds } = FLUX_PARTS[part];
  const release = inventory.artifacts.flux?.[part]?.[version];
  const common = { project: "flux", usedBy: nameUsers(users) } as const;
  const files = kinds.map((kind) => fluxDefinitionFile(FLUX_PARTS[part], kind));
  const crds = placeDefinitions(["flux", part, version], release?.crds, files).map(
    ({ file, ...placed }): UsedArtifact => {
      const url = `${bases.flux}/${name}/${version}/config/crd/bases/${file}`;
      return { ...common, ...placed, url, hash: { kind: "file" } };
    },
  );
  const path = ["flux", part, version, "image"];
  const hash = { kind: "image", reference: `${REGISTRY}/${name}:${version}` } as const;
  return [...crds, { ...common, path, field: path.join("."), url: name, hash, locked: lockedImage(release?.image) }];
}
