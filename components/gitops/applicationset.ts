/**
 * The ApplicationSets of a region, as objects on the hub. Each workload has its own, and a region whose Applications
 * outgrow one set's status has several of each (shards.ts).
 *
 * One set serves all rings: the rings' files in Git give the revision, the labels of the cluster Secrets give the
 * devices. RollingSync is left off on purpose: it turns automated sync off and waits for devices that are offline
 * (applicationset/controllers/progressivesync of Argo CD).
 */
import { posix } from "node:path";
import { renderHubTemplate } from "./application.ts";
import {
  AGENT_LABEL,
  applicationName,
  applicationSetName,
  controlPlaneNamespace,
  MODEL_LABEL,
  OVERLAY_WORKLOAD,
  REGION_LABEL,
  RING_LABEL,
  SHARD_LABEL,
  WINDOW_LABEL,
  WORKLOAD_LABEL,
} from "./labels.ts";
import type {
  ApplicationSet,
  ApplicationTemplate,
  ClusterGenerator,
  GitFilesGenerator,
  LabelRequirement,
} from "./objects.ts";
import { takesWorkload } from "./select.ts";
import { planShards, type Shard, type STATUS_LIMIT_BYTES } from "./shards.ts";
import type { TreeDevice, TreeInput, TreeWorkload } from "./tree-input.ts";
import { deviceSourceTemplate, sourceType } from "./values.ts";
import { openWindowValues, windowGroup } from "./windows.ts";

/** Above this many agents a region's principal takes long to start: its time grows with the square of them. */
export const MAX_AGENT_DEVICES = 400;

/** Annotation that makes Pulumi orphan the Applications of a set that it deletes, instead of deleting them with it. */
const ORPHAN = { "pulumi.com/deletionPropagationPolicy": "orphan" };

/**
 * Keeps a deleted set until the ApplicationSet controller has let go of its Applications, as it does for a set that may not
 * delete (`removeOwnerReferencesOnDeleteAppSet` of applicationset_controller.go in Argo CD 3.2). Without it `kubectl delete`
 * takes the Applications along, and so may an orphaning deletion: a reconciliation that is under way puts the owner back,
 * which is gone by then. A set is not gone while no controller runs.
 */
const RELEASE = "resources-finalizer.argocd.argoproj.io";

/** Name of no file. */
const NOTHING = "edge-fleet-removed";

/** What decides the Applications: those fields of the tree's input. */
export interface ApplicationInput extends Pick<TreeInput, "git" | "rings" | "devices" | "workloads"> {
  /** Most bytes of status entries per set. Default {@link STATUS_LIMIT_BYTES}: what etcd takes, with a margin. */
  readonly statusLimitBytes?: number;
}

/**
 * The ApplicationSets that the region's stack applies on the hub: those of the overlays, then those of each workload.
 * @throws Error when the region has more devices than 64 sets can carry
 */
export function renderApplicationSets(region: string, input: ApplicationInput): ApplicationSet[] {
  const own = (input.workloads ?? []).filter(({ regions }) => regions?.includes(region) ?? true);
  return [undefined, ...own].flatMap((workload) =>
    shardsOf(region, input, workload).map((shard) => renderSet(region, input, shard, workload)),
  );
}

/** How the Applications of one workload are divided. @throws as {@link renderApplicationSets} */
export function shardsOf(region: string, input: ApplicationInput, workload?: TreeWorkload): Shard[] {
  const applications = input.devices
    .filter((device) => device.region === region && hasApplication(device, workload))
    .map(({ id }) => ({ device: id, name: applicationName(id, workload?.name) }));
  return planShards(controlPlaneNamespace(region), applications, input.statusLimitBytes);
}

/**
 * Whether a device has an Application of a workload on the hub, whatever its ring deploys. A device without an agent
 * pulls by itself: an Application for it on the hub would never be reconciled. That of a removed workload stays.
 * @param workload absent: the overlays
 */
function hasApplication(device: TreeDevice, workload?: TreeWorkload): boolean {
  const present = workload && { ...workload, state: "present" as const };
  return device.engine === "argocd-agent" && takesWorkload(device, present);
}

/** Path of a ring's file below the tree. @param workload name of a workload that has commits of its own */
export function ringPath(ring: string, workload?: string): string {
  return posix.join("rings", workload ?? "", `${ring}.yaml`);
}

