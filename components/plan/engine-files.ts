/**
 * The files that the engine of a device works from, in the manifest folder of its distribution: the device's own objects,
 * and its access to Git. The engine itself is an artifact, see artifact.ts. Pure.
 */
import { runsAgent } from "../gitops/engine/agent/settings.ts";
import { ENGINE_NAMESPACE } from "../gitops/engine/argocd/object.ts";
import { runsArgoCd } from "../gitops/engine/argocd/settings.ts";
import { formatObjects } from "../gitops/yaml.ts";
import { FLEET_CA_KEY } from "../identity/authority.ts";
import type { Profile } from "../inventory/types.ts";
import { agentFiles } from "./agent.ts";
import { manifestFolder } from "./artifact.ts";
import type { DeviceFile, RenderContext } from "./distributions/distribution-plan.ts";
import { requireNoErrors } from "./distributions/finding.ts";
import { checkGitAccess, checkGitUrl, gitCredentials, gitTrust } from "./git-access.ts";

/**
 * Renders the files; none on a device where Argo CD does not pull.
 * @throws Error naming the device, the setting or the key, and the fix; never with a secret
 */
export function engineFiles(profile: Profile, { entry = [], gitUrl = "", secrets }: RenderContext): DeviceFile[] {
  if (!runsArgoCd(profile)) return [];
  const folder = manifestFolder(profile.distribution);
  const { access } = profile.gitops;
  const urls = runsAgent(profile) && gitUrl !== "" ? [gitUrl] : repositoriesOf(entry);
  requireNoErrors(profile.id, [...checkGitAccess(profile), ...urls.flatMap((url) => checkGitUrl(access, url))]);
  const credentials = gitCredentials(access, urls, ENGINE_NAMESPACE, `device ${profile.id}`, secrets);
  const file = (name: string, objects: readonly object[]): DeviceFile[] =>
    objects.length === 0
      ? []
      : [{ path: `${folder}/edge-fleet-${name}.yaml`, mode: "0600", content: formatObjects([], objects), live: true }];
  return [
    ...file("entry", entry),
    ...file("git", gitTrust(access, urls, ENGINE_NAMESPACE)),
    ...(runsAgent(profile) ? agentFiles(profile, folder, secrets?.[FLEET_CA_KEY]) : []),
    ...file("git-credentials", credentials).map((credential) => ({ ...credential, secret: true })),
  ];
}

/** Repositories that the device's Applications are read from, sorted. */
function repositoriesOf(entry: readonly object[]): string[] {
  const urls = entry.flatMap((object) => {
    const { kind, spec } = object as { kind?: string; spec?: { source?: { repoURL?: string } } };
    return kind === "Application" ? (spec?.source?.repoURL ?? []) : [];
  });
  return [...new Set(urls)].sort();
}
