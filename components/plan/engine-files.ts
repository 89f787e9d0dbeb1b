/**
 * The files that the engine of a device works from, in the manifest folder of its distribution: the device's own objects,
 * and its access to Git. The engine itself is an artifact, see artifact.ts. Pure.
 */
import { formatObjects } from "../gitops/yaml.ts";
import type { Profile } from "../inventory/types.ts";
import type { DeviceFile, RenderContext } from "./distributions/distribution-plan.ts";
import { requireNoErrors } from "./distributions/finding.ts";
import { checkGitAccess, checkGitUrl, gitCredentials, gitTrust, pullsWithArgoCd } from "./git-access.ts";

/** Namespace of Argo CD on a device. */
const NAMESPACE = "argocd";

/**
 * Renders the files; none on a device where Argo CD does not pull.
 * @param folder where the distribution takes manifests from
 * @throws Error naming the device, the setting or the key, and the fix; never with a secret
 */
export function engineFiles(profile: Profile, folder: string, { entry = [], secrets }: RenderContext): DeviceFile[] {
  if (!pullsWithArgoCd(profile)) return [];
  const { access } = profile.gitops;
  const urls = repositoriesOf(entry);
  requireNoErrors(profile.id, [...checkGitAccess(profile), ...urls.flatMap((url) => checkGitUrl(access, url))]);
  const credentials = gitCredentials(access, urls, NAMESPACE, `device ${profile.id}`, secrets);
  const file = (name: string, objects: readonly object[]): DeviceFile[] =>
    objects.length === 0
      ? []
      : [{ path: `${folder}/edge-fleet-${name}.yaml`, mode: "0600", content: formatObjects([], objects), live: true }];
  return [
    ...file("entry", entry),
    ...file("git", gitTrust(access, urls, NAMESPACE)),
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
