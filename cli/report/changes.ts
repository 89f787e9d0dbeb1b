/** What changed from one report to the next: devices that got worse or better, came, left or run another release; rings. Pure. */
import { isFailed, isPending } from "../status/model.ts";
import type { ReportDevice, ReportFacts } from "./model.ts";

/** `gone`: it has left the inventory, or the fleet. The order is that in which they are told. */
export const CHANGE_KINDS = ["worse", "better", "new", "gone", "release"] as const;

/** Devices that changed alike. */
export interface DeviceChange {
  readonly kind: (typeof CHANGE_KINDS)[number];
  /** What they were, e.g. `applied`; empty for new ones. */
  readonly was: string;
  /** What they are; empty for those that are gone. */
  readonly now: string;
  /** Their ids, in the order of the report. */
  readonly devices: readonly string[];
}

/** A ring that has another commit. */
export interface RingChange {
  readonly ring: string;
  /** Full SHA; `null`: it deployed nothing. */
  readonly was: string | null;
  /** Full SHA; `null`: it deploys nothing. */
  readonly now: string | null;
}

/** All that changed. */
export interface ReportChanges {
  /** When the other report was made, in RFC 3339. */
  readonly since: string;
  /** By kind; within it, what most devices have in common first. */
  readonly devices: readonly DeviceChange[];
  readonly rings: readonly RingChange[];
}

type Change = Omit<DeviceChange, "devices"> & { readonly id: string };

/** Compares. */
export function compareReports(previous: ReportFacts, current: ReportFacts): ReportChanges {
  const before = new Map(previous.devices.map((device) => [device.id, device]));
  const after = new Set(current.devices.map(({ id }) => id));
  const gone = previous.devices.filter(({ id, state }) => !after.has(id) && state !== "removed");
  const changes = [
    ...current.devices.flatMap((device) => changesOf(before.get(device.id), device)),
    ...gone.map((device): Change => ({ id: device.id, kind: "gone", was: conditionOf(device), now: "" })),
  ];
  const groups = [...Map.groupBy(changes, ({ kind, was, now }) => [kind, was, now].join("\n")).values()];
  const devices = groups
    .flatMap((group) => {
      const [first] = group;
      return first === undefined
        ? []
        : [{ kind: first.kind, was: first.was, now: first.now, devices: group.map(({ id }) => id) }];
    })
    .sort((a, b) => order(a) - order(b) || b.devices.length - a.devices.length);
  return { since: previous.madeAt, devices, rings: ringChanges(previous, current) };
}

function order({ kind }: DeviceChange): number {
  return CHANGE_KINDS.indexOf(kind);
}

/** A device may have got better and run another release: both are told. */
function changesOf(before: ReportDevice | undefined, device: ReportDevice): Change[] {
  const { id, state, release } = device;
  const now = conditionOf(device);
  if (before === undefined) return state === "removed" ? [] : [{ id, kind: "new", was: "", now }];
  const was = conditionOf(before);
  if (state === "removed") return before.state === "removed" ? [] : [{ id, kind: "gone", was, now }];
  const difference = severity(device) - severity(before);
  const kind = difference > 0 ? "worse" : "better";
  const upgraded = before.release !== "" && release !== "" && before.release !== release;
  return [
    ...(difference === 0 ? [] : [{ id, kind, was, now } as const]),
    ...(upgraded ? [{ id, kind: "release", was: before.release, now: release } as const] : []),
  ];
}

function conditionOf({ state, health }: ReportDevice): string {
  return health === "" ? state : `${state}, ${health}`;
}

function severity({ state, health }: ReportDevice): number {
  const row = { state, health: health === "" ? undefined : health };
  return isFailed(row) ? 3 : isPending(row) ? 2 : state === "unknown" ? 1 : 0;
}

function ringChanges(previous: ReportFacts, current: ReportFacts): RingChange[] {
  const before = new Map(previous.rings.map(({ name, revision }) => [name, revision]));
  return current.rings
    .map(({ name, revision }) => ({ ring: name, was: before.get(name) ?? null, now: revision }))
    .filter(({ was, now }) => was !== now);
}
