/**
 * What of a device reaches its workloads, in the same way with every engine and in both layouts: patches that it adds to the
 * kustomization of each workload. They annotate every object and every pod template with the
 * device's id and its values, so that a container reads them through the downward API, and they keep what must outlive its
 * workload. A chart gets the same as values below `global.edgeFleet`.
 *
 * Kustomize's own `commonAnnotations` is not used: it writes into the pod template of a Job, which no API server lets
 * anybody change (commonAnnotations of sigs.k8s.io/kustomize/api v0.21). Only a Job that is a hook, and so made anew each
 * time, gets the annotations there.
 */
import { DEVICE_ANNOTATION, KEEP_LABEL, MODEL_LABEL, OVERLAY_WORKLOAD, VALUE_ANNOTATION_PREFIX } from "./labels.ts";
import type { ApplicationSource, KustomizePatch, PatchTarget } from "./objects.ts";
import { hasLabels } from "./select.ts";
import type { TreeDevice, TreePatch, TreeWorkload } from "./tree-input.ts";

/** What a source gets of a device. */
export type DeviceSource = Pick<ApplicationSource, "kustomize" | "helm">;

/** How the manifests of a workload are made on a device. */
export type SourceType = "kustomize" | "helm";

/**
 * Argo CD neither prunes these nor deletes them with their Application, and does not count them as a difference once Git
 * lacks them: a namespace takes everything in it along, a claim its data, a definition every object of its kind.
 * https://argo-cd.readthedocs.io/en/stable/user-guide/sync-options/#no-prune-resources
 */
const KEPT = kept({
  "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
  "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
});

/** The same for Flux: https://fluxcd.io/flux/components/kustomize/kustomizations/#prune */
const KEPT_BY_FLUX = kept({ "kustomize.toolkit.fluxcd.io/prune": "disabled" });

function kept(annotations: Readonly<Record<string, string>>): KustomizePatch {
  return {
    target: {
      kind: "Namespace|PersistentVolumeClaim|CustomResourceDefinition",
      labelSelector: `${KEEP_LABEL}!=false`,
    },
    patch: anyObject({ metadata: { annotations, name: "any" } }),
  };
}

/** Where annotations go: which objects, and the keys that lead to the metadata. The first is that of the object itself. */
const ANNOTATED: readonly { readonly target: PatchTarget; readonly below: readonly string[] }[] = [
  { target: { name: ".*" }, below: [] },
  { target: { group: "apps", kind: "Deployment|StatefulSet|DaemonSet|ReplicaSet" }, below: ["spec", "template"] },
  { target: { group: "batch", kind: "CronJob" }, below: ["spec", "jobTemplate", "spec", "template"] },
  {
    target: { group: "batch", kind: "Job", annotationSelector: "argocd.argoproj.io/hook" },
    below: ["spec", "template"],
  },
];

/** Stands for the annotations' JSON in a patch that is made of a template. */
const ANNOTATIONS = "@annotations@";

/** How the manifests of a workload are made on a device. @param workload absent: the overlays */
export function sourceType(workload?: Pick<TreeWorkload, "type">): SourceType {
  return workload?.type === "helm" ? "helm" : "kustomize";
}

/**
 * The values of a device as annotations of its cluster Secret, from where its Applications put them on every object.
 * @param values facts by key
 */
export function valueAnnotations(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(sorted(values).map(([key, value]) => [`${VALUE_ANNOTATION_PREFIX}${key}`, value]));
}

/**
 * What the sources of a device get.
 * @param patches those of fleet.yaml that this device has for this workload. Default: none
 */
export function deviceSource(type: SourceType, device: TreeDevice, patches: readonly TreePatch[] = []): DeviceSource {
  if (type === "helm") {
    const { id, region, model, ring, values = {} } = device;
    const edgeFleet = { device: id, model, region, ring, values: Object.fromEntries(sorted(values)) };
    return { helm: { valuesObject: { global: { edgeFleet } } } };
  }
  const annotations = JSON.stringify({ [DEVICE_ANNOTATION]: device.id, ...valueAnnotations(device.values ?? {}) });
  return {
    kustomize: {
      patches: [
        ...annotatePatches((text) => text.replace(ANNOTATIONS, () => annotations)),
        device.engine === "flux" ? KEPT_BY_FLUX : KEPT,
        ...patches.map(({ target, patch }) => (target === undefined ? { patch } : { target, patch })),
      ],
    },
  };
}

/** The patches that a device has for a workload. @param workload absent: the overlays */
export function patchesOf(
  patches: readonly TreePatch[] | undefined,
  device: TreeDevice,
  workload = OVERLAY_WORKLOAD,
): TreePatch[] {
  return (patches ?? []).filter(
    (patch) =>
      (patch.workload ?? OVERLAY_WORKLOAD) === workload &&
      (patch.devices?.includes(device.id) ?? true) &&
      hasLabels(device, patch.labels),
  );
}

/**
 * {@link deviceSource} as the ApplicationSet controller computes it from a cluster Secret: a Go template of a patch in
 * JSON. `toRawJson` writes what `JSON.stringify` does, with sorted keys.
 */
export function deviceSourceTemplate(type: SourceType, region: string): string {
  return [
    type === "helm" ? "{{- $values := dict -}}" : `{{- $annotations := dict "${DEVICE_ANNOTATION}" .name -}}`,
    "{{- range $key, $value := .metadata.annotations -}}",
    `{{- if hasPrefix "${VALUE_ANNOTATION_PREFIX}" $key -}}`,
    type === "helm"
      ? `{{- $_ := set $values (trimPrefix "${VALUE_ANNOTATION_PREFIX}" $key) $value -}}`
      : "{{- $_ := set $annotations $key $value -}}",
    "{{- end -}}",
    "{{- end -}}",
    type === "helm" ? chartTemplate(region) : kustomizeTemplate(),
    "",
  ].join("\n");
}

function chartTemplate(region: string): string {
  const model = `(index .metadata.labels "${MODEL_LABEL}")`;
  const facts = `dict "device" .name "model" ${model} "region" "${region}" "ring" .ring "values" $values`;
  return `{"spec":{"source":{"helm":{"valuesObject":{"global":{"edgeFleet":{{ toRawJson (${facts}) }}}}}}}}`;
}

function kustomizeTemplate(): string {
  const patches = annotatePatches((text) => text).map(({ target, patch }) => {
    const format = patch.replace(ANNOTATIONS, "%s");
    return `{"target":${JSON.stringify(target)},"patch":{{ printf \`${format}\` (toRawJson $annotations) | toRawJson }}}`;
  });
  return `{"spec":{"source":{"kustomize":{"patches":[${[...patches, JSON.stringify(KEPT)].join(",")}]}}}}`;
}

function annotatePatches(fill: (patch: string) => string): KustomizePatch[] {
  return ANNOTATED.map(({ target, below }) => {
    const metadata = { metadata: { annotations: ANNOTATIONS, ...(below.length === 0 ? { name: "any" } : {}) } };
    const nested = below.reduceRight<object>((value, key) => ({ [key]: value }), metadata);
    const patch = anyObject(below.length === 0 ? nested : { metadata: { name: "any" }, ...nested });
    return { target, patch: fill(patch.replace(`"${ANNOTATIONS}"`, ANNOTATIONS)) };
  });
}

/** A strategic merge patch for whatever its target selects: Kustomize wants some kind and name in it. */
function anyObject(fields: object): string {
  return JSON.stringify({ apiVersion: "v1", kind: "Any", ...fields });
}

function sorted(values: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1));
}
