/**
 * How a region's control plane reads the fleet's Git repository, by the inventory and the secrets of the hub's stack:
 * for the ring files, from which the Applications of its devices with an agent are made. Pure.
 */
import { controlPlaneNamespace } from "../gitops/labels.ts";
import { gitAccessOf, type Inventory, resolveFleet } from "../inventory/index.ts";
import { checkGitUrl, gitCredentials, gitTrust, type TextObject } from "../plan/git-access.ts";
import type { ManifestObject } from "./manifests.ts";

/** Access of a control plane to Git. */
export interface HubGit {
  /** Repository Secrets. */
  readonly credentials: readonly TextObject[];
  /** ConfigMaps with pinned host keys and private authorities, whose data takes the place of the install's own. */
  readonly trust: readonly TextObject[];
}

/**
 * @param secrets of the hub's stack by key
 * @returns undefined where none of the region's devices has an agent: then nothing on the hub reads Git
 * @throws Error naming the region, the setting or the key, and the fix; never with a secret
 */
export function hubGit(
  inventory: Inventory,
  region: string,
  secrets: Readonly<Record<string, string>>,
): HubGit | undefined {
  const devices = resolveFleet(inventory).filter((profile) => profile.region === region);
  if (!devices.some(({ gitops, state }) => gitops.engine === "argocd-agent" && state === "present")) return undefined;
  const access = gitAccessOf(inventory, region);
  const { url } = inventory.fleet.git;
  const namespace = controlPlaneNamespace(region);
  const place = `region ${region} on the hub`;
  const [wrong] = checkGitUrl(access, url).filter(({ severity }) => severity === "error");
  if (wrong !== undefined) throw new Error(`${place}: ${wrong.setting.join(".")}: ${wrong.message}`);
  return {
    credentials: gitCredentials(access, [url], namespace, place, secrets),
    trust: gitTrust(access, [url], namespace).filter(({ data }) => Object.values(data ?? {}).join("") !== ""),
  };
}

/** The install's objects with the pinned host keys and authorities. */
export function withGitTrust(objects: readonly ManifestObject[], git: HubGit | undefined): ManifestObject[] {
  return objects.map((object) => {
    const own = git?.trust.find(({ kind, metadata }) => kind === object.kind && metadata.name === object.metadata.name);
    return own === undefined ? object : { ...object, data: own.data };
  });
}
