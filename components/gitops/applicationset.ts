/**
 * The ApplicationSet of a region and what its controller will make of it: from the tree's input to the object on the
 * hub, and from the same input and the rings' revisions to the Applications.
 *
 * One set serves all rings: the rings' files in Git give the revision, the labels of the cluster Secrets give the
 * devices. RollingSync is left off on purpose: it turns automated sync off and waits for devices that are offline
 * (applicationset/controllers/progressivesync of Argo CD).
 */
import { posix } from "node:path";
import {
  AGENT_LABEL,
  APPLICATION_SET_NAME,
  applicationName,
  controlPlaneNamespace,
  DEVICE_ANNOTATION,
  MODEL_LABEL,
  PROJECT_NAME,
  REGION_LABEL,
  RING_LABEL,
  WORKLOAD_NAMESPACE,
} from "./labels.ts";
import type { ApplicationSet, ApplicationTemplate } from "./objects.ts";
import type { TreeDevice, TreeGit, TreeInput } from "./tree.ts";

/** Most devices of a region: the set's status lists every Application, and etcd refuses objects over 1.5 MiB. */
export const MAX_DEVICES = 1000;
/** Most devices of a region on the agent engine: a principal's start takes time with the square of them. */
export const MAX_AGENT_DEVICES = 400;

/** An Application that the controller will make. */
export interface PredictedApplication {
  readonly name: string;
  /** Folder of the overlay in the repository. */
  readonly path: string;
  /** Full commit SHA that its ring pins. */
  readonly revision: string;
  /** Name of the cluster that it deploys to: the device's id. */
  readonly cluster: string;
}

/**
 * The ApplicationSet that the region's stack applies on the hub.
 * @throws Error when the region has more devices than one set can carry
 */
export function renderApplicationSet(region: string, input: TreeInput): ApplicationSet {
  checkRegionSize(region, input.devices);
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "ApplicationSet",
    metadata: {
      name: APPLICATION_SET_NAME,
      namespace: controlPlaneNamespace(region),
      labels: { [REGION_LABEL]: region },
    },
    spec: {
      goTemplate: true,
      goTemplateOptions: ["missingkey=error"],
      generators: [{ matrix: { generators: [ringsGenerator(input.git), devicesGenerator(region)] } }],
      syncPolicy: { applicationsSync: "create-update", preserveResourcesOnDeletion: true },
      template: renderTemplate(region, input.git),
    },
  };
}

/**
 * The Applications of a region, in device order, for previews.
 * @param revisions full commit SHA by ring; a ring that is not in it deploys nothing
 */
export function predictApplications(
  region: string,
  input: Pick<TreeInput, "git" | "devices">,
  revisions: ReadonlyMap<string, string>,
): PredictedApplication[] {
  return input.devices
    .filter((device) => device.region === region && device.engine === "argocd-agent")
    .flatMap(({ id, model, ring }) => {
      const revision = revisions.get(ring);
      const path = posix.join(input.git.path, "overlays", region, model);
      return revision === undefined ? [] : [{ name: applicationName(id), path, revision, cluster: id }];
    })
    .sort((a, b) => (a.cluster < b.cluster ? -1 : 1));
}

function checkRegionSize(region: string, devices: readonly TreeDevice[]): void {
  const own = devices.filter((device) => device.region === region);
  const agents = own.filter((device) => device.engine === "argocd-agent");
  if (own.length > MAX_DEVICES)
    throw new Error(
      `region ${region} has ${own.length} devices, ${MAX_DEVICES} are the most for one ApplicationSet: its status ` +
        "lists every Application and one object may not exceed 1.5 MiB - split the region into several",
    );
  if (agents.length > MAX_AGENT_DEVICES)
    throw new Error(
      `region ${region} has ${agents.length} devices with gitops.engine argocd-agent, ${MAX_AGENT_DEVICES} are the ` +
        "most for one principal: each of them costs it a list of all Applications at its start, and the hub shows no " +
        "status until it is through - split the region into several, or set gitops.engine to argocd or flux",
    );
}

function ringsGenerator(git: TreeGit) {
  return {
    git: { repoURL: git.url, revision: git.branch, files: [{ path: posix.join(git.path, "rings/*.yaml") }] },
  };
}

function devicesGenerator(region: string) {
  return {
    clusters: {
      selector: {
        matchLabels: { [REGION_LABEL]: region, [RING_LABEL]: "{{.ring}}" },
        // `index` yields "" for a label that is missing, so the path would end at the region: ask for the label. A device
        // without an agent pulls by itself: an Application for it on the hub would never be reconciled.
        matchExpressions: [
          { key: MODEL_LABEL, operator: "Exists" as const },
          { key: AGENT_LABEL, operator: "Exists" as const },
        ],
      },
    },
  };
}

function renderTemplate(region: string, git: TreeGit): ApplicationTemplate {
  const model = `{{index .metadata.labels "${MODEL_LABEL}"}}`;
  return {
    metadata: {
      name: applicationName("{{.nameNormalized}}"),
      labels: { [REGION_LABEL]: region, [MODEL_LABEL]: model, [RING_LABEL]: "{{.ring}}" },
      annotations: { [DEVICE_ANNOTATION]: "{{.name}}" },
    },
    spec: {
      project: PROJECT_NAME,
      source: {
        repoURL: git.url,
        targetRevision: "{{.revision}}",
        path: posix.join(git.path, "overlays", region, model),
        kustomize: { commonAnnotations: { [DEVICE_ANNOTATION]: "{{.name}}" } },
      },
      destination: { name: "{{.name}}", namespace: WORKLOAD_NAMESPACE },
      syncPolicy: {
        automated: { enabled: true, prune: true, selfHeal: true },
        syncOptions: ["CreateNamespace=true", "ServerSideApply=true", "ApplyOutOfSyncOnly=true", "PruneLast=true"],
        retry: { limit: -1, backoff: { duration: "5s", factor: 2, maxDuration: "10m" } },
      },
      revisionHistoryLimit: 2,
    },
  };
}
