/** The device program's reckoning with time under each shell, also one that counts in 32 bits. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { deviceProgram } from "../../../components/device/program.ts";

/** mksh counts in 32 bits wherever it runs: mksh(1), "Arithmetic expressions". */
const SHELLS = { dash: [], busybox: ["ash"], mksh: [] } as const;

for (const [shell, words] of Object.entries(SHELLS)) {
  /** What a sh text prints in the place of the program's main, by a clock that says `date`. */
  const run = (text: string, date: string): string => {
    const clock = `date() { command date -d @${Date.parse(date) / 1000} "$@"; }`;
    const input = deviceProgram().text.replace(/^main "\$@"$/m, () => `${clock}\n${text}`);
    const { status, stdout, stderr } = spawnSync(shell, words, { input, encoding: "utf8" });
    assert.deepEqual([status, stderr], [0, ""]);
    return stdout;
  };

  for (const [date, found] of [
    ["2026-11-27T12:00:00Z", ""],
    ["2045-12-31T23:59:59Z", ""],
    ["2046-01-01T00:00:00Z", "clock\terror\t2046-01-01 is far ahead - set the clock\n"],
    ["2099-06-01T00:00:00Z", "clock\terror\t2099-06-01 is far ahead - set the clock\n"],
  ] as const)
    test(`${shell}: by ${date} the clock is ${found === "" ? "right" : "far ahead"}`, () =>
      assert.equal(run("clock_finding", date), found));

  for (const [beat, now, fresh] of [
    ["20261127071900", "2026-11-27T07:19:10Z", true],
    ["20261127071800", "2026-11-27T07:19:10Z", false],
    ["20270101000000", "2027-01-01T00:00:05Z", true],
    ["20261127071829", "2027-01-01T00:00:05Z", false],
    ["20261127071800", "2026-11-27T07:00:00Z", true],
  ] as const)
    test(`${shell}: a heartbeat of ${beat} is ${fresh ? "fresh" : "of the former process"} at ${now}`, () =>
      assert.equal(run(`SINCE=20261127071830\nif fresh ${beat}; then echo fresh; fi`, now), fresh ? "fresh\n" : ""));
}
