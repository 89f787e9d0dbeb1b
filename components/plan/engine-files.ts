/**
 * The files that the engine of a device works from, in the manifest folder of its distribution: the device's own objects,
 * and its access to Git. The engine itself is an artifact, see artifact.ts. Pure.
 */
import { runsAgent } from "../gitops/engine/agent/settings.ts";
import { ENGINE_NAMESPACE } from "../gitops/engine/argocd/object.ts";
import { runsFlux } from "../gitops/engine/flux/settings.ts";
import { pullsByItself } from "../gitops/engine/pulls.ts";
import { formatYaml } from "../gitops/yaml.ts";
import { FLEET_CA_KEY } from "../identity/authority.ts";
import type { Profile } from "../inventory/types.ts";
import { agentFiles } from "./agent.ts";
import type { DeviceFile, RenderContext } from "./distributions/distribution-plan.ts";
import { requireNoErrors } from "./distributions/finding.ts";
import { distributionOf } from "./distributions/index.ts";
import { checkFluxUrl, fluxGitSecret } from "./flux-git.ts";
import { checkGitAccess, checkGitUrl, gitCredentials, gitTrust } from "./git-access.ts";

/**
 * Renders the files; none on a device that does not pull.
 * @throws Error naming the device, the setting or the key, and the fix; never with a secret
 */
export function engineFiles(profile: Profile, { entry = [], gitUrl = "", secrets }: RenderContext): DeviceFile[] {
  if (!pullsByItself(profile)) return [];
  const folder = distributionOf(profile).manifests;
  const { access } = profile.gitops;
  const urls = runsAgent(profile) && gitUrl !== "" ? [gitUrl] : repositoriesOf(entry);
  const flux = runsFlux(profile);
  requireNoErrors(profile.id, [
    ...checkGitAccess(profile),
    ...urls.flatMap((url) => [...checkGitUrl(access, url), ...(flux ? checkFluxUrl(url) : [])]),
  ]);
  const place = `device ${profile.id}`;
  const credentials = flux
    ? fluxGitSecret(access, place, secrets)
    : gitCredentials(access, urls, ENGINE_NAMESPACE, place, secrets);
  const file = (name: string, objects: readonly object[]): DeviceFile[] =>
    objects.length === 0
      ? []
      : [{ path: `${folder}/edge-fleet-${name}.yaml`, mode: "0600", content: textOf(objects), live: true }];
  return [
    ...file("entry", entry),
    ...(flux ? [] : file("git", gitTrust(access, urls, ENGINE_NAMESPACE))),
    ...(runsAgent(profile) ? agentFiles(profile, folder, secrets?.[FLEET_CA_KEY]) : []),
    ...file("git-credentials", credentials).map((credential) => ({ ...credential, secret: true })),
  ];
}

const texts = new Map<string, string>();

/**
 * As `formatObjects` of yaml.ts, but a region's devices share all of these objects but their roots and Secrets, so each of the
 * others is formatted once.
 */
function textOf(objects: readonly object[]): string {
  const each = objects.map((object) => {
    const { kind } = object as { kind?: string };
    if (kind === "Application" || kind === "Kustomization" || kind === "Secret") return formatYaml([], object);
    const key = JSON.stringify(object);
    const text = texts.get(key) ?? formatYaml([], object);
    texts.set(key, text);
    return text;
  });
  return each.join("---\n");
}

/** Repositories that the device's root is read from, sorted. */
function repositoriesOf(entry: readonly object[]): string[] {
  const urls = entry.flatMap((object) => {
    const { kind, spec } = object as { kind?: string; spec?: { source?: { repoURL?: string }; url?: string } };
    return (kind === "Application" ? spec?.source?.repoURL : kind === "GitRepository" ? spec?.url : undefined) ?? [];
  });
  return [...new Set(urls)].sort();
}
