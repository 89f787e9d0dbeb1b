/** Where a command learns the health of devices: from its options to a status by device. */
import { readFileSync } from "node:fs";
import { InvalidArgumentError, Option } from "commander";
import { controlPlaneNamespace, type TreeDevice } from "../../components/gitops/index.ts";
import { UsageError } from "../exit.ts";
import { listApplications } from "./hub.ts";
import { parseDuration } from "./rules.ts";
import { type DeviceStatuses, parseStatusFile, statusesFromApplications } from "./status.ts";

/** Options of a command that asks for health. */
export interface StatusOptions {
  /** Path of a status file. Absent: the hub is asked, or nobody. */
  readonly status?: string;
  /** Path of the kubeconfig of the hub. Absent: it is not asked. */
  readonly kubeconfig?: string;
  /** Milliseconds. */
  readonly maxStatusAge: number;
}

/** `--status`, `--kubeconfig` and `--max-status-age`. */
export function statusOptions(): Option[] {
  return [
    new Option("--status <file>", "JSON of device id -> {connected, healthy, revision, observedAt}").conflicts(
      "kubeconfig",
    ),
    new Option("--kubeconfig <file>", "kubeconfig of the hub: its Applications tell the health of agent devices"),
    new Option("--max-status-age <duration>", "a status older than this says nothing")
      .default(parseDuration("30m"), "30m")
      .argParser((text: string) => {
        try {
          return parseDuration(text);
        } catch (error) {
          throw new InvalidArgumentError(`${(error as Error).message}.`);
        }
      }),
  ];
}

/**
 * Reads the status of devices.
 * @param devices whose regions are asked for on the hub
 * @param workload whose Applications count. Default: those of the overlays
 * @param now milliseconds since 1970
 * @returns undefined without a source
 * @throws UsageError when the source cannot be read
 */
export async function readStatuses(
  options: StatusOptions,
  devices: readonly TreeDevice[],
  workload: string | undefined,
  now: number,
): Promise<DeviceStatuses | undefined> {
  const { status, kubeconfig, maxStatusAge } = options;
  if (status !== undefined) return parseStatusFile(status, readStatusFile(status));
  if (kubeconfig === undefined) return undefined;
  const regions = [...new Set(devices.map(({ region }) => region))].sort();
  const applications = await listApplications(kubeconfig, regions.map(controlPlaneNamespace));
  return statusesFromApplications(applications, workload, maxStatusAge, now);
}

function readStatusFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message} - use the output of edge-fleet status --json`);
  }
}
