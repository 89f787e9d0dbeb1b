/** Reads the health of devices out of a status file, or out of the Applications on the hub. */
import { z } from "zod";
import { applicationName, DEVICE_ANNOTATION } from "../../components/gitops/labels.ts";
import { parseYamlFile } from "../../components/inventory/files.ts";
import { UsageError } from "../exit.ts";
import { printable } from "../terminal.ts";
import type { DeviceStatus } from "./health.ts";

/** Status by device id. */
export type DeviceStatuses = ReadonlyMap<string, DeviceStatus>;

const date = z.iso.datetime({ offset: true, error: "is not a date - write RFC 3339, e.g. 2026-05-01T08:00:00Z" });

/** Further fields of a device are allowed: an exporter may say more. */
const StatusesSchema = z.record(
  z.string(),
  z.looseObject({
    connected: z.boolean(),
    healthy: z.boolean(),
    revision: z.string().nullish(),
    observedAt: date,
    lastSeenAt: date.nullish(),
    since: date.nullish(),
    problems: z.array(z.string()).nullish(),
  }),
);

const StatusFileSchema = z.preprocess(withoutUnreported, StatusesSchema) as unknown as typeof StatusesSchema;

/** `edge-fleet status --json` also has the devices of which only the stack knows: a `state`, and nothing of the rest. */
function withoutUnreported(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const reported = (device: unknown): boolean =>
    typeof device !== "object" || device === null || !("state" in device) || "connected" in device;
  return Object.fromEntries(Object.entries(value).filter(([, device]) => reported(device)));
}

/**
 * Reads a status file: JSON of device id -> {connected, healthy, revision, observedAt, lastSeenAt?, since?, problems?}.
 * @param file its path, for messages
 * @throws UsageError with every problem as `file:line:column field: what - fix`
 */
export function parseStatusFile(file: string, text: string): DeviceStatuses {
  const problems: string[] = [];
  const { value = {} } = parseYamlFile(file, text, StatusFileSchema, problems);
  if (problems.length > 0) throw new UsageError(problems.join("\n"));
  const reported = withoutUnreported(value) as typeof value;
  return new Map(
    Object.entries(reported).map(([id, { connected, healthy, revision, observedAt, lastSeenAt, since, problems }]) => [
      id,
      {
        ...{ connected, healthy, observedAt },
        ...{ revision: revision ?? undefined, lastSeenAt: lastSeenAt ?? undefined, since: since ?? undefined },
        ...(problems ? { problems: problems.slice(0, MAX_PROBLEMS).map((text) => printable(text)) } : {}),
      },
    ]),
  );
}

/** Lines that are kept of what is not well on one device. */
export const MAX_PROBLEMS = 5;

/** What is read of an Application on the hub. Everything may be missing: the device has not answered yet. */
export interface ObservedApplication {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  /** Absent until it was reconciled once. */
  readonly status?: {
    readonly sync?: { readonly status?: string; readonly revision?: string };
    readonly health?: { readonly status?: string; readonly lastTransitionTime?: string };
    readonly operationState?: { readonly phase?: string };
    /** Syncs of everything that succeeded, the oldest first. */
    readonly history?: readonly { readonly revision?: string | undefined; readonly deployedAt?: string | undefined }[];
    /** When the device last compared what it runs with Git. */
    readonly reconciledAt?: string;
  };
}

/**
 * Statuses of the devices whose Applications a control plane on the hub holds. The hub keeps the last status of a device
 * that no longer answers, so a device is connected only while its last comparison is young: it makes one at least every
 * `timeout.reconciliation` plus jitter, 15 minutes as edge-fleet sets them.
 * @param workload whose Applications to read. Default: those of the overlays
 * @param maxAgeMs age of the last comparison from which the device counts as not connected
 * @param now milliseconds since 1970
 */
export function statusesFromApplications(
  applications: readonly ObservedApplication[],
  workload: string | undefined,
  maxAgeMs: number,
  now: number,
): Map<string, DeviceStatus> {
  const statuses = new Map<string, DeviceStatus>();
  for (const { metadata, status = {} } of applications) {
    const device = metadata.annotations?.[DEVICE_ANNOTATION];
    if (device === undefined || metadata.name !== applicationName(device, workload)) continue;
    const { sync, health, operationState, reconciledAt } = status;
    const heard = reconciledAt !== undefined && Math.abs(now - Date.parse(reconciledAt)) <= maxAgeMs;
    const seen = { sync: sync?.status ?? "", health: health?.status ?? "", phase: operationState?.phase ?? "" };
    const problem = reconciledAt === undefined ? "the device has not answered the hub yet" : describeState(seen);
    statuses.set(device, {
      connected: heard,
      healthy: isWell(seen),
      revision: sync?.revision,
      since: runsSince(status),
      observedAt: reconciledAt ?? new Date(now).toISOString(),
      lastSeenAt: reconciledAt,
      ...(problem === "" ? {} : { problems: [printable(problem)] }),
    });
  }
  return statuses;
}

/** What Argo CD says of an Application; empty where it says nothing. */
export interface ApplicationState {
  /** `status.sync.status`. */
  readonly sync: string;
  /** `status.health.status`. */
  readonly health: string;
  /** `status.operationState.phase`. */
  readonly phase: string;
}

/** Whether an Application runs what Git says, and all of it is well. An operation at work over a good state is no harm. */
export function isWell({ sync, health, phase }: ApplicationState): boolean {
  return sync === "Synced" && health === "Healthy" && phase !== "Failed" && phase !== "Error";
}

/** In what an Application is not well, in Argo CD's own words, e.g. `OutOfSync, Degraded`; empty where it is well. */
export function describeState({ sync, health, phase }: ApplicationState): string {
  const words = [
    sync === "Synced" ? "" : sync || "not compared",
    health === "Healthy" ? "" : health || "of unknown health",
    phase === "Failed" || phase === "Error" ? `sync ${phase.toLowerCase()}` : "",
  ];
  return words.filter((word) => word !== "").join(", ");
}

/**
 * Since when an Application runs its revision whole, and is as well as it is: from the first of the last syncs in a row of
 * it, or from when its health last changed. A revision that changes nothing for a device is Synced without a sync, so what
 * it says has run since the last one.
 * https://github.com/argoproj/argo-cd/blob/v3.2.11/controller/sync.go: history has no entry of a partial sync
 */
function runsSince({ history = [], health }: NonNullable<ObservedApplication["status"]>): string | undefined {
  const last = history.at(-1);
  const first = history.findLastIndex(({ revision }) => revision !== last?.revision) + 1;
  const deployedAt = history[first]?.deployedAt;
  const { lastTransitionTime = deployedAt } = health ?? {};
  return Date.parse(lastTransitionTime ?? "") > Date.parse(deployedAt ?? "") ? lastTransitionTime : deployedAt;
}
