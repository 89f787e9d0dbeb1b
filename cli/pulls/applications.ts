/**
 * What the ApplicationSet controller will make of a region's sets: from the tree's input and the rings' revisions to the
 * Applications, for previews. The end-to-end test holds it against Argo CD's own controller.
 */
import { deviceSource, renderTemplate } from "../../components/gitops/application.ts";
import { type ApplicationInput, hasApplication, shardsOf } from "../../components/gitops/applicationset.ts";
import { applicationSetName, controlPlaneNamespace, OVERLAY_WORKLOAD } from "../../components/gitops/labels.ts";
import type { Application } from "../../components/gitops/objects.ts";
import { bucketOf, type Shard } from "../../components/gitops/shards.ts";
import type { TreeDevice, TreeWorkload } from "../../components/gitops/tree-input.ts";
import type { Revisions } from "../rollout/rings.ts";
import { isOpen } from "./windows.ts";

/** An Application that the controller will make. */
export interface PredictedApplication {
  readonly name: string;
  /** Folder in the repository that it deploys. */
  readonly path: string;
  /** Full commit SHA that its ring pins. */
  readonly revision: string;
  /** Name of the cluster that it deploys to: the device's id. */
  readonly cluster: string;
  /** Name of the workload; `workloads` is the overlay of region and model. */
  readonly workload: string;
  /** Name of the ApplicationSet that owns it. */
  readonly set: string;
  /** The whole object. */
  readonly application: Application;
}

/** What a prediction may take into account. */
export interface PredictionOptions {
  /** Revisions by ring of each workload of its own, by its name. Default: none is pinned. */
  readonly workloads?: ReadonlyMap<string, Revisions>;
  /**
   * Leaves out devices whose maintenance windows are closed at this moment: the controller does not touch their
   * Applications then. Default: what will be once every window has opened.
   */
  readonly at?: Date;
}

/**
 * The Applications of a region, by device, those of the overlays first.
 * @param revisions full commit SHA by ring, of the overlays; a ring that is not in it deploys nothing
 * @throws Error when the region has more devices than 64 sets can carry
 */
export function predictApplications(
  region: string,
  input: ApplicationInput,
  revisions: Revisions,
  { workloads = new Map(), at }: PredictionOptions = {},
): PredictedApplication[] {
  const devices = input.devices
    .filter((device) => device.region === region)
    .filter(({ windows }) => at === undefined || windows === undefined || isOpen(windows, at))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  return [undefined, ...(input.workloads ?? [])].flatMap((workload) => {
    const pinned = workload === undefined ? revisions : (workloads.get(workload.name) ?? new Map<string, string>());
    const shards = shardsOf(region, input, workload);
    return devices
      .filter((device) => hasApplication(device, workload))
      .flatMap((device) => predict(device, input, pinned.get(device.ring), shards, workload));
  });
}

function predict(
  device: TreeDevice,
  { git, rings }: ApplicationInput,
  revision: string | undefined,
  shards: readonly Shard[],
  workload?: TreeWorkload,
): PredictedApplication[] {
  if (revision === undefined || !rings.includes(device.ring)) return [];
  const { id, region, model, ring } = device;
  const { metadata, spec } = renderTemplate({ id, idNormalized: id, region, model, ring, revision }, git, workload);
  const suffix = shards.find(({ buckets }) => buckets?.includes(bucketOf(id)) ?? true)?.suffix ?? "";
  return [
    {
      name: metadata.name,
      path: spec.source.path,
      revision,
      cluster: id,
      workload: workload?.name ?? OVERLAY_WORKLOAD,
      set: `${applicationSetName(workload?.name)}${suffix}`,
      application: {
        apiVersion: "argoproj.io/v1alpha1",
        kind: "Application",
        metadata: { ...metadata, namespace: controlPlaneNamespace(region) },
        spec: { ...spec, source: { ...spec.source, ...deviceSource(git.layout, device) } },
      },
    },
  ];
}
