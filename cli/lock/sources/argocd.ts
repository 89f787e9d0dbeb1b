/**
 * Argo CD: of its release's Git tag the custom resource definitions and, for the hub, the namespaced install; and the images
 * that this install names. Pure.
 */

import { runsArgoCd } from "../../../components/gitops/engine/argocd/settings.ts";
import { hubOf, type Profile } from "../../../components/inventory/index.ts";
import { DEFINITIONS } from "../../../components/plan/artifact.ts";
import type { LockContext, UsedArtifact } from "../artifact.ts";
import { placeDefinitions } from "./definitions.ts";
import { nameUsers } from "./users.ts";

/** In the order in which the hub gets them. */
const HUB_DEFINITIONS = ["application-crd.yaml", "applicationset-crd.yaml", "appproject-crd.yaml"];

/** Names that the images end with. */
const IMAGES = ["argocd", "redis"] as const;

/** Who uses a release. */
interface Users {
  readonly hub: boolean;
  /** Devices that run it. */
  readonly devices: readonly Profile[];
}

/** Plans Argo CD: the hub's release first, then those of devices. */
export function planArgoCd(context: LockContext): UsedArtifact[] {
  const hub = hubOf(context.inventory.fleet)?.argocd.version;
  const devices = Map.groupBy(context.profiles.filter(runsArgoCd), ({ gitops }) => gitops.argocd.version);
  const versions = new Set([...(hub === undefined ? [] : [hub]), ...[...devices.keys()].sort()]);
  return [...versions].flatMap((version) =>
    planRelease(version, { hub: version === hub, devices: devices.get(version) ?? [] }, context),
  );
}

function planRelease(version: string, { hub, devices }: Users, { inventory, bases }: LockContext): UsedArtifact[] {
  const release = inventory.artifacts.argocd?.[version];
  const manifests = `${bases.argocd}/${version}/manifests`;
  const install = `${manifests}/namespace-install.yaml`;
  const usedBy = [...(hub ? ["the hub"] : []), ...(devices.length > 0 ? [nameUsers(devices)] : [])].join(" and ");
  const common = { project: "argocd", hash: { kind: "file" } } as const;
  const files = HUB_DEFINITIONS.filter((name) => hub || name in DEFINITIONS);
  const crds = placeDefinitions(["argocd", version], release?.crds, files).map(({ file, ...placed }): UsedArtifact => {
    const users = file in DEFINITIONS ? usedBy : "the hub";
    return { ...common, ...placed, usedBy: users, url: `${manifests}/crds/${file}` };
  });
  const path = ["argocd", version, "controlPlane"];
  const controlPlane = { ...common, path, field: path.join("."), usedBy: "the hub", url: install };
  const images = IMAGES.map((name): UsedArtifact => {
    const path = ["argocd", version, "images", name];
    const hash = { kind: "image", name, manifest: install } as const;
    const locked = lockedImage(release?.images?.[name]);
    return { ...common, path, field: path.join("."), usedBy, url: name, hash, locked };
  });
  return [...crds, ...(hub ? [{ ...controlPlane, locked: release?.controlPlane }] : []), ...images];
}

/** An image as the lock has it, taken apart. @param reference absent: it has none */
export function lockedImage(reference: string | undefined): UsedArtifact["locked"] {
  const [url, sha256] = reference?.split("@sha256:") ?? [];
  return url === undefined || sha256 === undefined ? undefined : { url, sha256 };
}
