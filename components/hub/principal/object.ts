/** What the objects of principals have in common: labels, upstream's own. */
import type { types } from "@pulumi/kubernetes";
import { PRINCIPAL } from "./settings.ts";

/** Metadata of an object. @param version release of the principal that it is of. Default: it is of all of the region */
export function meta(
  name: string,
  namespace: string,
  version?: string,
): types.input.meta.v1.ObjectMeta & { name: string } {
  return { name, namespace, labels: { ...podLabels(version), "app.kubernetes.io/managed-by": "edge-fleet" } };
}

/** Labels that select pods. @param version release of the principal. Default: all principals of the namespace */
export function podLabels(version?: string): Record<string, string> {
  return {
    "app.kubernetes.io/name": PRINCIPAL,
    "app.kubernetes.io/part-of": "argocd-agent",
    "app.kubernetes.io/component": "principal",
    ...(version === undefined ? {} : { "app.kubernetes.io/version": version }),
  };
}
