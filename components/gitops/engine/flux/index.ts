/**
 * Flux on one device: the Kubernetes objects of its source-controller and kustomize-controller, and their text, the
 * same bytes for the same settings. Pure.
 *
 * What upstream has beside these, a device has no use for: no helm-, notification- or image controllers, no leader election,
 * no metrics Services.
 */
import { formatObjects } from "../../yaml.ts";
import { RESTRICTED } from "../argocd/configuration.ts";
import type { EngineObject } from "../pod.ts";
import { kustomizeAccount, kustomizeController } from "./kustomize-controller.ts";
import { FLUX_PRIORITY, fluxClusterMeta, fluxMeta, fluxPodLabels } from "./object.ts";
import { fluxPolicies } from "./policies.ts";
import { FLUX_NAMESPACE, type FluxSettings } from "./settings.ts";
import { ARCHIVE_PORT, archiveVolume, sourceAccount, sourceController } from "./source-controller.ts";

/** The engine's objects, in the order in which they are applied. */
export function fluxObjects(settings: FluxSettings): EngineObject[] {
  return [
    ...surroundings(),
    ...sourceAccount(),
    ...kustomizeAccount(),
    ...archiveVolume(),
    archiveService(),
    ...fluxPolicies(),
    sourceController(settings),
    kustomizeController(settings),
  ] as EngineObject[];
}

const rendered = new Map<string, string>();

/** The engine's objects as one text of YAML, made once for all devices that share their settings. */
export function renderFlux({ images, memoryMiB }: FluxSettings): string {
  const { sourceController, kustomizeController } = images;
  const settings = { images: { sourceController, kustomizeController }, memoryMiB };
  const key = JSON.stringify(settings);
  const text = rendered.get(key) ?? formatObjects([], fluxObjects(settings));
  rendered.set(key, text);
  return text;
}

function surroundings(): object[] {
  const meta = fluxClusterMeta(FLUX_NAMESPACE);
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { ...meta, labels: { ...meta.labels, ...RESTRICTED } } },
    {
      apiVersion: "scheduling.k8s.io/v1",
      kind: "PriorityClass",
      metadata: fluxClusterMeta(FLUX_PRIORITY),
      value: 1_000_000_000,
      description: "The pull engine: evicted after every workload, since it is what brings them back.",
    },
  ];
}

function archiveService(): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: fluxMeta("source-controller"),
    spec: { selector: fluxPodLabels("source-controller"), ports: [{ port: 80, targetPort: ARCHIVE_PORT }] },
  };
}
