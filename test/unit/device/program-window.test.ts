/** When the device program lets Flux take commits, under each shell: by the windows, the clock, and what the root has taken. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { deviceProgram } from "../../../components/device/program.ts";
import { windowGroup, windowSetting } from "../../../components/gitops/windows.ts";
import type { MaintenanceWindow } from "../../../components/inventory/types.ts";
import { isOpen } from "../../prediction.ts";

const SHELLS = { dash: [], busybox: ["ash"], mksh: [] } as const;

const WINDOWS: readonly MaintenanceWindow[] = [
  { days: ["sat", "sun"], start: "22:30", durationMinutes: 300 },
  { start: "02:10", durationMinutes: 65 },
];

/** A machine with a real-time clock, and one without. */
const SYS = mkdtempSync(join(tmpdir(), "edge-fleet-window-"));
after(() => rmSync(SYS, { recursive: true }));
mkdirSync(join(SYS, "class/rtc/rtc0"), { recursive: true });
writeFileSync(join(SYS, "class/rtc/rtc0/hctosys"), "1\n");

/** Every 20 minutes of two days around a moment, and the minutes about it. */
function around(moment: string): Date[] {
  const middle = Date.parse(moment);
  const minutes = [...Array(145).keys()].map((n) => (n - 72) * 20).concat([-2, -1, 1, 2, 5]);
  return minutes.map((minute) => new Date(middle + minute * 60_000));
}

for (const [shell, words] of Object.entries(SHELLS)) {
  /** Lines that a sh text prints in the place of the program's main, by a clock that says AT. */
  const run = (text: string): string[] => {
    const clock = 'date() { command date -d "@$AT" "$@"; }';
    const settings = `SYS=${SYS} PREFLIGHT= WINDOWS= ENGINE=flux AT=${Date.parse("2026-11-27T12:00:00Z") / 1000}`;
    const input = deviceProgram().text.replace(/^main "\$@"$/m, () => `${clock}\n${settings}\n${text}`);
    const { status, stdout, stderr } = spawnSync(shell, words, { input, encoding: "utf8" });
    assert.deepEqual([status, stderr], [0, ""]);
    return stdout.trimEnd().split("\n");
  };
  const asked = "if is_open; then echo open; else echo closed; fi";

  for (const [zone, moment] of [
    ["UTC", "2026-11-29T00:00:00Z"],
    ["Asia/Tokyo", "2026-11-28T15:00:00Z"],
    ["Europe/Berlin", "2026-03-29T01:00:00Z"],
    ["Europe/Berlin", "2026-10-25T01:00:00Z"],
    ["America/St_Johns", "2027-03-14T05:30:00Z"],
  ] as const)
    test(`${shell}: the device and the hub mean the same by windows in ${zone} around ${moment}`, () => {
      const moments = around(moment);
      const held = WINDOWS.map((window) => ({ ...window, durationMinutes: window.durationMinutes - 5 }));
      const expected = moments.map((at) => (isOpen(windowGroup(held, zone), at) ? "open" : "closed"));
      const text = moments.map((at) => `AT=${at.getTime() / 1000}\n${asked}`).join("\n");
      assert.deepEqual(run(`WINDOWS='${windowSetting(WINDOWS, zone)}' PREFLIGHT=zone=${zone}\n${text}`), expected);
      assert.equal(new Set(expected).size, 2);
    });

  const always = windowSetting([{ start: "00:00", durationMinutes: 1440 }], "UTC");
  for (const [what, text, expected] of [
    ["a clock that runs without power", "", "open"],
    ["such a clock with an empty battery", "AT=946684800", "closed"],
    ["no time server yet", "SYS=/nowhere timedatectl() { echo no; }", "closed"],
    ["a time server", "SYS=/nowhere timedatectl() { echo yes; }", "open"],
    [
      "no time server yet under OpenRC",
      "SYS=/nowhere on_openrc() { :; } adjtimex() { echo 'return value: 5 (x)'; }",
      "closed",
    ],
    [
      "a time server under OpenRC",
      "SYS=/nowhere on_openrc() { :; } adjtimex() { echo 'return value: 0 (x)'; }",
      "open",
    ],
    ["no file of its time zone", "PREFLIGHT=zone=Asia/Nowhere", "closed"],
    ["no windows, and no clock either", "WINDOWS= AT=0", "open"],
  ] as const)
    test(`${shell}: with ${what} it is ${expected}`, () => {
      const statements = text.replaceAll(/ (\w+\(\))/g, "\n$1");
      assert.deepEqual(run(`WINDOWS='${always}'\n${statements}\n${asked}`), [expected]);
    });

  for (const [what, root, open, patch] of [
    ["one that goes on is suspended outside of the windows", " main@sha1:1", false, "true"],
    ["one that is suspended stays so", "true main@sha1:1", false, ""],
    ["one that is suspended goes on within them", "true main@sha1:1", true, "false"],
    ["one that goes on is left alone within them", " main@sha1:1", true, ""],
    ["one that went on before is left alone too", "false main@sha1:1", true, ""],
    ["one that went on before is suspended again", "false main@sha1:1", false, "true"],
    ["one that has taken nothing yet goes on", " ", false, ""],
    ["one that was suspended before it has taken anything goes on", "true ", false, "false"],
  ] as const)
    test(`${shell}: of roots, ${what}`, () => {
      const asks = `in_flux() { case $1 in get) printf %s '${root}' ;; patch) printf '%s\\n' "$5" ;; esac; }`;
      const lines = run(`${asks}\nis_open() { ${open ? ":" : "false"}; }\nkeep_to_windows`);
      assert.deepEqual(
        lines.map((line) => line.replace(/^2026-11-27T12:00:00Z /, "")),
        patch === "" ? [""] : [`{"spec":{"suspend":${patch}}}`, `window: suspend ${patch}`],
      );
    });

  test(`${shell}: a device without Flux has no root to hold, and one without an API is asked again`, () => {
    const silent = "in_flux() { return 1; }";
    assert.deepEqual(run(`${silent}\nENGINE=argocd\nkeep_to_windows && echo held`), ["held"]);
    assert.deepEqual(run(`${silent}\nkeep_to_windows || echo again`), ["again"]);
  });
}
