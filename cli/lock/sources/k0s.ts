/**
 * K0s: from the releases that devices use to binaries and air-gap bundles.
 * https://docs.k0sproject.io/stable/airgap-install/
 */
import type { LockContext, UsedArtifact } from "../plan.ts";
import { planReleases } from "./releases.ts";

/** Plans K0s. Releases before 1.36 name the bundle without system and ending. */
export function planK0s(context: LockContext): UsedArtifact[] {
  return planReleases(context, "k0s", (version, architecture) => ({
    list: "sha256sums.txt",
    binary: `k0s-${version}-${architecture}`,
    images: [`k0s-airgap-bundle-${version}-linux-${architecture}.tar`, `k0s-airgap-bundle-${version}-${architecture}`],
  }));
}
