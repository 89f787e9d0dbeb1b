/** The time left of builds: at the machine's own speed, over all that is left, and silent while too little is known. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { childrenSeconds, Forecast } from "./forecast.ts";

test("the time left follows the machine's speed and counts what has not begun", () => {
  let now = 0;
  const forecast = new Forecast(
    [
      { name: "a", seconds: 100 },
      { name: "b", seconds: 200 },
    ],
    () => now,
  );
  forecast.spend("a", 9);
  now = 10_000;
  assert.equal(forecast.text(), "", "9 processor seconds say too little");
  forecast.spend("a", 20);
  assert.equal(forecast.text(), ", about 2 min left", "280 s of work at 2 a second");
  now = 20_000;
  assert.equal(forecast.text(), ", about 5 min left", "at 1 a second");
  forecast.spend("b", 180);
  assert.equal(forecast.text(), ", about 10 s left", "100 s of work at 10 a second");
});

test("a build that took less than was thought leaves nothing, and one that takes more does not take from others", () => {
  let now = 0;
  const forecast = new Forecast(
    [
      { name: "a", seconds: 100 },
      { name: "b", seconds: 50 },
    ],
    () => now,
  );
  now = 50_000;
  forecast.spend("a", 50);
  forecast.finish("a");
  assert.equal(forecast.text(), ", about 50 s left");
  forecast.spend("b", 60);
  assert.equal(forecast.text(), ", about 0 s left");
});

test("a process' ended children are counted, whatever its name holds", () => {
  spawnSync("sh", ["-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"]);
  assert.ok(childrenSeconds(process.pid) > 0.05);
  const stat = `7 (a) b) S ${Array.from({ length: 49 }, (_, index) => index + 4).join(" ")}\n`;
  assert.equal(
    childrenSeconds(7, () => stat),
    (16 + 17) / 100,
  );
  assert.equal(childrenSeconds(2 ** 30), 0);
});
