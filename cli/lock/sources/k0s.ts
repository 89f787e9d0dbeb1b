/**
 * K0s: from the releases that devices use to binaries and air-gap bundles. Binaries are signed; bundles have a hash alone.
 * https://docs.k0sproject.io/stable/airgap-install/
 */
import type { LockContext, UsedArtifact } from "../artifact.ts";
import { planReleases } from "./releases.ts";

const LIST = "sha256sums.txt";

/** Plans K0s. Releases before 1.36 name the bundle without system and ending. */
export function planK0s(context: LockContext): UsedArtifact[] {
  const planned = planReleases(context, "k0s", (version, architecture) => ({
    list: LIST,
    binary: `k0s-${version}-${architecture}`,
    images: [`k0s-airgap-bundle-${version}-linux-${architecture}.tar`, `k0s-airgap-bundle-${version}-${architecture}`],
  }));
  return planned.map((used) => (used.path.includes("images") ? used : signed(used, context)));
}

function signed(used: UsedArtifact, { inventory }: LockContext): UsedArtifact {
  const { hash } = used;
  if (hash.kind !== "list") return used;
  const key = `${hash.url.slice(0, -LIST.length)}cosign.pub`;
  return { ...used, hash: { ...hash, signature: { key, pinned: inventory.artifacts.k0sKey } } };
}
