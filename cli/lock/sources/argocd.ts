/** The hub's Argo CD: the custom resource definitions and the namespaced install of its release's Git tag. */
import { hubOf } from "../../../components/inventory/index.ts";
import type { LockContext, UsedArtifact } from "../artifact.ts";

/** In the order in which the hub gets them. */
const CRDS = ["application-crd.yaml", "applicationset-crd.yaml", "appproject-crd.yaml"] as const;

/** Plans Argo CD; nothing where the fleet has no hub. A manifest is found again by its file name, wherever its locked URL points. */
export function planArgoCd({ inventory, bases }: LockContext): UsedArtifact[] {
  const hub = hubOf(inventory.fleet);
  if (hub === undefined) return [];
  const { version } = hub.argocd;
  const release = inventory.artifacts.argocd?.[version];
  const manifests = `${bases.argocd}/${version}/manifests`;
  const common = { project: "argocd", usedBy: "the hub", hash: { kind: "file" } } as const;
  let free = release?.crds.length ?? 0;
  const crds = CRDS.map((name): UsedArtifact => {
    const found = release?.crds.findIndex(({ url }) => url.split("/").at(-1) === name) ?? -1;
    const path = ["argocd", version, "crds", found < 0 ? free++ : found];
    const field = `argocd.${version}.crds (${name})`;
    return { ...common, path, field, url: `${manifests}/crds/${name}`, locked: release?.crds[found] };
  });
  const path = ["argocd", version, "controlPlane"];
  const url = `${manifests}/namespace-install.yaml`;
  return [...crds, { ...common, path, field: path.join("."), url, locked: release?.controlPlane }];
}
