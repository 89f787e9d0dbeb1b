/** K3s: from the releases that devices use to binaries and air-gap image archives. https://docs.k3s.io/installation/airgap */
import type { LockContext, UsedArtifact } from "../artifact.ts";
import { planReleases } from "./releases.ts";

/** Plans K3s. The smallest of the three packings comes first. */
export function planK3s(context: LockContext): UsedArtifact[] {
  return planReleases(context, "k3s", (_, architecture) => ({
    list: `sha256sum-${architecture}.txt`,
    binary: architecture === "amd64" ? "k3s" : `k3s-${architecture}`,
    images: [".tar.zst", ".tar.gz", ".tar"].map((ending) => `k3s-airgap-images-${architecture}${ending}`),
  }));
}