/** What the operator should know of the regions' size, one line each; empty when all is well. */
export function describeRegionSizes(devices: readonly TreeDevice[]): string[] {
  const agents = new Map<string, number>();
  for (const { region, engine } of devices)
    if (engine === "argocd-agent") agents.set(region, (agents.get(region) ?? 0) + 1);
  return [...agents]
    .filter(([, count]) => count > MAX_AGENT_DEVICES)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([region, count]) =>
        `region ${region} has ${count} devices with gitops.engine argocd-agent, more than ${MAX_AGENT_DEVICES}: each ` +
        "costs its principal a list of all Applications at its start, and the hub shows no status until it is through " +
        "- split the region into several, or set gitops.engine to argocd or flux",
    );
}

function renderSet(region: string, input: ApplicationInput, shard: Shard, workload?: TreeWorkload): ApplicationSet {
  const { git } = input;
  const facts = {
    id: "{{.name}}",
    idNormalized: "{{.nameNormalized}}",
    region,
    model: `{{index .metadata.labels "${MODEL_LABEL}"}}`,
    ring: "{{.ring}}",
    revision: "{{.revision}}",
  };
  const removed = workload?.state === "removed";
  const template = renderHubTemplate(facts, git, workload);
  return {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "ApplicationSet",
    metadata: {
      name: `${applicationSetName(workload?.name)}${shard.suffix}`,
      namespace: controlPlaneNamespace(region),
      labels: { [REGION_LABEL]: region, [WORKLOAD_LABEL]: workload?.name ?? OVERLAY_WORKLOAD },
      ...(removed ? {} : { annotations: ORPHAN, finalizers: [RELEASE] }),
    },
    spec: {
      goTemplate: true,
      goTemplateOptions: ["missingkey=error"],
      generators: [
        { matrix: { generators: [ringsGenerator(input, workload), devicesGenerator(region, input, shard, workload)] } },
      ],
      syncPolicy: { applicationsSync: "create-update", preserveResourcesOnDeletion: true },
      ...(removed
        ? { template: emptied(template) }
        : { template, templatePatch: deviceSourceTemplate(sourceType(workload), region) }),
    },
  };
}

/**
 * The Application of a removed workload: what it deployed is pruned, also on a device that is off now, once that is back.
 * Such Applications go with their set, which is not released before.
 */
function emptied({ metadata, spec }: ApplicationTemplate): ApplicationTemplate {
  const { repoURL, targetRevision, path } = spec.source;
  const { automated, ...policy } = spec.syncPolicy;
  return {
    metadata,
    spec: {
      ...spec,
      source: { repoURL, targetRevision, path, directory: { include: NOTHING, jsonnet: {} } },
      syncPolicy: { automated: { ...automated, allowEmpty: true }, ...policy },
    },
  };
}

/** The files are named one by one: Argo CD hands a pattern to Git, whose `*` passes `/` and would find those of others. */
function ringsGenerator({ git, rings }: ApplicationInput, workload?: TreeWorkload): GitFilesGenerator {
  const files = (workload?.rings ?? rings).map((ring) => ({
    path: posix.join(git.path, ringPath(ring, workload?.name)),
  }));
  return { git: { repoURL: git.url, revision: git.branch, files } };
}

function devicesGenerator(
  region: string,
  { devices }: ApplicationInput,
  { buckets }: Shard,
  workload?: TreeWorkload,
): ClusterGenerator {
  const own = devices.filter((device) => device.region === region);
  const open = openWindowValues(own.map(({ windows }) => windows ?? windowGroup([], "UTC")));
  const { models, labels = {} } = workload ?? {};
  // `index` yields "" for a label that is missing, so the path would end at the region: ask for the label.
  const matchExpressions: LabelRequirement[] = [
    models === undefined
      ? { key: MODEL_LABEL, operator: "Exists" }
      : { key: MODEL_LABEL, operator: "In", values: [...models].sort() },
    { key: AGENT_LABEL, operator: "Exists" },
    { key: WINDOW_LABEL, operator: "In", values: open },
    ...(buckets === undefined ? [] : [{ key: SHARD_LABEL, operator: "In" as const, values: [...buckets] }]),
  ];
  return {
    clusters: {
      selector: { matchLabels: { ...labels, [REGION_LABEL]: region, [RING_LABEL]: "{{.ring}}" }, matchExpressions },
    },
  };
}
