/** Which devices run a pull engine that edge-fleet installs. Pure. */
import type { Profile } from "../../inventory/types.ts";
import { engineRequestMiB, runsArgoCd } from "./argocd/settings.ts";
import { fluxRequestMiB, runsFlux } from "./flux/settings.ts";

/** Whether edge-fleet installs an engine on the device. */
export function pullsByItself(profile: Pick<Profile, "joins" | "gitops">): boolean {
  return runsArgoCd(profile) || runsFlux(profile);
}

/** MiB that an engine's pods request on a model, without an agent's. @param memoryMiB its RAM */
export function pullRequestMiB(engine: Profile["gitops"]["engine"], memoryMiB: number): number {
  switch (engine) {
    case "none":
      return 0;
    case "flux":
      return fluxRequestMiB(memoryMiB);
    default:
      return engineRequestMiB(memoryMiB);
  }
}
