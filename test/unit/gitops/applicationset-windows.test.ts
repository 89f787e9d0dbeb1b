import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openWindowValues, windowGroup } from "../../../components/gitops/windows.ts";
import type { MaintenanceWindow } from "../../../components/inventory/types.ts";
import { isOpen } from "../../prediction.ts";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const NIGHT: MaintenanceWindow = { start: "02:00", durationMinutes: 120 };

const arbitraryWindow: fc.Arbitrary<MaintenanceWindow> = fc
  .record({
    days: fc.option(fc.subarray([...DAYS], { minLength: 1 }), { nil: undefined }),
    start: fc.tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 })),
    durationMinutes: fc.integer({ min: 15, max: 1440 }),
  })
  .map(({ days, start, durationMinutes }) => ({
    ...(days === undefined ? {} : { days }),
    start: start.map((part) => String(part).padStart(2, "0")).join(":"),
    durationMinutes,
  }));
const minuteOfWeek = fc.integer({ min: 0, max: 7 * 24 * 60 - 1 });

/** A minute of the week that begins on Monday 2026-03-02, in UTC. */
const at = (minute: number) => new Date(Date.UTC(2026, 2, 2) + minute * 60_000);

/** By arithmetic on minutes of the week, without cutting at midnight. */
function openByArithmetic(windows: readonly MaintenanceWindow[], minute: number): boolean {
  return windows.some(({ days = DAYS, start, durationMinutes }) => {
    const [hours = 0, minutes = 0] = start.split(":").map(Number);
    return days.some((day) => {
      const from = DAYS.indexOf(day) * 1440 + hours * 60 + minutes;
      return (minute - from + 10_080) % 10_080 < durationMinutes;
    });
  });
}

test("a device is open exactly within its windows, across midnight and across the end of the week", () => {
  fc.assert(
    fc.property(fc.array(arbitraryWindow, { minLength: 1, maxLength: 4 }), minuteOfWeek, (windows, minute) => {
      assert.equal(isOpen(windowGroup(windows, "UTC"), at(minute)), openByArithmetic(windows, minute));
    }),
    { numRuns: 500 },
  );
});

test("the controller's condition says the same as isOpen", () => {
  fc.assert(
    fc.property(fc.array(arbitraryWindow, { minLength: 1, maxLength: 3 }), minuteOfWeek, (windows, minute) => {
      const group = windowGroup(windows, "UTC");
      const [, template = ""] = openWindowValues([group]);
      assert.equal(evaluate(template, at(minute)), isOpen(group, at(minute)) ? group.name : "closed");
    }),
    { numRuns: 500 },
  );
});

for (const [zone, moment, open] of [
  ["Asia/Tokyo", "2026-03-02T17:00:00Z", true],
  ["Asia/Tokyo", "2026-03-02T02:30:00Z", false],
  ["Europe/Berlin", "2026-01-15T01:30:00Z", true],
  ["Europe/Berlin", "2026-07-15T01:30:00Z", true],
  ["Europe/Berlin", "2026-07-15T02:30:00Z", false],
  // The night of the change to summer time has no hour from 2 to 3.
  ["Europe/Berlin", "2026-03-29T00:59:00Z", false],
  ["Europe/Berlin", "2026-03-29T01:00:00Z", true],
  ["Europe/Berlin", "2026-03-29T02:00:00Z", false],
] as const) {
  test(`02:00 to 04:00 in ${zone} is ${open ? "open" : "closed"} at ${moment}`, () => {
    assert.equal(isOpen(windowGroup([NIGHT], zone), new Date(moment)), open);
  });
}

test("devices share a group when their windows mean the same, and only then", () => {
  const group = windowGroup([NIGHT], "Asia/Tokyo").name;
  assert.match(group, /^w[0-9a-f]{10}$/);
  assert.equal(windowGroup([{ ...NIGHT, days: [...DAYS].reverse() }], "Asia/Tokyo").name, group);
  assert.notEqual(windowGroup([NIGHT], "UTC").name, group);
  assert.notEqual(windowGroup([{ ...NIGHT, durationMinutes: 121 }], "Asia/Tokyo").name, group);
});

test("without windows a device may change at any time", () => {
  const group = windowGroup([], "Asia/Tokyo");
  assert.equal(group.name, "always");
  assert.equal(isOpen(group, new Date(0)), true);
  assert.deepEqual(openWindowValues([group, group]), ["always"]);
});

test("an unknown time zone is refused with the fix", () => {
  assert.throws(
    () => windowGroup([NIGHT], "Asia/Nowhere"),
    /^Error: time\.zone: Asia\/Nowhere is not .* - write e\.g\./,
  );
});

/** The subset of Go templates that the values use, at a moment in UTC. */
function evaluate(template: string, moment: Date): string {
  const day = moment.toLocaleString("en-US", { timeZone: "UTC", weekday: "short" });
  const time = moment.toISOString().slice(11, 16);
  const [, condition = "", name = ""] =
    /\{\{ if (.*?) \}\}(\w+)\{\{ else \}\}closed\{\{ end \}\}$/.exec(template) ?? [];
  const span = /and (?:\(has \$day \(list ((?:"\w{3}" ?)+)\)\) )?\(ge \$time "(\S{5})"\) \(lt \$time "(\S{5})"\)/g;
  const matches = [...condition.matchAll(span)];
  assert.ok(matches.length > 0, template);
  const shape = condition.replaceAll(span, "S");
  assert.match(shape, /^(S|or( \(S\))+)$/);
  const open = matches.some(([, days, from = "", to = ""]) => {
    return (days === undefined || days.includes(`"${day}"`)) && from <= time && time < to;
  });
  return open ? name : "closed";
}
