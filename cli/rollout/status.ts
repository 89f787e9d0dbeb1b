/**
 * Where the health of devices comes from: from a status file, or from the Applications on the hub, to a status by device.
 */
import { z } from "zod";
import { applicationName, DEVICE_ANNOTATION } from "../../components/gitops/labels.ts";
import { parseYamlFile } from "../../components/inventory/files.ts";
import { UsageError } from "../exit.ts";
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
 * Reads a status file: JSON of device id -> {connected, healthy, revision, observedAt, lastSeenAt?}.
 * @param file its path, for messages
 * @throws UsageError with every problem as `file:line:column field: what - fix`
 */
export function parseStatusFile(file: string, text: string): DeviceStatuses {
  const problems: string[] = [];
  const { value = {} } = parseYamlFile(file, text, StatusFileSchema, problems);
  if (problems.length > 0) throw new UsageError(problems.join("\n"));
  const reported = withoutUnreported(value) as typeof value;
  const statuses = Object.entries(reported).map(([id, { connected, healthy, revision, observedAt, lastSeenAt }]) => [
    id,
    { connected, healthy, revision: revision ?? undefined, observedAt, lastSeenAt: lastSeenAt ?? undefined },
  ]);
  return new Map(statuses as [string, DeviceStatus][]);
}

/** What is read of an Application on the hub. Everything may be missing: the device has not answered yet. */
export interface ObservedApplication {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  /** Absent until it was reconciled once. */
  readonly status?: {
    readonly sync?: { readonly status?: string; readonly revision?: string };
    readonly health?: { readonly status?: string };
    readonly operationState?: { readonly phase?: string };
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
    statuses.set(device, {
      connected: heard,
      healthy:
        sync?.status === "Synced" &&
        health?.status === "Healthy" &&
        !["Failed", "Error"].includes(operationState?.phase ?? ""),
      revision: sync?.revision,
      observedAt: reconciledAt ?? new Date(now).toISOString(),
      lastSeenAt: reconciledAt,
    });
  }
  return statuses;
}
