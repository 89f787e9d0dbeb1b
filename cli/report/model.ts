/**
 * A report of the fleet as plain data, made of the rows of `status` and of `rings` and of the report before. Pure. What
 * nobody told is `null` or empty, never made up.
 */
import type { Profile } from "../../components/inventory/index.ts";
import { lastContact, type StatusRow } from "../status/model.ts";
import type { RingRow } from "../status/rings.ts";
import type { StackReading } from "../status/stacks.ts";
import { compareReports, type ReportChanges } from "./changes.ts";

/** States of a device, those that need somebody first. */
export const STATES = [
  "failed",
  "pending",
  "new",
  "unknown",
  "applied",
  "removed",
] as const satisfies readonly StatusRow["state"][];

/** Verdicts on a device, those that need somebody first. */
export const VERDICTS = ["failed", "lost", "behind", "unknown", "healthy"] as const satisfies readonly NonNullable<
  StatusRow["health"]
>[];

/** A device of the report. */
export interface ReportDevice {
  readonly id: string;
  readonly region: string;
  /** Empty for a device that is not in the inventory; so are {@link ring} and {@link wanted}. */
  readonly model: string;
  readonly ring: string;
  readonly state: (typeof STATES)[number];
  /** Short and stable; empty where all is well. */
  readonly code: string;
  /** `<what> - <fix>` of its last run, else what its health says; empty where all is well. */
  readonly reason: string;
  /** Release of the distribution that it runs; empty where that is not known. */
  readonly release: string;
  /** Release that the inventory asks for. */
  readonly wanted: string;
  /** Commit that it runs, a full SHA; empty where that is not known. */
  readonly revision: string;
  /** Its verdict against the commit of its ring; empty where nobody was asked or it deploys nothing by itself. */
  readonly health: (typeof VERDICTS)[number] | "";
  /** When it was last heard of, in RFC 3339; empty where nobody knows. */
  readonly contact: string;
}

/** A region of the report. */
export interface ReportRegion {
  readonly name: string;
  /** When a run last changed its stack, in RFC 3339; `null`: no run has. */
  readonly lastRun: string | null;
  /** A run is at work on it. */
  readonly running: boolean;
}

/** A ring of the report. */
export interface ReportRing {
  readonly name: string;
  /** Full SHA; `null`: it deploys nothing, or its file could not be read. */
  readonly revision: string | null;
  /** RFC 3339. */
  readonly since: string | null;
  /** Until the next ring may take its commit, in milliseconds. */
  readonly soakLeftMs: number | null;
  /** Why it may not be promoted; empty without a reason; `null`: it may. */
  readonly frozen: string | null;
  /** Why its health would stop the next ring, empty where it would not; `null`: nobody was asked. */
  readonly unwell: readonly string[] | null;
}

/** What a report says, the comparison with another one aside. */
export interface ReportFacts {
  readonly fleet: string;
  /** RFC 3339. */
  readonly madeAt: string;
  /** In the order of the inventory. */
  readonly regions: readonly ReportRegion[];
  /** In the order of the rollout. */
  readonly rings: readonly ReportRing[];
  readonly devices: readonly ReportDevice[];
}

/** All that the page shows. */
export interface ReportData extends ReportFacts {
  /** Release of edge-fleet that made it. */
  readonly madeBy: string;
  /** What could not be read, a line each. */
  readonly problems: readonly string[];
  /** `null`: there was no report to compare with. */
  readonly changes: ReportChanges | null;
}

/** What a report is made from. */
export interface ReportSources {
  readonly fleet: string;
  readonly madeBy: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly rows: readonly StatusRow[];
  readonly profiles: readonly Profile[];
  readonly stacks: ReadonlyMap<string, StackReading>;
  readonly rings: readonly RingRow[];
  readonly problems: readonly string[];
  /** Undefined: there is none. */
  readonly previous: ReportFacts | undefined;
}

/** Joins it. */
export function reportData(sources: ReportSources): ReportData {
  const { fleet, madeBy, now, rows, profiles, stacks, problems, previous } = sources;
  const wanted = new Map(profiles.map((profile) => [profile.id, profile[profile.distribution].version]));
  const facts: ReportFacts = {
    fleet,
    madeAt: new Date(now).toISOString(),
    regions: [...stacks].map(([name, { lastRun, running }]) => ({ name, lastRun: lastRun ?? null, running })),
    rings: sources.rings.map(ringOf),
    devices: rows.map((row) => deviceOf(row, wanted.get(row.id) ?? "")),
  };
  const changes = previous === undefined ? null : compareReports(previous, facts);
  return { ...facts, madeBy, problems, changes };
}

function ringOf({ ring, revision, since, soakLeftMs, frozen, health }: RingRow): ReportRing {
  const unwell = health === null ? null : health.reasons;
  return { name: ring, revision, since, soakLeftMs, frozen: frozen === null ? null : (frozen.reason ?? ""), unwell };
}

function deviceOf({ id, region, model, ring, state, code, ...row }: StatusRow, wanted: string): ReportDevice {
  const { release, health = "", status } = row;
  const reason = row.reason || (status?.problems ?? []).join("; ");
  const revision = status?.revision ?? "";
  const contact = lastContact(status) ?? "";
  return { id, region, model, ring, state, code, reason, release, wanted, revision, health, contact };
}

/** What is wrong and what to do about it, out of `<what> - <fix>`. */
export function splitReason(reason: string): { readonly what: string; readonly fix: string } {
  const at = reason.lastIndexOf(" - ");
  return at < 0 ? { what: reason, fix: "" } : { what: reason.slice(0, at), fix: reason.slice(at + 3) };
}
