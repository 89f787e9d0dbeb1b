/** argocd-agent: its one image, which is the agent of devices and the principal of the hub. Pure. */
import { runsAgent } from "../../../components/gitops/engine/agent/settings.ts";
import type { LockContext, UsedArtifact } from "../artifact.ts";
import { lockedImage } from "./argocd.ts";
import { nameUsers } from "./users.ts";

/** Where upstream publishes it; its own manifests name it without a registry (install/kubernetes/agent/agent-deployment.yaml). */
const REPOSITORY = "quay.io/argoprojlabs/argocd-agent";

/** Plans the releases that devices with an agent run, or their region is moved to. */
export function planArgoCdAgent({ profiles, inventory }: LockContext): UsedArtifact[] {
  const users = profiles.filter(runsAgent).flatMap((profile) => {
    const { version, next } = profile.gitops.agent ?? {};
    return [version, next?.version].flatMap((release) => (release === undefined ? [] : [{ release, profile }]));
  });
  return [...Map.groupBy(users, ({ release }) => release)].map(([version, members]) => {
    const path = ["argocdAgent", version, "image"];
    return {
      project: "argocd",
      path,
      field: path.join("."),
      usedBy: `${nameUsers(members.map(({ profile }) => profile))} and the hub`,
      url: "argocd-agent",
      hash: { kind: "image", reference: `${REPOSITORY}:${version}` },
      locked: lockedImage(inventory.artifacts.argocdAgent?.[version]?.image),
    } as const;
  });
}
