/**
 * The Application of a workload on a device: one shape, filled once with a device's facts for a prediction and once with
 * Go templates for the ApplicationSet, so that both say the same.
 */
import { posix } from "node:path";
import {
  applicationName,
  DEVICE_ANNOTATION,
  MODEL_LABEL,
  PROJECT_NAME,
  REGION_LABEL,
  RING_LABEL,
  TYPE_LABEL,
  WORKLOAD_LABEL,
  WORKLOAD_NAMESPACE,
} from "./labels.ts";
import type { ApplicationSpec, ApplicationTemplate, IgnoredDifference } from "./objects.ts";
import type { TreeGit, TreeWorkload } from "./tree-input.ts";
import { sourceType } from "./values.ts";

/** File of a rendered leaf that holds its manifests. */
export const MANIFESTS_FILE = "manifests.yaml";

/** Folder of a rendered leaf or workload, below the tree's. */
export const RENDERED_FOLDER = "rendered";

/** Folder of the rendered workloads of their own: no region can have this name. */
const RENDERED_WORKLOADS = `${RENDERED_FOLDER}/_workloads`;

/** What the fields of an Application depend on, as plain text or as Go templates. */
export interface ApplicationFacts {
  readonly id: string;
  /** The id as the name of an object. */
  readonly idNormalized: string;
  readonly region: string;
  readonly model: string;
  readonly ring: string;
  readonly revision: string;
}

/**
 * What the API server or a controller writes into an object that a server-side apply did not set, and that Argo CD 3.2
 * would take for a difference for ever: https://github.com/argoproj/argo-cd/issues/11143
 */
const IGNORED: readonly IgnoredDifference[] = [
  {
    group: "apps",
    kind: "StatefulSet",
    jqPathExpressions: [
      ".spec.volumeClaimTemplates[]?.apiVersion",
      ".spec.volumeClaimTemplates[]?.kind",
      ".spec.volumeClaimTemplates[]?.status",
      ".spec.volumeClaimTemplates[]?.spec.volumeMode",
    ],
  },
];

/**
 * The folder that a device deploys, below the tree's folder.
 * @param workload absent: the overlay of region and model
 */
export function sourceFolder(
  layout: TreeGit["layout"],
  { region, model }: Pick<ApplicationFacts, "region" | "model">,
  workload?: TreeWorkload,
): string {
  const leaf = posix.join(region, model);
  const rendered = layout === "rendered";
  if (workload === undefined) return posix.join(rendered ? RENDERED_FOLDER : "overlays", leaf);
  const { name, path, type } = workload;
  if (type === "overlays")
    return rendered ? posix.join(RENDERED_WORKLOADS, name, leaf) : posix.join(path, "overlays", leaf);
  return rendered ? posix.join(RENDERED_WORKLOADS, name) : path;
}

/** How every Application syncs, for the sake of poor links: tried for ever, with up to 10 minutes in between. */
export const SYNC_POLICY: Pick<ApplicationSpec["syncPolicy"], "automated" | "retry"> = {
  automated: { enabled: true, prune: true, selfHeal: true },
  retry: { limit: -1, backoff: { duration: "5s", factor: 2, maxDuration: "10m" } },
};

/**
 * The Application's metadata and spec, without what depends on the device: that is {@link deviceSource}, and where it is.
 * Only what differs is applied, and what is gone from Git is removed last, after the rest is healthy.
 * @param workload absent: the overlay of region and model
 */
export function renderTemplate(
  facts: Pick<ApplicationFacts, "region" | "model" | "ring" | "revision">,
  git: TreeGit,
  workload?: TreeWorkload,
): Pick<ApplicationTemplate["metadata"], "labels"> & { readonly spec: Omit<ApplicationSpec, "destination"> } {
  const { region, model, ring, revision } = facts;
  const type = sourceType(workload);
  return {
    labels: {
      [REGION_LABEL]: region,
      [MODEL_LABEL]: model,
      [RING_LABEL]: ring,
      [TYPE_LABEL]: type,
      ...(workload === undefined ? {} : { [WORKLOAD_LABEL]: workload.name }),
    },
    spec: {
      project: projectOf(workload),
      source: {
        repoURL: git.url,
        targetRevision: revision,
        path: posix.join(git.path, sourceFolder(git.layout, facts, workload)),
        ...(type === "helm" ? { helm: chartValues(facts) } : {}),
      },
      syncPolicy: {
        automated: SYNC_POLICY.automated,
        syncOptions: [
          "CreateNamespace=true",
          "ServerSideApply=true",
          "ApplyOutOfSyncOnly=true",
          "PruneLast=true",
          "RespectIgnoreDifferences=true",
        ],
        retry: SYNC_POLICY.retry,
      },
      ignoreDifferences: [...IGNORED],
      revisionHistoryLimit: 2,
    },
  };
}

/** The files of a chart's folder that hold the values of a region and a model; a later one has the last word. */
function chartValues({ region, model }: Pick<ApplicationFacts, "region" | "model">) {
  return {
    valueFiles: [`values/region/${region}.yaml`, `values/model/${model}.yaml`],
    ignoreMissingValueFiles: true,
  };
}

/** The project of a workload. @param workload absent: the overlays */
export function projectOf(workload?: Pick<TreeWorkload, "project">): string {
  return workload?.project ?? PROJECT_NAME;
}

/** The namespace that a workload deploys to. @param workload absent: the overlays */
export function namespaceOf(workload?: Pick<TreeWorkload, "namespace">): string {
  return workload?.namespace ?? WORKLOAD_NAMESPACE;
}

/** The Application on the hub, as a set's template or as the controller makes it. Parameters as {@link renderTemplate}. */
export function renderHubTemplate(facts: ApplicationFacts, git: TreeGit, workload?: TreeWorkload): ApplicationTemplate {
  const { labels, spec } = renderTemplate(facts, git, workload);
  const { source, project, ...rest } = spec;
  return {
    metadata: {
      name: applicationName(facts.idNormalized, workload?.name),
      labels,
      annotations: { [DEVICE_ANNOTATION]: facts.id },
    },
    spec: { project, source, destination: { name: facts.id, namespace: namespaceOf(workload) }, ...rest },
  };
}
