/** The labels of a device's node. */
import { ENGINE_NODE } from "../../gitops/engine/argocd/object.ts";
import { runsArgoCd } from "../../gitops/engine/argocd/settings.ts";
import { FLUX_NODE, runsFlux } from "../../gitops/engine/flux/settings.ts";
import { ENGINE_NODE_LABEL } from "../../gitops/engine/pod.ts";
import type { Profile } from "../../inventory/types.ts";

/** Labels as `key=value`, sorted; the inventory's own keys win over labels of the same name. */
export function nodeLabels(
  profile: Pick<Profile, "labels" | "region" | "model" | "ring" | "joins" | "gitops">,
): string[] {
  const labels = {
    ...profile.labels,
    "edge-fleet.dev/region": profile.region,
    "edge-fleet.dev/model": profile.model,
    "edge-fleet.dev/ring": profile.ring,
    ...(runsArgoCd(profile) ? { [ENGINE_NODE_LABEL]: ENGINE_NODE } : {}),
    ...(runsFlux(profile) ? { [ENGINE_NODE_LABEL]: FLUX_NODE } : {}),
  };
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort();
}

/**
 * Whether a kubelet may register with this label: it refuses to start with labels of Kubernetes' own domains other than
 * these two (https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction).
 * @param label `key=value`
 */
export function kubeletMaySet(label: string): boolean {
  const prefix = /^([^/=]+)\//.exec(label)?.[1] ?? "";
  return !/(^|\.)(kubernetes|k8s)\.io$/.test(prefix) || /(^|\.)(kubelet|node)\.kubernetes\.io$/.test(prefix);
}
