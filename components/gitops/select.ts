/** Which devices take a workload: from its selector in fleet.yaml to yes or no, for one device and for a whole leaf. */
import type { TreeDevice, TreeWorkload } from "./tree-input.ts";

/** Where devices of one kind deploy from: a leaf of one ring. */
export type Place = Pick<TreeDevice, "region" | "model" | "ring">;

/**
 * Whether a workload is meant for a device.
 * @param workload absent: the overlays, which all take
 */
export function takesWorkload(device: Place & Pick<TreeDevice, "labels">, workload?: TreeWorkload): boolean {
  return takesPlace(device, workload) && hasLabels(device, workload?.labels);
}

/** Whether a workload is meant for devices of a leaf and ring, as far as their labels go along. Parameters as {@link takesWorkload}. */
export function takesPlace({ region, model, ring }: Place, workload?: TreeWorkload): boolean {
  if (workload === undefined) return true;
  const { state, regions, models, rings } = workload;
  const admits = (names: readonly string[] | undefined, name: string) => names?.includes(name) ?? true;
  return state !== "removed" && admits(regions, region) && admits(models, model) && admits(rings, ring);
}

/** True when a workload asks for labels of the device, so that its leaf alone does not decide. */
export function selectsByLabels({ labels = {} }: Pick<TreeWorkload, "labels">): boolean {
  return Object.keys(labels).length > 0;
}

/** Whether a device has all of some labels. @param wanted absent: none are asked for */
export function hasLabels(
  { labels = {} }: Pick<TreeDevice, "labels">,
  wanted: Readonly<Record<string, string>> = {},
): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}
