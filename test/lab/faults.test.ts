import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultCount, formatFaults, parseFaults, sumFaults } from "./faults.ts";

test("a fault is survived when its body passes, and injected whether it passes or not", async () => {
  const count = new FaultCount();
  const fail = () => assert.fail("the device does not come back");
  assert.equal(
    count.survive("killed", () => 7),
    7,
  );
  assert.equal(await count.survive("killed", async () => 8), 8);
  assert.throws(() => count.survive("killed", fail), /does not come back/);
  await assert.rejects(
    count.survive("power cut", async () => fail()),
    /does not come back/,
  );
  count.survive("hostile payload", () => undefined, 3);
  assert.throws(() => count.survive("hostile payload", fail, 2));
  assert.deepEqual(Object.fromEntries(count.tallies), {
    killed: { injected: 3, survived: 2 },
    "power cut": { injected: 1, survived: 0 },
    "hostile payload": { injected: 5, survived: 3 },
  });
  assert.deepEqual(sumFaults(count.tallies), { injected: 9, survived: 5 });
});

test("the line of a file is read back as it was written, in the middle of other output", () => {
  const count = new FaultCount();
  for (let fault = 0; fault < 12; fault++) count.survive("killed", () => undefined);
  count.survive("dropped connection", () => undefined);
  const line = formatFaults(count.tallies);
  assert.equal(line, "faults injected: 13, survived: 13 (killed 12 of 12, dropped connection 1 of 1)");
  assert.deepEqual(parseFaults(`# Subtest: a\n${line}\nok 1 - a (12 of 13)\n`), count.tallies);
  assert.equal(parseFaults("ok 1 - a (killed 1 of 1)\n"), undefined);
});
