/**
 * Argo CD on one device, without a user interface and without a hub: the Kubernetes objects of its
 * application-controller, repo-server and redis, and their text, the same bytes for the same settings. Pure.
 *
 * What upstream has beside these, a device has no use for: no server, Dex or notifications; no ApplicationSet controller,
 * since a device has its Applications from one root Application; no metrics Services. No init container makes redis'
 * password: the device does, with `argocd-secret`, in a file of its own.
 */
import { formatObjects } from "../../yaml.ts";
import type { EngineObject } from "../pod.ts";
import { configMaps, engineNamespace } from "./configuration.ts";
import { controller, controllerAccount } from "./controller.ts";
import { type EngineProcess, engineMeta, podLabels } from "./object.ts";
import { networkPolicies } from "./policies.ts";
import { redis } from "./redis.ts";
import { checkoutVolume, repoServer } from "./repo-server.ts";
import type { EngineSettings } from "./settings.ts";

/** The engine's objects, in the order in which they are applied. */
export function engineObjects(settings: EngineSettings): EngineObject[] {
  return [
    ...engineNamespace(),
    ...controllerAccount(),
    ...configMaps(),
    ...checkoutVolume(),
    service("argocd-redis", 6379),
    service("argocd-repo-server", 8081),
    ...networkPolicies(),
    redis(settings),
    repoServer(settings),
    controller(settings),
  ] as EngineObject[];
}

const rendered = new Map<string, string>();

/** The engine's objects as one text of YAML, made once for all devices that share their settings. */
export function renderEngine({ images, memoryMiB, reconcileMinutes }: EngineSettings): string {
  const settings = { images: { argocd: images.argocd, redis: images.redis }, memoryMiB, reconcileMinutes };
  const key = JSON.stringify(settings);
  const text = rendered.get(key) ?? formatObjects([], engineObjects(settings));
  rendered.set(key, text);
  return text;
}

function service(process: EngineProcess, port: number): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: engineMeta(process),
    spec: { selector: podLabels(process), ports: [{ port, targetPort: port }] },
  };
}
