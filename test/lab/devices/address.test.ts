import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceAddress, MAX_DEVICES } from "./address.ts";

for (const [index, address] of [
  [0, "127.77.1.1"],
  [249, "127.77.1.250"],
  [250, "127.77.2.1"],
  [MAX_DEVICES - 1, "127.77.20.250"],
] as const) {
  test(`device ${index} has the address ${address}`, () => assert.equal(deviceAddress(index), address));
}

test("5,000 devices have 5,000 addresses", () => {
  const addresses = Array.from({ length: MAX_DEVICES }, (_, index) => deviceAddress(index));
  assert.equal(new Set(addresses).size, MAX_DEVICES);
});

test("an index outside the plan is refused", () => {
  for (const index of [-1, MAX_DEVICES, 1.5, Number.NaN]) assert.throws(() => deviceAddress(index), RangeError);
});
