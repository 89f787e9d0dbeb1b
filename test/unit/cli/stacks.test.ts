import assert from "node:assert/strict";
import { test } from "node:test";
import { touchedStacks } from "../../../cli/stacks/touched.ts";
import { edgeFleet } from "./command.ts";
import { writeInventory } from "./inventory.ts";

const ALL = ["hub", "tokyo", "tokyo-2", "osaka"];

const changes: [what: string, files: string[], touched: string[]][] = [
  ["a region's file", ["stacks/tokyo.yaml"], ["hub", "tokyo"]],
  [
    "a region's list, lock and configuration",
    ["stacks/tokyo-2.csv", "stacks/osaka.lock.yaml"],
    ["hub", "tokyo-2", "osaka"],
  ],
  ["a region's configuration", ["stacks/Pulumi.tokyo.yaml"], ["hub", "tokyo"]],
  ["the hub's configuration", ["stacks/Pulumi.hub.yaml"], ["hub"]],
  ["the fleet's file", ["stacks/fleet.yaml"], ALL],
  ["a list that is named after no region", ["stacks/lists/shops.csv"], ALL],
  ["a release of edge-fleet", ["package-lock.json"], ALL],
  ["a promotion", ["fleet/rings/broad.yaml", "fleet/entry/broad/tokyo/pi/kustomization.yaml"], []],
  ["documents and another folder of that name", ["README.md", "old/stacks/tokyo.yaml", "stacks-old/fleet.yaml"], []],
];

for (const [what, files, touched] of changes)
  test(`${what} touches ${touched.join(", ") || "no stack"}`, () => {
    const regions = ["tokyo", "tokyo-2", "osaka"];
    assert.deepEqual(touchedStacks({ files, hub: "hub", regions, inventory: "stacks" }), touched);
    const withoutHub = touched.filter((stack) => stack !== "hub");
    if (files[0] !== "stacks/Pulumi.hub.yaml")
      assert.deepEqual(touchedStacks({ files, hub: undefined, regions, inventory: "stacks" }), withoutHub);
  });

test("stacks are listed with the hub first, and a commit that Git does not know is refused", async (context) => {
  const folder = writeInventory(context, { "tokyo.yaml": "region: tokyo\n", "a-b.yaml": "region: a-b\n" });
  assert.equal((await edgeFleet(["stacks", "-i", folder])).stdout, "hub\na-b\ntokyo\n");
  const { exitCode, stderr } = await edgeFleet(["stacks", "-i", folder, "--changed-since", "nowhere"]);
  assert.equal(exitCode, 2);
  assert.match(stderr, /^error: git cannot compare nowhere with HEAD: .*nowhere.* - fetch it/);
});
