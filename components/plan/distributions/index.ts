/**
 * The Kubernetes distribution of a device: its plan, and what stands against it. A new distribution is one folder and
 * one line in {@link DISTRIBUTIONS}, beside its settings in components/inventory/.
 */
import type { Profile } from "../../inventory/types.ts";
import { checkAgent } from "../agent.ts";
import { checkBackup } from "../backup.ts";
import { checkGitAccess } from "../git-access.ts";
import { checkSealing } from "../sealing.ts";
import type { Distribution } from "./distribution.ts";
import type { DistributionPlan, RenderContext } from "./distribution-plan.ts";
import { checkEngine } from "./engine.ts";
import type { Finding } from "./finding.ts";
import { K0S } from "./k0s/index.ts";
import { K3S } from "./k3s/index.ts";
import { MICROK8S } from "./microk8s/index.ts";

/** Distributions by the name under which an inventory asks for them. */
export const DISTRIBUTIONS: Readonly<Record<Profile["distribution"], Distribution>> = {
  k3s: K3S,
  k0s: K0S,
  microk8s: MICROK8S,
};

/** The distribution that a profile names. */
export function distributionOf({ distribution }: Pick<Profile, "distribution">): Distribution {
  return DISTRIBUTIONS[distribution];
}

/**
 * Plans the distribution that the profile names.
 * @param context server, joining devices and secrets. Default: none
 * @throws Error naming the device, the setting and the fix, where the profile cannot work
 */
export function renderDistribution(profile: Profile, context: RenderContext = {}): DistributionPlan {
  return distributionOf(profile).render(profile, context);
}

/**
 * What stands against the profile on the distribution that it names, against sending its copies away, against its access to
 * Git, its pull engine and its agent, and what opens its Secrets.
 * @param context server and joining devices; its secrets are not read. Default: none
 */
export function checkDistribution(profile: Profile, context: RenderContext = {}): Finding[] {
  return [
    ...distributionOf(profile).check(profile, context),
    ...checkBackup(profile),
    ...checkGitAccess(profile),
    ...checkAgent(profile),
    ...checkEngine(profile, distributionOf(profile)),
    ...checkSealing(profile),
  ];
}
