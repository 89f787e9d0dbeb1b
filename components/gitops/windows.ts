/**
 * Maintenance windows: the group of devices that share them, a condition for the ApplicationSet controller, sync windows
 * for an Argo CD on the device, and a setting of the device program, which suspends the root of Flux.
 *
 * Outside of a sync window (AppProject `syncWindows`) the application-controller leaves out autoSync altogether, and with
 * it self-healing (controller/appcontroller.go of v3.2.11, "Sync prevented by sync window"). So no workload is in a project
 * that has one. On a device they hold back the root Application alone (device-entry.ts). On the hub, where a device has no
 * root, the window stands before the Application instead: a set's generator does not yield a device whose windows are all closed, and a set that only creates and updates leaves
 * an Application that it does not yield as it is. That device keeps its commit and heals to it, and gets the ring's
 * commit when its window opens, at the controller's next look (within 3 minutes). The clock is that of the hub, the hours
 * are those of the device's time zone.
 */
import { createHash } from "node:crypto";
import type { MaintenanceWindow } from "../inventory/types.ts";
import type { SyncWindow } from "./objects.ts";

/** Devices that share their windows. */
export interface WindowGroup {
  /** Value of the window label: `always`, or `w` and ten hex digits. */
  readonly name: string;
  /** IANA time zone. */
  readonly zone: string;
  /** When the windows are open; empty for `always`. */
  readonly spans: readonly Span[];
}

/** A part of some days, in the group's time zone. */
export interface Span {
  /** Days in the week's order, as Go's time format writes them. */
  readonly days: readonly Day[];
  /** `HH:MM`, inclusive. */
  readonly from: string;
  /** `HH:MM`, exclusive; `24:00` is the end of the day. */
  readonly to: string;
}

/** A day of the week as Go's layout `Mon` and `en-US` write it. */
export type Day = (typeof DAYS)[number];

const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] as const;
/** Cron counts the days of a week from Sunday. */
const CRON_DAYS: readonly Day[] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const DAY_MINUTES = 24 * 60;
/** Between two looks of the device program's timer, program/install.sh. */
const LOOK_MINUTES = 5;
/** Value of the window label of devices that may change at any time. */
const ALWAYS = "always";
/** What a closed group yields in its place: the name of no group. */
const CLOSED = "closed";

/**
 * The group of a device's windows.
 * @param windows none: the device may change at any time
 * @param zone IANA time zone
 * @throws Error when the zone is not one that this machine knows
 */
export function windowGroup(windows: readonly MaintenanceWindow[], zone: string): WindowGroup {
  if (windows.length === 0) return { name: ALWAYS, zone, spans: [] };
  checkZone(zone);
  const spans = spansOf(windows);
  const hash = createHash("sha256")
    .update(JSON.stringify([zone, spans]))
    .digest("hex");
  return { name: `w${hash.slice(0, 10)}`, zone, spans };
}

/**
 * The values that a set's generator wants in the window label: Go templates that the controller evaluates at each look.
 * A closed group yields the name of no group.
 * @param groups those of the region's devices, in any order
 */
export function openWindowValues(groups: readonly WindowGroup[]): string[] {
  const distinct = new Map(groups.map((group) => [group.name, group]));
  distinct.delete(ALWAYS);
  const names = [...distinct.keys()].sort();
  return [ALWAYS, ...names.flatMap((name) => openValue(distinct.get(name)))];
}

function openValue(group: WindowGroup | undefined): string[] {
  if (group === undefined) return [];
  const zone = JSON.stringify(group.zone);
  const conditions = group.spans.map(condition);
  const any = conditions.length === 1 ? conditions[0] : `or ${conditions.map((text) => `(${text})`).join(" ")}`;
  return [
    `{{ $day := dateInZone "Mon" now ${zone} }}{{ $time := dateInZone "15:04" now ${zone} }}` +
      `{{ if ${any} }}${group.name}{{ else }}${CLOSED}{{ end }}`,
  ];
}

function condition({ days, from, to }: Span): string {
  const day = days.length === DAYS.length ? "" : `(has $day (list ${days.map((name) => `"${name}"`).join(" ")})) `;
  return `and ${day}(ge $time "${from}") (lt $time "${to}")`;
}

/** The windows cut at midnight, those of the same hours joined, in order. */
function spansOf(windows: readonly MaintenanceWindow[]): Span[] {
  const days = new Map<string, Set<Day>>();
  for (const { days: named, start, durationMinutes } of windows) {
    for (const index of named?.map(indexOf) ?? DAYS.keys()) {
      for (const { day, hours } of cutAtMidnight(index, minutesOf(start), durationMinutes)) {
        days.set(hours, (days.get(hours) ?? new Set()).add(day));
      }
    }
  }
  return [...days]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([hours, set]) => ({
      days: DAYS.filter((day) => set.has(day)),
      from: hours.slice(0, 5),
      to: hours.slice(6),
    }));
}

function cutAtMidnight(index: number, start: number, minutes: number): { day: Day; hours: string }[] {
  const end = start + minutes;
  const part = (day: number, from: number, to: number) => ({
    day: DAYS[day % DAYS.length] ?? "Mon",
    hours: `${clock(from)}-${clock(to)}`,
  });
  if (end <= DAY_MINUTES) return [part(index, start, end)];
  return [part(index, start, DAY_MINUTES), part(index + 1, 0, end - DAY_MINUTES)];
}

function indexOf(day: string): number {
  return DAYS.findIndex((name) => name.toLowerCase() === day);
}

function minutesOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  return hours * 60 + minutes;
}

function clock(minutes: number): string {
  const pad = (value: number) => String(value).padStart(2, "0");
  return `${pad(Math.floor(minutes / 60))}:${pad(minutes % 60)}`;
}

const knownZones = new Set<string>();

function checkZone(zone: string): void {
  if (knownZones.has(zone)) return;
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: zone });
    knownZones.add(zone);
  } catch (cause) {
    throw new Error(`time.zone: ${zone} is not a time zone that is known here - write e.g. Asia/Tokyo`, { cause });
  }
}

/**
 * The windows of a group as sync windows of Argo CD; empty for a group that may change at any time.
 * @param application which Application they hold back
 */
export function syncWindows({ zone, spans }: WindowGroup, application: string): SyncWindow[] {
  return spans.map(({ days, from, to }) => {
    const [hours, minutes] = from.split(":").map(Number);
    const week =
      days.length === DAYS.length
        ? "*"
        : days
            .map((day) => CRON_DAYS.indexOf(day))
            .sort()
            .join(",");
    return {
      kind: "allow",
      schedule: `${minutes} ${hours} * * ${week}`,
      duration: `${minutesOf(to) - minutesOf(from)}m`,
      applications: [application],
      timeZone: zone,
    };
  });
}

/**
 * The windows for the program of a device with Flux, program/window.sh: words of the form `Mon,Tue@0130-0255`, in the group's time zone.
 * Each ends before the last look of the timer that a window has, so that no commit comes after it.
 * @param windows at least one
 * @throws Error when the zone is not one that this machine knows
 */
export function windowSetting(windows: readonly MaintenanceWindow[], zone: string): string {
  const held = windows.map((window) => ({ ...window, durationMinutes: window.durationMinutes - LOOK_MINUTES }));
  const hours = (time: string) => time.replace(":", "");
  return windowGroup(held, zone)
    .spans.map(({ days, from, to }) => `${days.join(",")}@${hours(from)}-${hours(to)}`)
    .join(" ");
}
