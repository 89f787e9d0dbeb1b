import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { planSupply, type SuppliedOutputs } from "../../../cli/pulumi/supply.ts";
import { loadInventory, resolveRegion } from "../../../components/inventory/index.ts";
import { pushedArtifacts, resolveArtifacts } from "../../../components/plan/artifact.ts";
import { writeInventory } from "./inventory.ts";

const PROGRAM = "a".repeat(64);
const OTHER = "b".repeat(64);
const keyOf = (id: string) => `ssh-ed25519 ${Buffer.from(`host key of ${id}`).toString("base64")}`;

function inventoryOf(context: TestContext) {
  const device = (id: string, more: string) =>
    `  - { id: ${id}, host: h-${id}, model: box${more.replace("KEY", keyOf(id))} }\n`;
  const enrolled = ", hostKey: KEY";
  const push = ", artifacts: { delivery: push }";
  const devices = [
    device("current", enrolled),
    device("old", enrolled),
    device("pushed", enrolled + push),
    device("new", push),
  ];
  return loadInventory(writeInventory(context, { "tokyo.yaml": `region: tokyo\ndevices:\n${devices.join("")}` }));
}

const cases: readonly { name: string; outputs: (pushed: string) => SuppliedOutputs; due: string[] }[] = [
  { name: "without a run before", outputs: () => ({}), due: ["current", "old", "pushed"] },
  {
    name: "after a run that had them all",
    outputs: (pushed) => ({ programs: { current: PROGRAM, old: PROGRAM, pushed: PROGRAM }, pushed: { pushed } }),
    due: [],
  },
  {
    name: "after a run of another release",
    outputs: (pushed) => ({ programs: { current: PROGRAM, old: OTHER, pushed: PROGRAM }, pushed: { pushed } }),
    due: ["old"],
  },
  {
    name: "after a run with other artifacts, also of a device that fetches now",
    outputs: () => ({
      programs: { current: PROGRAM, old: PROGRAM, pushed: PROGRAM },
      pushed: { pushed: "x", current: "x" },
    }),
    due: ["pushed"],
  },
];

test("a device whose release is not locked is left to the run, and stops no other", (context) => {
  const device = (id: string, more = "") =>
    `  - { id: ${id}, host: h-${id}, model: box, hostKey: ${keyOf(id)}${more} }\n`;
  const stacks = writeInventory(context, {
    "tokyo.yaml": `region: tokyo\ndevices:\n${device("ahead", ", k3s: { version: v1.35.0+k3s1 }")}${device("good")}`,
  });
  assert.deepEqual(
    planSupply(loadInventory(stacks), "tokyo", {}, PROGRAM).due.map(({ id }) => id),
    ["good"],
  );
});

for (const { name, outputs, due } of cases) {
  test(`devices to supply, ${name}`, (context) => {
    const inventory = inventoryOf(context);
    const pushed = resolveRegion(inventory, "tokyo").find(({ id }) => id === "pushed");
    assert.ok(pushed);
    const plan = planSupply(
      inventory,
      "tokyo",
      outputs(pushedArtifacts(resolveArtifacts(pushed, inventory.artifacts))),
      PROGRAM,
    );
    assert.deepEqual(
      plan.due.map(({ id }) => id),
      due,
    );
  });
}
