/**
 * What of Argo CD's namespaced install a region's control plane runs: the ApplicationSet controller, which makes the
 * Applications; the repo-server, which reads the ring files for it; redis, which both need. No application-controller:
 * the devices reconcile themselves. No dex, notifications, server. Pure.
 */
import type { ManifestObject } from "./manifests.ts";

/** Values of `app.kubernetes.io/component` that a control plane keeps. Objects without one are configuration. */
const COMPONENTS: ReadonlySet<string> = new Set(["applicationset-controller", "redis", "repo-server"]);

/** Made by edge-fleet with a key in it, because nothing generates one where no argocd-server runs. */
export const SETTINGS_SECRET = "argocd-secret";

/** Selects the objects of a control plane from the namespaced install. */
export function selectControlPlane(objects: readonly ManifestObject[]): ManifestObject[] {
  return objects.filter(({ kind, metadata }) => {
    if (kind === "Secret" && metadata.name === SETTINGS_SECRET) return false;
    const component = metadata.labels?.["app.kubernetes.io/component"];
    return component === undefined || COMPONENTS.has(component);
  });
}
