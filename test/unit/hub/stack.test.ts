import assert from "node:assert/strict";
import { test } from "node:test";
import { runHubStack } from "../../../components/hub/stack.ts";
import type { Inventory } from "../../../components/inventory/index.ts";
import type { StackSettings } from "../../../components/settings.ts";

const HUB = { argocd: { version: "v3.2.0" } };

for (const [name, hub, tokenGenerations, expected] of [
  [
    "a fleet without a hub",
    "none",
    {},
    /^stacks\/fleet\.yaml hub: is none, so the stack \S+ has nothing to install - describe the hub there/,
  ],
  [
    "a token of a region that is not there",
    HUB,
    { osaka: 2 },
    /^edge-fleet:tokenGenerations\.osaka: there is no region osaka - use one of: tokyo, kyoto; or, .*: pulumi config rm --path edge-fleet:tokenGenerations\.osaka$/,
  ],
  ["a token counted by half", HUB, { tokyo: 1.5 }, /^edge-fleet:tokenGenerations\.tokyo: is 1\.5 - use 1, 2, 3/],
  ["a token counted by none", HUB, { tokyo: 0 }, /^edge-fleet:tokenGenerations\.tokyo: is 0 - use 1, 2, 3/],
  ["a token counted by a word", HUB, { tokyo: "two" }, /^edge-fleet:tokenGenerations\.tokyo: is two - use 1, 2, 3/],
] as const) {
  test(`the hub's stack refuses ${name} before it asks anyone`, async () => {
    const inventory = {
      directory: "stacks",
      fleet: { hub },
      regions: new Map(["tokyo", "kyoto"].map((region) => [region, {}])),
    };
    await assert.rejects(
      runHubStack(inventory as unknown as Inventory, { tokenGenerations } as unknown as StackSettings),
      ({ message }: Error) => expected.test(message) || assert.fail(message),
    );
  });
}
