/** As much of a Deployment of Argo CD's install as a control plane changes. */
import type { ManifestObject } from "./manifests.ts";

/** A container of one. */
export interface Container {
  readonly name: string;
  readonly image: string;
  /** Absent: none. */
  readonly env?: readonly { readonly name: string }[];
}

/** Its pod. */
export interface Pod {
  readonly containers: readonly Container[];
  /** Absent: none. */
  readonly initContainers?: readonly Container[];
}

/** A Deployment. */
export interface Workload extends ManifestObject {
  readonly spec: { readonly template: { readonly spec: Pod }; readonly [field: string]: unknown };
}

/** The pod of a Deployment. */
export function podOf({ spec }: Workload): Pod {
  return spec.template.spec;
}

/** The Deployment with another pod. @param pod may have fields that {@link Pod} does not name */
export function withPod<P extends Pod>(object: Workload, pod: P): Workload {
  const { spec } = object;
  return { ...object, spec: { ...spec, template: { ...spec.template, spec: pod } } };
}
