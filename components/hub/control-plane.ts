/**
 * What of Argo CD's namespaced install a region's control plane runs: the ApplicationSet controller, which makes the
 * Applications; the repo-server, which reads the ring files for it; redis, which both need. No application-controller:
 * the devices reconcile themselves. No dex, no notifications, and a server only where one is wanted. Its containers get
 * bounds, which upstream leaves to the user, and the images that are locked by digest. Pure.
 */
import { goMemoryLimit } from "../gitops/engine/pod.ts";
import { withHighAvailability } from "./high-availability.ts";
import type { ArgoCdManifests, ManifestObject } from "./manifests.ts";
import { type HubServer, withServer } from "./server.ts";
import { type Container, podOf, type Workload, withPod } from "./workload.ts";

/** Memory of a component in MiB: what is set aside for it, and where the kernel ends it. */
type Memory = readonly [requestMiB: number, limitMiB: number];

/**
 * Values of `app.kubernetes.io/component` that a control plane keeps, with their memory. Objects without one are
 * configuration. Resident with a few Applications: 145, 135 and 12 MiB. The limits are for a region as large as one may be:
 * the ApplicationSet controller, and the server, hold every Application of the namespace, about 10 KB each, in their caches.
 */
const COMPONENTS: Readonly<Record<string, Memory>> = {
  "applicationset-controller": [160, 512],
  redis: [32, 128],
  "repo-server": [160, 512],
  server: [128, 512],
};

/** Made by edge-fleet with a key in it, because nothing generates one where no argocd-server runs. */
export const SETTINGS_SECRET = "argocd-secret";

/** How much of a control plane there is: `hub` of fleet.yaml. */
export interface ControlPlaneOptions {
  /** Two of each process that can be two, on different nodes. Default false: one, which Kubernetes starts again. */
  readonly highAvailability?: boolean | undefined;
  /** Argo CD's server, for people. Default: none. */
  readonly server?: HubServer | undefined;
}

/** Selects the objects of a control plane from the namespaced install, and fits them to it. */
export function selectControlPlane(
  { namespaceInstall, images = {} }: Pick<ArgoCdManifests, "namespaceInstall" | "images">,
  { highAvailability = false, server }: ControlPlaneOptions = {},
): ManifestObject[] {
  const selected = namespaceInstall.flatMap((object) => {
    const { kind, metadata } = object;
    if (kind === "Secret" && metadata.name === SETTINGS_SECRET) return [];
    const component = metadata.labels?.["app.kubernetes.io/component"];
    if (component === undefined) return [object];
    const memory = component === "server" && server === undefined ? undefined : COMPONENTS[component];
    if (memory === undefined) return [];
    return [kind === "Deployment" ? fitted(object as Workload, memory, images) : object];
  });
  const served = server === undefined ? selected : withServer(selected, server);
  return highAvailability ? withHighAvailability(served) : served;
}

type Images = NonNullable<ArgoCdManifests["images"]>;

function fitted(object: Workload, memory: Memory, images: Images): Workload {
  const pod = podOf(object);
  const { containers, initContainers } = pod;
  const bounded = (container: Container) => bound(pinned(container, images), memory);
  return withPod(object, {
    ...pod,
    containers: containers.map(bounded),
    ...(initContainers === undefined ? {} : { initContainers: initContainers.map(bounded) }),
  });
}

/** The pull policy of an image by digest cannot matter, and upstream's asks the registry at each start. */
function pinned(container: Container, images: Images): Container {
  const [name] = container.image.split("/").at(-1)?.split(":") ?? [];
  const image = name === "argocd" ? images.argocd : name === "redis" ? images.redis : undefined;
  return image === undefined ? container : { ...container, image, ...{ imagePullPolicy: "IfNotPresent" } };
}

function bound(container: Container, [requestMiB, limitMiB]: Memory): Container {
  const resources = { requests: { cpu: "20m", memory: `${requestMiB}Mi` }, limits: { memory: `${limitMiB}Mi` } };
  return { ...container, env: [...(container.env ?? []), goMemoryLimit({ limitMiB })], ...{ resources } };
}
