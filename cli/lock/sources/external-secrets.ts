/** External Secrets: of its release's Git tag the definitions of its kinds, and the controller's image. Pure. */
import {
  EXTERNAL_SECRETS_KINDS,
  type ExternalSecretsKind,
  externalSecretsDefinitionFile,
  runsExternalSecrets,
} from "../../../components/gitops/engine/external-secrets/settings.ts";
import type { LockContext, UsedArtifact } from "../artifact.ts";
import { lockedImage } from "./argocd.ts";
import { placeDefinitions } from "./definitions.ts";
import { nameUsers } from "./users.ts";

/** As its chart has it (deploy/charts/external-secrets, v2.9.0). */
const REPOSITORY = "ghcr.io/external-secrets/external-secrets";

/**
 * Plans the releases that devices ask for. That of SecretStore describes some fifty stores in 690 kB, 349 as JSON: more than
 * the annotation holds in which K0s keeps what it has applied (256 KiB, pkg/applier/stack.go of v1.36.3+k0s.2).
 */
export function planExternalSecrets({ profiles, inventory, bases }: LockContext): UsedArtifact[] {
  const releases = Map.groupBy(profiles.filter(runsExternalSecrets), ({ gitops }) => gitops.externalSecrets.version);
  return [...releases].sort().flatMap(([version, devices]): UsedArtifact[] => {
    const release = inventory.artifacts.externalSecrets?.[version];
    const common = { project: "externalsecrets", usedBy: nameUsers(devices) } as const;
    const files = (Object.keys(EXTERNAL_SECRETS_KINDS) as ExternalSecretsKind[]).map(externalSecretsDefinitionFile);
    const crds = placeDefinitions(["externalSecrets", version], release?.crds, files).map(
      ({ file, ...placed }): UsedArtifact => {
        const url = `${bases.externalsecrets}/${version}/config/crds/bases/${file}`;
        const beside = `definitions/external-secrets-${version}/${file}`;
        return { ...common, ...placed, url, hash: { kind: "definition", beside } };
      },
    );
    const path = ["externalSecrets", version, "image"];
    const hash = { kind: "image", reference: `${REPOSITORY}:${version}` } as const;
    const locked = lockedImage(release?.image);
    return [...crds, { ...common, path, field: path.join("."), url: "external-secrets", hash, locked }];
  });
}
