import assert from "node:assert/strict";
import { test } from "node:test";
import { modeScript } from "./network.ts";

const ADDRESS = "127.77.1.1";
const add = (set: string) => `add element inet edge_fleet_lab ${set} { ${ADDRESS} }\n`;
const remove = (set: string) => `delete element inet edge_fleet_lab ${set} { ${ADDRESS} }\n`;

for (const [from, to, script] of [
  ["up", "up", ""],
  ["dark", "dark", ""],
  ["up", "silent", ""],
  ["up", "dark", add("dark")],
  ["dark", "up", remove("dark")],
  ["silent", "refusing", add("refusing")],
  ["refusing", "dark", remove("refusing") + add("dark")],
] as const) {
  test(`from ${from} to ${to} the packet filter ${script === "" ? "stays as it is" : "moves the address"}`, () => {
    assert.equal(modeScript(ADDRESS, from, to), script);
  });
}
