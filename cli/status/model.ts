/**
 * One line per device: state, release, commit, health and the reason, by what the last run of its region's stack says
 * and, where they were asked, the hub or the device itself. Pure.
 */
import type { Profile } from "../../components/inventory/index.ts";
import type { DeviceRow } from "../pulumi/report.ts";
import { classifyDevice, type DeviceStatus, type DeviceVerdict } from "../rollout/health.ts";
import type { DeviceStatuses } from "../rollout/status.ts";
import { type MovingAgent, movingAgent } from "./agents.ts";
import type { StackReading } from "./stacks.ts";

/** A device of a report. */
export interface StatusRow {
  readonly id: string;
  readonly region: string;
  /** Empty for a device that is not in the inventory; so is {@link ring}. */
  readonly model: string;
  readonly ring: string;
  /** As its last run left it. `new`: no run knows it. `unknown`: its stack cannot be read. */
  readonly state: DeviceRow["state"] | "new" | "unknown";
  /** Short and stable; empty where all is well. */
  readonly code: string;
  /** `<what> - <fix>`; empty where all is well. */
  readonly reason: string;
  /** Release of the distribution, as the device says or its last run left it; empty where it is not known. */
  readonly release: string;
  /** When a run last changed its region's stack, in RFC 3339. */
  readonly lastRun: string | undefined;
  /** Against the commit of its ring. Undefined: nobody was asked, or it deploys nothing by itself. */
  readonly health: DeviceVerdict | undefined;
  /** What health was judged by. Undefined: nothing is known. */
  readonly status: DeviceStatus | undefined;
  /** Absent: its region is not moved to another argocd-agent, or it has no agent. */
  readonly agent?: MovingAgent;
}

/** What the hub, the devices themselves or a status file say. */
export interface HealthReading {
  readonly statuses: DeviceStatuses;
  /** Devices that deploy something by themselves. */
  readonly deploying: ReadonlySet<string>;
  /** By ring: what its devices should run, and since when. */
  readonly rings: ReadonlyMap<string, { readonly revision: string; readonly promotedAt: number }>;
  /** Age from which a status says nothing any more, in milliseconds. */
  readonly maxAgeMs: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What a report is made from. */
export interface StatusSources {
  /** Devices that are asked for. */
  readonly profiles: readonly Profile[];
  readonly stacks: ReadonlyMap<string, StackReading>;
  /** Undefined: nobody was asked. */
  readonly health: HealthReading | undefined;
  /** Whether devices of the stacks that the inventory does not have are told, too. */
  readonly withStrangers: boolean;
}

/** Joins what is known, in the order of the inventory. */
export function statusRows({ profiles, stacks, health, withStrangers }: StatusSources): StatusRow[] {
  const rows = profiles.map((profile) => rowOf(profile, stacks.get(profile.region), health));
  if (!withStrangers) return rows;
  const known = new Set(profiles.map(({ id }) => id));
  const strangers = [...stacks].flatMap(([region, { devices, lastRun }]) =>
    [...(devices?.values() ?? [])].filter(({ id }) => !known.has(id)).map((row) => strangerOf(region, row, lastRun)),
  );
  return [...rows, ...strangers];
}

function rowOf(profile: Profile, stack: StackReading | undefined, health: HealthReading | undefined): StatusRow {
  const { id, region, model, ring } = profile;
  const { lastRun } = stack ?? {};
  const status = health?.statuses.get(id);
  const { release, ...state } = stateOf(profile, stack);
  const known = { ...state, release: status?.release ?? release };
  const agent = movingAgent(profile, stack);
  const row = { id, region, model, ring, ...known, lastRun, health: verdictOf(profile, health), status };
  return agent === undefined ? row : { ...row, agent };
}

function stateOf(
  { id, region, hostKey }: Profile,
  stack: StackReading | undefined,
): Pick<StatusRow, "state" | "code" | "reason" | "release"> {
  const row = stack?.devices?.get(id);
  if (row !== undefined) return { state: row.state, code: row.code, reason: row.reason, release: row.release };
  if (stack?.devices === undefined)
    return {
      state: "unknown",
      code: "stack",
      reason: stack?.problem?.message ?? "its stack was not read",
      release: "",
    };
  const next =
    hostKey === undefined ? `edge-fleet enroll ${region}, then edge-fleet up ${region}` : `edge-fleet up ${region}`;
  return { state: "new", code: "no-run", reason: `no run has come to it yet - run ${next}`, release: "" };
}

function verdictOf({ id, ring }: Profile, health: HealthReading | undefined): DeviceVerdict | undefined {
  if (health === undefined || !health.deploying.has(id)) return undefined;
  const { revision = "", promotedAt = health.now } = health.rings.get(ring) ?? {};
  return classifyDevice(health.statuses.get(id), { revision, promotedAt, maxAgeMs: health.maxAgeMs }, health.now);
}

function strangerOf(region: string, row: DeviceRow, lastRun: string | undefined): StatusRow {
  const { id, state, code, release } = row;
  const removed = state === "removed";
  const reason = removed ? "" : "it is not in the inventory - put its entry back with state: removed, and run up";
  return {
    id,
    region,
    model: "",
    ring: "",
    state,
    code,
    reason,
    release,
    lastRun,
    health: undefined,
    status: undefined,
  };
}

/** When the device itself was last heard of, in RFC 3339; undefined where nobody knows. */
export function lastContact(status: StatusRow["status"]): string | undefined {
  return status?.lastSeenAt ?? (status?.connected ? status.observedAt : undefined);
}

/** Devices that need a person. */
export function isFailed({ state, health }: Pick<StatusRow, "state" | "health">): boolean {
  return state === "failed" || health === "failed" || health === "lost";
}

/** Devices that a next run, or time, brings further. */
export function isPending({ state, health }: Pick<StatusRow, "state" | "health">): boolean {
  return state === "pending" || state === "new" || health === "behind" || health === "unknown";
}

/** A word and how many devices have it. */
export type WordCount = readonly [word: string, count: number];

/**
 * How many devices have each word, in the order of the words and without those that nobody has. `status`, `report` and its
 * page all count with it.
 */
export function countWords<Field extends "state" | "health">(
  rows: readonly Readonly<Record<Field, string | undefined>>[],
  field: Field,
  words: readonly string[],
): WordCount[] {
  const groups = Map.groupBy(rows, (row) => row[field]);
  return words.map((word): WordCount => [word, groups.get(word)?.length ?? 0]).filter(([, count]) => count > 0);
}

/**
 * The report for programs, which `--status` reads as well: by device, what is known of its health beside the rest.
 */
export function statusReport(rows: readonly StatusRow[]): Record<string, object> {
  return Object.fromEntries(
    rows.map(({ id, status, health = null, lastRun = null, ...row }) => [
      id,
      { ...row, lastRun, health, ...status, release: row.release },
    ]),
  );
}
