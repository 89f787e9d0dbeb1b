/**
 * What the lock file has to hold: from the inventory to one entry per file that the fleet uses, with the place in the
 * lock file, the place on the network, and what is locked now. Pure. Versions are exact releases (the schema refuses
 * anything else), so nothing here resolves a channel.
 */
import { type ArtifactFile, type Inventory, type Profile, resolveFleet } from "../../components/inventory/index.ts";

/** Name of the lock file in the inventory's folder. */
export const LOCK_FILE = "artifacts.lock.yaml";

/** Where releases are published. A URL without a trailing slash. */
export interface ReleaseBases {
  /** Holds `<release>/k3s`, `<release>/k3s-arm64` and `<release>/sha256sum-<arch>.txt`. */
  readonly k3s: string;
  /** Holds `<release>/manifests/…`. */
  readonly argocd: string;
}

/** The projects' own: GitHub's release assets, and the files of the release's Git tag. */
export const UPSTREAM: ReleaseBases = {
  k3s: "https://github.com/k3s-io/k3s/releases/download",
  argocd: "https://raw.githubusercontent.com/argoproj/argo-cd",
};

/** Argo CD's custom resource definitions, in the order in which the hub gets them. */
const CRDS = ["application-crd.yaml", "applicationset-crd.yaml", "appproject-crd.yaml"] as const;

/** Where a file's hash comes from. */
export type HashSource =
  /** A list that the release carries: the line whose file name is `name`. */
  | { readonly kind: "list"; readonly url: string; readonly name: string }
  /** The file itself, downloaded. */
  | { readonly kind: "file" };

/** One file that the fleet uses. */
export interface UsedArtifact {
  /** Keys that lead to its entry in the lock file. */
  readonly path: readonly (string | number)[];
  /** The same for people, e.g. `k3s.v1.36.2+k3s1.arm64`. */
  readonly field: string;
  /** Who needs it, e.g. `2 devices, e.g. tokyo-0002`. */
  readonly usedBy: string;
  /** Where upstream, or the base that was given instead, has it. */
  readonly url: string;
  readonly hash: HashSource;
  /** What the lock file says now. */
  readonly locked: ArtifactFile | undefined;
}

/**
 * Lists them: K3s by release and architecture, then the hub's Argo CD.
 * @param bases default: {@link UPSTREAM}
 */
export function planLock(inventory: Inventory, bases: ReleaseBases = UPSTREAM): UsedArtifact[] {
  return [...planK3s(inventory, bases.k3s), ...planArgoCd(inventory, bases.argocd)];
}

function planK3s(inventory: Inventory, base: string): UsedArtifact[] {
  const key = ({ k3s, architecture }: Profile): string => `${k3s.version} ${architecture}`;
  const users = Map.groupBy(resolveFleet(inventory), key);
  return [...users]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, profiles]) => {
      const [first] = profiles;
      if (first === undefined) return [];
      const { architecture } = first;
      const { version } = first.k3s;
      const folder = `${base}/${encodeURIComponent(version)}`;
      const name = architecture === "amd64" ? "k3s" : `k3s-${architecture}`;
      const path = ["k3s", version, architecture];
      const usedBy = profiles.length === 1 ? `device ${first.id}` : `${profiles.length} devices, e.g. ${first.id}`;
      const hash: HashSource = { kind: "list", url: `${folder}/sha256sum-${architecture}.txt`, name };
      const locked = inventory.artifacts.k3s?.[version]?.[architecture];
      return [{ path, field: path.join("."), usedBy, url: `${folder}/${name}`, hash, locked }];
    });
}

function planArgoCd({ fleet, artifacts }: Inventory, base: string): UsedArtifact[] {
  const { version } = fleet.hub.argocd;
  const release = artifacts.argocd?.[version];
  const manifests = `${base}/${version}/manifests`;
  const common = { usedBy: "the hub", hash: { kind: "file" } } as const;
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
