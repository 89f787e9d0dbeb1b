/** What the principal's objects have in common: names and labels, upstream's own. */
import type { types } from "@pulumi/kubernetes";
import { PRINCIPAL } from "./settings.ts";

/** Metadata of an object of the principal. */
export function meta(name: string, namespace: string): types.input.meta.v1.ObjectMeta & { name: string } {
  return { name, namespace, labels: { ...podLabels(), "app.kubernetes.io/managed-by": "edge-fleet" } };
}

/** Labels of its pods, which select them. */
export function podLabels(): Record<string, string> {
  return {
    "app.kubernetes.io/name": PRINCIPAL,
    "app.kubernetes.io/part-of": "argocd-agent",
    "app.kubernetes.io/component": "principal",
  };
}
