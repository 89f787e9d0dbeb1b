/** argocd-agent: its one image, which is the agent of devices and the principal of the hub. Pure. */
import { runsAgent } from "../../../components/gitops/engine/agent/settings.ts";
import type { LockContext, UsedArtifact } from "../artifact.ts";
import { lockedImage } from "./argocd.ts";
import { nameUsers } from "./users.ts";

/** Where upstream publishes it; its own manifests name it without a registry (install/kubernetes/agent/agent-deployment.yaml). */
const REPOSITORY = "quay.io/argoprojlabs/argocd-agent";

/** Plans the releases that devices with an agent ask for. */
export function planArgoCdAgent({ profiles, inventory }: LockContext): UsedArtifact[] {
  const releases = Map.groupBy(profiles.filter(runsAgent), ({ gitops }) => gitops.agent?.version);
  return [...releases].flatMap(([version, devices]) => {
    if (version === undefined) return [];
    const path = ["argocdAgent", version, "image"];
    return [
      {
        project: "argocd",
        path,
        field: path.join("."),
        usedBy: `${nameUsers(devices)} and the hub`,
        url: "argocd-agent",
        hash: { kind: "image", reference: `${REPOSITORY}:${version}` },
        locked: lockedImage(inventory.artifacts.argocdAgent?.[version]?.image),
      } as const,
    ];
  });
}
