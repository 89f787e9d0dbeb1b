/**
 * What to lock of distributions: the binaries or snaps of the releases in use, in the order of the inventory's names.
 * Pure.
 */
import { DISTRIBUTION_NAMES } from "../../../components/inventory/index.ts";
import { DISTRIBUTIONS } from "../../../components/plan/distributions/index.ts";
import type { LockContext, UsedArtifact } from "../artifact.ts";
import { planBinaries } from "./binaries.ts";
import { planSnaps } from "./snaps.ts";

/** Plans the distributions. */
export function planDistributions(context: LockContext): UsedArtifact[] {
  return DISTRIBUTION_NAMES.flatMap((name) => {
    const { source } = DISTRIBUTIONS[name];
    return source.kind === "binary" ? planBinaries(context, name, source) : planSnaps(context, name, source);
  });
}
