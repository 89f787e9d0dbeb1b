/** A fleet for the tests of reports, and for the picture in the README: what devices of the lab say, as many as are wanted. */

import { type ReportData, type ReportFacts, type ReportSources, reportData } from "../../../cli/report/model.ts";
import type { DeviceStatus } from "../../../cli/rollout/health.ts";
import { classifyRing } from "../../../cli/rollout/health.ts";
import type { StatusRow } from "../../../cli/status/model.ts";
import type { RingRow } from "../../../cli/status/rings.ts";
import type { Profile } from "../../../components/inventory/index.ts";

/** When the report is made. */
export const NOW = Date.parse("2026-05-01T12:00:00Z");
const OLD = "v1.35.4+k3s1";
const NEW = "v1.36.2+k3s1";
const COMMITS = {
  canary: "4f2c9e0b7a1d8c3e5f60718293a4b5c6d7e8f901",
  broad: "9b1e7d4c2a0f8e6d5c4b3a291807f6e5d4c3b2a1",
};
const REGIONS = ["tokyo", "osaka", "frankfurt", "oslo", "lyon", "porto", "turin", "gent"];
const MODELS = ["rpi4-4g", "rpi5-8g", "jetson-orin", "x86-mini"];

/** Out of a hundred devices, as the lab's farm has them: two failed, a few unreachable. */
const TROUBLES: Readonly<Record<number, Pick<StatusRow, "state" | "code" | "reason">>> = {
  13: { state: "pending", code: "unreachable", reason: "no answer from the host in 10 s - the next up tries again" },
  29: { state: "pending", code: "unreachable", reason: "no answer from the host in 10 s - the next up tries again" },
  47: {
    state: "failed",
    code: "disk",
    reason: "/var has 180 MiB free, 1024 are needed - free some, or use a larger disk",
  },
  61: {
    state: "failed",
    code: "host-key",
    reason:
      "the host key is another one than the pinned one - compare it on the device, then edge-fleet enroll --accept-new-key",
  },
  83: { state: "new", code: "no-run", reason: "no run has come to it yet - run edge-fleet up" },
};

/** How the fleet is to be. */
export interface FleetShape {
  readonly devices: number;
  /** Whether the hub was asked. Default true. */
  readonly withHealth?: boolean;
  /** Default: none. */
  readonly previous?: ReportFacts;
  /** Changes a row. Default: as it is. */
  readonly edit?: (row: StatusRow) => StatusRow;
}

/** What a report of it is made from. */
export function fleetSources({ devices, withHealth = true, previous, edit = (row) => row }: FleetShape): ReportSources {
  const regions = REGIONS.slice(0, devices < 50 ? 2 : REGIONS.length);
  const rows = Array.from({ length: devices }, (_, index) => edit(rowOf(index, regions, withHealth)));
  const profiles = rows.map(({ id }) => ({ id, distribution: "k3s", k3s: { version: NEW } }) as unknown as Profile);
  const lastRun = new Date(NOW - 40 * 60_000).toISOString();
  const stacks = new Map(
    regions.map((region) => [
      region,
      { devices: new Map(), agents: new Map(), lastRun, running: false, problem: undefined },
    ]),
  );
  const rings = (["canary", "broad"] as const).map((ring) => ringRow(ring, rows, withHealth));
  return { fleet: "acme", madeBy: "0.1.0", now: NOW, rows, profiles, stacks, rings, problems: [], previous };
}

/** A report of it. */
export function fleetReport(shape: FleetShape): ReportData {
  return reportData(fleetSources(shape));
}

function rowOf(index: number, regions: readonly string[], withHealth: boolean): StatusRow {
  const region = regions[index % regions.length] ?? "";
  const trouble = TROUBLES[index % 100] ?? { state: "applied", code: "", reason: "" };
  const ring = index % 10 === 0 ? "canary" : "broad";
  const unreachable = trouble.code === "unreachable";
  const told = withHealth && trouble.state !== "new";
  const contact = new Date(NOW - (unreachable ? 9 * 3_600_000 : (index % 14) * 60_000)).toISOString();
  const behind = index % 97 === 10;
  const status: DeviceStatus = {
    ...{ connected: !unreachable, healthy: !behind, revision: COMMITS[behind ? "broad" : ring] },
    ...{ observedAt: contact, lastSeenAt: contact },
  };
  return {
    id: `${region}-${String(Math.floor(index / regions.length) + 1).padStart(4, "0")}`,
    region,
    model: MODELS[Math.floor(index / regions.length) % (regions.length === 2 ? 2 : MODELS.length)] ?? "",
    ring,
    ...trouble,
    release: trouble.state === "new" ? "" : ring === "canary" || index % 3 > 0 ? NEW : OLD,
    lastRun: new Date(NOW - 40 * 60_000).toISOString(),
    health: told ? (unreachable ? "unknown" : behind && ring === "canary" ? "behind" : "healthy") : undefined,
    status: told ? status : undefined,
  };
}

function ringRow(ring: "canary" | "broad", rows: readonly StatusRow[], withHealth: boolean): RingRow {
  const own = rows.filter((row) => row.ring === ring);
  const hours = ring === "canary" ? 20 : 170;
  const rules = { revision: COMMITS[ring], promotedAt: NOW - hours * 3_600_000, minHealthyPercent: 90, maxFailures: 3 };
  return {
    ring,
    revision: COMMITS[ring],
    since: new Date(rules.promotedAt).toISOString(),
    soakLeftMs: ring === "canary" ? 4 * 3_600_000 : 0,
    devices: own.length,
    frozen: ring === "broad" ? { reason: "holidays", since: "2026-04-30T08:00:00Z" } : null,
    health: withHealth
      ? classifyRing(own, { ...rules, minHealthyPerModelPercent: 50, maxAgeMs: 1_800_000 }, NOW)
      : null,
  };
}
