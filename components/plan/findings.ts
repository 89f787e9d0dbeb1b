/**
 * What stands against the plans of an inventory's devices, before anything is rendered: each finding at the place in the
 * inventory where its setting is written. Pure.
 */

import { runsFlux } from "../gitops/engine/flux/settings.ts";
import { pullsByItself } from "../gitops/engine/pulls.ts";
import { describePlaced, formatPlaced, type Inventory, type Profile, placeProblems } from "../inventory/index.ts";
import { deviceContexts } from "./contexts.ts";
import { describeFinding, type Finding } from "./distributions/finding.ts";
import { checkDistribution } from "./distributions/index.ts";
import { checkFluxUrl } from "./flux-git.ts";
import { checkGitUrl } from "./git-access.ts";

/** Findings of some devices. */
export interface PlanFindings {
  /** Lines for people, one for all devices that share a place: such a device is not applied. */
  readonly errors: readonly string[];
  /** Lines for people of what works, but is worth a look. */
  readonly warnings: readonly string[];
  /** The same without their places, as `DistributionPlan.warnings` has them. */
  readonly told: ReadonlySet<string>;
  /** Why a device is not applied, by device id: its own errors, each with its place, on one line. */
  readonly refused: ReadonlyMap<string, string>;
}

/**
 * Checks devices, so that one run shows all that has to be fixed.
 * @param profiles every device of the regions in question: a device is checked beside those that it joins or that join it
 * @param selects which of them are checked. Default: all
 */
export function planFindings(
  inventory: Inventory,
  profiles: readonly Profile[],
  selects: (profile: Profile) => boolean = () => true,
): PlanFindings {
  const regions = Map.groupBy(profiles, ({ region }) => region);
  const found = [...regions.values()].flatMap((devices) => {
    const contexts = deviceContexts(devices, {});
    return devices.filter(selects).flatMap((profile) =>
      [...checkDistribution(profile, contexts.get(profile.id)), ...checkUrl(profile, inventory)].map((finding) => ({
        ...finding,
        profile,
      })),
    );
  });
  const placed = (severity: "error" | "warning") =>
    placeProblems(
      inventory,
      found.filter((finding) => finding.severity === severity),
    );
  const errors = placed("error");
  const byDevice = Map.groupBy(errors, ({ profile }) => profile.id);
  return {
    errors: describePlaced(errors),
    warnings: describePlaced(placed("warning")),
    told: new Set(found.map(describeFinding)),
    refused: new Map([...byDevice].map(([id, problems]) => [id, problems.map(formatPlaced).join("; ")])),
  };
}

function checkUrl(profile: Profile, { fleet }: Inventory): Finding[] {
  if (!pullsByItself(profile)) return [];
  const { url } = fleet.git;
  return [...checkGitUrl(profile.gitops.access, url), ...(runsFlux(profile) ? checkFluxUrl(url) : [])];
}
