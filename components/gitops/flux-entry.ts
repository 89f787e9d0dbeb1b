/**
 * What a Flux on a device reads in Git: of each workload its GitRepository and Kustomization at the commit that a ring
 * pins, and the namespace that it deploys to. Without any fact of a device, see flux-root.ts.
 *
 * A Kustomization that leaves the entry takes what it has applied along: kustomize-controller's finalizer prunes it
 * (finalizerShouldDeleteResources in internal/controller/kustomization_controller.go, v1.9.1).
 */
import { posix } from "node:path";
import { namespaceOf, projectOf, renderTemplate } from "./application.ts";
import { namespaceBinding, projectAccount } from "./flux-accounts.ts";
import {
  type FluxKustomization,
  fluxInterval,
  fluxKustomization,
  type GitRepository,
  gitRepository,
  inFlux,
} from "./flux-objects.ts";
import { OVERLAY_WORKLOAD } from "./labels.ts";
import type { ProjectFleet } from "./projects.ts";
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

/** A namespace stays when its workload goes, and who may deploy to it, so that they can take along what they have there. */
const KEPT = { "kustomize.toolkit.fluxcd.io/prune": "disabled" };

/** Where the team brings a namespace itself it is theirs. */
const UNCHANGED = { "kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent" };

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
    fluxKustomization(metadata, {
      path: spec.source.path,
      interval: fluxInterval(),
      wait: true,
      serviceAccountName: projectAccount(projectOf(workload)),
      ...target,
    }),
  ];
}

/**
 * The namespaces that a workload may deploy to, each with who of the fleet's projects may too, by path below an entry for Flux.
 * @param workload absent: the overlays
 */
export function fluxNamespaces(
  fleet: ProjectFleet,
  workload?: TreeWorkload,
): Map<string, [namespace: object, binding: object]> {
  const further = fleet.projects?.[projectOf(workload)]?.namespaces ?? [];
  return new Map(
    [namespaceOf(workload), ...further].map((name) => [
      posix.join(NAMESPACES_FOLDER, `${name}.yaml`),
      [
        { apiVersion: "v1", kind: "Namespace", metadata: { name, annotations: { ...KEPT, ...UNCHANGED } } },
        namespaceBinding(fleet, name, KEPT),
      ],
    ]),
  );
}
