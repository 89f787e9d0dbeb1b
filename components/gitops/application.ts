/**
 * The Application of a workload on a device: one shape, filled once with a device's facts for a prediction and once with
 * Go templates for the ApplicationSet, so that both say the same.
 */
import { posix } from "node:path";
import {
  applicationName,
  DEVICE_ANNOTATION,
  MODEL_LABEL,
  OVERLAY_WORKLOAD,
  PROJECT_NAME,
  REGION_LABEL,
  RING_LABEL,
  VALUE_ANNOTATION_PREFIX,
  WORKLOAD_LABEL,
  WORKLOAD_NAMESPACE,
} from "./labels.ts";
import type { ApplicationSource, ApplicationTemplate, IgnoredDifference } from "./objects.ts";
import type { TreeDevice, TreeGit, TreeWorkload } from "./tree-input.ts";

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
  if (layout === "rendered")
    return workload === undefined
      ? posix.join(RENDERED_FOLDER, region, model)
      : posix.join(RENDERED_WORKLOADS, workload.name);
  return workload === undefined ? posix.join("overlays", region, model) : workload.path;
}

/**
 * The values of a device as annotations of its cluster Secret, from where its Applications put them on every object.
 * @param values facts by key
 */
export function valueAnnotations(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => [`${VALUE_ANNOTATION_PREFIX}${key}`, value]),
  );
}

/**
 * The Application's metadata and spec, without what depends on the device's values: that is {@link deviceSource}.
 * Poor links decide the policy: a sync is tried for ever with up to 10 minutes in between, only what differs is applied,
 * and what is gone from Git is removed last, after the rest is healthy.
 * @param workload absent: the overlay of region and model
 */
export function renderTemplate(facts: ApplicationFacts, git: TreeGit, workload?: TreeWorkload): ApplicationTemplate {
  const { id, region, model, ring, revision } = facts;
  return {
    metadata: {
      name: applicationName(facts.idNormalized, workload?.name ?? OVERLAY_WORKLOAD),
      labels: {
        [REGION_LABEL]: region,
        [MODEL_LABEL]: model,
        [RING_LABEL]: ring,
        ...(workload === undefined ? {} : { [WORKLOAD_LABEL]: workload.name }),
      },
      annotations: { [DEVICE_ANNOTATION]: id },
    },
    spec: {
      project: workload?.project ?? PROJECT_NAME,
      source: {
        repoURL: git.url,
        targetRevision: revision,
        path: posix.join(git.path, sourceFolder(git.layout, facts, workload)),
      },
      destination: { name: id, namespace: workload?.namespace ?? WORKLOAD_NAMESPACE },
      syncPolicy: {
        automated: { enabled: true, prune: true, selfHeal: true },
        syncOptions: [
          "CreateNamespace=true",
          "ServerSideApply=true",
          "ApplyOutOfSyncOnly=true",
          "PruneLast=true",
          "RespectIgnoreDifferences=true",
        ],
        retry: { limit: -1, backoff: { duration: "5s", factor: 2, maxDuration: "10m" } },
      },
      ignoreDifferences: [...IGNORED],
      revisionHistoryLimit: 2,
    },
  };
}

/**
 * How a device's values reach its objects. Kustomize annotates every object and every pod template with the device's id
 * and its values, so that a container reads them through the downward API. A rendered leaf is applied as plain files,
 * without Kustomize, to a device that has no values.
 */
export function deviceSource(
  layout: TreeGit["layout"],
  { id, values = {} }: Pick<TreeDevice, "id" | "values">,
): Pick<ApplicationSource, "kustomize" | "directory"> {
  if (layout === "rendered" && Object.keys(values).length === 0)
    return { directory: { include: MANIFESTS_FILE, jsonnet: {} } };
  return { kustomize: { commonAnnotations: { [DEVICE_ANNOTATION]: id, ...valueAnnotations(values) } } };
}

/** {@link deviceSource} as the controller computes it from a cluster Secret: a Go template of a patch in JSON. */
export function deviceSourcePatch(layout: TreeGit["layout"]): string {
  const annotated = `{"spec":{"source":{"kustomize":{"commonAnnotations":{{ toJson $annotations }}}}}}`;
  const plain = `{"spec":{"source":{"directory":{"include":"${MANIFESTS_FILE}"}}}}`;
  return [
    `{{- $annotations := dict "${DEVICE_ANNOTATION}" .name -}}`,
    "{{- range $key, $value := .metadata.annotations -}}",
    `{{- if hasPrefix "${VALUE_ANNOTATION_PREFIX}" $key -}}{{- $_ := set $annotations $key $value -}}{{- end -}}`,
    "{{- end -}}",
    layout === "rendered" ? `{{- if eq (len $annotations) 1 -}}${plain}{{- else -}}${annotated}{{- end -}}` : annotated,
    "",
  ].join("\n");
}
