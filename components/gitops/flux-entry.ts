/**
 * What a Flux on a device reads in Git: of each workload its GitRepository and Kustomization at the commit that a ring
 * pins, and the namespace that it deploys to. Without any fact of a device, see flux-root.ts.
 *
 * A Kustomization that leaves the entry takes what it has applied along: kustomize-controller's finalizer prunes it
 * (finalizerShouldDeleteResources in internal/controller/kustomization_controller.go, v1.9.1).
 */
import { posix } from "node:path";
import { namespaceOf, renderTemplate } from "./application.ts";
import {
  type FluxKustomization,
  fluxInterval,
  fluxKustomization,
  type GitRepository,
  gitRepository,
  inFlux,
} from "./flux-objects.ts";
import { OVERLAY_WORKLOAD } from "./labels.ts";
import type { Place } from "./select.ts";
import type { TreeGit, TreeWorkload } from "./tree-input.ts";

/** Folder of the entry for Flux below that of its ring, region and model. */
export const FLUX_FOLDER = "flux";

/** Folder of the namespaces below an entry for Flux. */
export const NAMESPACES_FOLDER = "namespaces";

/**
 * A pinned commit never changes, and each look fetches the whole history of its branch (cloneCommit in git/gogit/clone.go of
 * fluxcd/pkg v0.52). One is made anyway when the source-controller starts, or when its archive is gone.
 */
const PINNED_INTERVAL = "24h";

/** A namespace stays when its workload goes, and where the team brings it itself it is theirs. */
const KEPT = {
  "kustomize.toolkit.fluxcd.io/prune": "disabled",
  "kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent",
};

/** The objects of a workload for all devices of a leaf and ring; the root of a device tells its own interval. @param workload absent: the overlays */
export function renderFluxWorkload(
  git: TreeGit,
  place: Place,
  revision: string,
  workload?: TreeWorkload,
): [GitRepository, FluxKustomization] {
  const { labels, spec } = renderTemplate({ ...place, revision }, git, workload);
  const metadata = inFlux(workload?.name ?? OVERLAY_WORKLOAD, labels);
  const ref = { branch: git.branch, commit: revision };
  // Overlays say their namespace themselves; this one would also take the place of any that a manifest has.
  const target =
    workload === undefined || workload.type === "overlays" ? {} : { targetNamespace: namespaceOf(workload) };
  return [
    gitRepository(metadata, { url: git.url, interval: PINNED_INTERVAL, ref }),
    fluxKustomization(metadata, { path: spec.source.path, interval: fluxInterval(), wait: true, ...target }),
  ];
}

/** Path below an entry for Flux, and object, of a workload's namespace. @param workload absent: the overlays */
export function fluxNamespace(workload?: TreeWorkload): { readonly path: string; readonly object: object } {
  const name = namespaceOf(workload);
  return {
    path: posix.join(NAMESPACES_FOLDER, `${name}.yaml`),
    object: { apiVersion: "v1", kind: "Namespace", metadata: { name, annotations: KEPT } },
  };
}
