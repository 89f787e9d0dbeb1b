/**
 * From a device's profile to the plan of its Kubernetes distribution: which files, which binary, which service, and what
 * counts as ready. The apply script is the same for all of them. A new distribution is one file and one line in
 * {@link DISTRIBUTIONS}.
 */
import type { Profile } from "../../inventory/types.ts";
import { checkAgent } from "../agent.ts";
import { checkBackup } from "../backup.ts";
import { checkGitAccess } from "../git-access.ts";
import { checkSealing } from "../sealing.ts";
import type { DistributionPlan, RenderContext } from "./distribution-plan.ts";
import { checkEngine } from "./engine.ts";
import type { Finding } from "./finding.ts";
import { checkK0s, checkMicroK8s } from "./k0s/checks.ts";
import { renderK0s } from "./k0s/index.ts";
import { checkK3s, renderK3s } from "./k3s/index.ts";
import { renderMicroK8s } from "./microk8s/index.ts";

/** What a distribution does with a profile. */
interface Distribution {
  /** What stands against the profile. Reads no secret and throws nothing. */
  readonly check: (profile: Profile, context: RenderContext) => Finding[];
  readonly render: (profile: Profile, context: RenderContext) => DistributionPlan;
}

/** Distributions by the name under which an inventory asks for them. */
export const DISTRIBUTIONS: Readonly<Record<Profile["distribution"], Distribution>> = {
  k3s: { check: checkK3s, render: renderK3s },
  k0s: { check: checkK0s, render: renderK0s },
  microk8s: { check: checkMicroK8s, render: renderMicroK8s },
};

/**
 * Plans the distribution that the profile names.
 * @param context server, joining devices and secrets. Default: none
 * @throws Error naming the device, the setting and the fix, where the profile cannot work
 */
export function renderDistribution(profile: Profile, context: RenderContext = {}): DistributionPlan {
  return DISTRIBUTIONS[profile.distribution].render(profile, context);
}

/**
 * What stands against the profile on the distribution that it names, against sending its copies away, against its access to
 * Git, its pull engine and its agent, and what opens its Secrets.
 * @param context server and joining devices; its secrets are not read. Default: none
 */
export function checkDistribution(profile: Profile, context: RenderContext = {}): Finding[] {
  return [
    ...DISTRIBUTIONS[profile.distribution].check(profile, context),
    ...checkBackup(profile),
    ...checkGitAccess(profile),
    ...checkAgent(profile),
    ...checkEngine(profile),
    ...checkSealing(profile),
  ];
}
