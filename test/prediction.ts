/**
 * What the ApplicationSet controller will make of a region's sets, for tests that hold the sets against it: the
 * Applications, each with the set that owns it.
 */
import { deploymentsOf, renderHubApplication } from "../cli/pulls/pull.ts";
import { type ApplicationInput, shardsOf } from "../components/gitops/applicationset.ts";
import { applicationSetName, OVERLAY_WORKLOAD } from "../components/gitops/labels.ts";
import type { Application } from "../components/gitops/objects.ts";
import { bucketOf } from "../components/gitops/shards.ts";
import type { Pins } from "../components/gitops/tree-input.ts";
import type { WindowGroup } from "../components/gitops/windows.ts";

/** An Application that the controller will make. */
export interface PredictedApplication {
  readonly name: string;
  readonly path: string;
  readonly revision: string;
  /** Name of the cluster that it deploys to: the device's id. */
  readonly cluster: string;
  /** Name of the workload; `workloads` is the overlay of region and model. */
  readonly workload: string;
  /** Name of the ApplicationSet that owns it. */
  readonly set: string;
  readonly application: Application;
}

/** What a prediction may take into account. */
export interface PredictionOptions {
  /** Leaves out devices whose windows are closed at this moment. Default: what will be once every window has opened. */
  readonly at?: Date;
}

/** The Applications of a region, by device, those of the overlays first. */
export function predictApplications(
  region: string,
  input: ApplicationInput,
  pins: Pins,
  { at }: PredictionOptions = {},
): PredictedApplication[] {
  const devices = input.devices
    .filter((device) => device.region === region && device.engine === "argocd-agent")
    .filter(({ windows }) => at === undefined || windows === undefined || isOpen(windows, at))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  return [undefined, ...(input.workloads ?? [])].flatMap((workload) => {
    const shards = shardsOf(region, input, workload);
    return devices.flatMap((device) =>
      deploymentsOf(device, input, pins)
        .filter((deployment) => deployment.workload === workload)
        .map((deployment) => {
          const application = renderHubApplication(device, input.git, deployment);
          const shard = shards.find(({ buckets }) => buckets?.includes(bucketOf(device.id)) ?? true);
          return {
            name: application.metadata.name,
            path: application.spec.source.path,
            revision: deployment.revision,
            cluster: device.id,
            workload: workload?.name ?? OVERLAY_WORKLOAD,
            set: `${applicationSetName(workload?.name)}${shard?.suffix ?? ""}`,
            application,
          };
        }),
    );
  });
}

/**
 * Whether a group's devices may change at a moment. Hours are wall-clock hours: one that the change to summer time leaves
 * out does not come, one that it repeats comes twice.
 */
export function isOpen({ zone, spans }: WindowGroup, at: Date): boolean {
  if (spans.length === 0) return true;
  const clock = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  const parts = clock.formatToParts(at);
  const part = (type: string) => parts.find((candidate) => candidate.type === type)?.value ?? "";
  const time = `${part("hour")}:${part("minute")}`;
  return spans.some(({ days, from, to }) => days.some((day) => day === part("weekday")) && from <= time && time < to);
}
