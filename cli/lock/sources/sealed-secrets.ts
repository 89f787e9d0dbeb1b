/** Sealed Secrets: of its release's Git tag the definition of its kind, and the controller's image. Pure. */
import { runsSealedSecrets } from "../../../components/gitops/engine/sealed-secrets/settings.ts";
import type { LockContext, UsedArtifact } from "../artifact.ts";
import { lockedImage } from "./argocd.ts";
import { nameUsers } from "./users.ts";

/** As its chart has it, whose tag lacks the `v` (helm/sealed-secrets/values.yaml, v0.40.0). */
const REPOSITORY = "docker.io/bitnami/sealed-secrets-controller";
const DEFINITION = "helm/sealed-secrets/crds/bitnami.com_sealedsecrets.yaml";

/** Plans the releases that devices ask for. */
export function planSealedSecrets({ profiles, inventory, bases }: LockContext): UsedArtifact[] {
  const releases = Map.groupBy(profiles.filter(runsSealedSecrets), ({ gitops }) => gitops.sealedSecrets.version);
  return [...releases].sort().flatMap(([version, devices]): UsedArtifact[] => {
    const { image, crd } = inventory.artifacts.sealedSecrets?.[version] ?? {};
    const entry = (field: "image" | "crd") => {
      const path = ["sealedSecrets", version, field];
      return { project: "sealedsecrets", path, field: path.join("."), usedBy: nameUsers(devices) } as const;
    };
    const url = `${bases.sealedsecrets}/${version}/${DEFINITION}`;
    const reference = `${REPOSITORY}:${version.slice(1)}`;
    return [
      { ...entry("crd"), url, hash: { kind: "file" }, locked: crd },
      {
        ...entry("image"),
        url: "sealed-secrets-controller",
        hash: { kind: "image", reference },
        locked: lockedImage(image),
      },
    ];
  });
}
