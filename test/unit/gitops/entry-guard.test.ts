/** Which Applications may leave an entry on disk, and which write is refused because of one. */
import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { planFleet } from "../../../components/gitops/fleet-plan.ts";
import { renderRing } from "../../../components/gitops/rings.ts";
import type { TreeInput, TreeWorkload } from "../../../components/gitops/tree-input.ts";
import { TreeRefusedError, writeTree } from "../../../components/gitops/writer.ts";
import { EXAMPLE, inFolder } from "./fleet.ts";

const OWN: TreeWorkload = { name: "own", path: "workloads/own", namespace: "own" };
const FLEET: TreeInput = {
  ...EXAMPLE,
  devices: EXAMPLE.devices.map((device) => ({ ...device, engine: "argocd" })),
  workloads: [OWN],
};
const ENTRY = "entry/canary/tokyo/rpi4-4g";

/** Renders a fleet whose rings pin everything, changes the folder, and plans another fleet. */
function plan(next: TreeInput, change: (directory: string) => void = () => {}, overlays = true) {
  let planned: ReturnType<typeof planFleet>["changes"] | undefined;
  inFolder((directory) => {
    const pin = (path: string, content: string) => {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), content);
    };
    for (const ring of FLEET.rings) {
      if (overlays) pin(`rings/${ring}.yaml`, renderRing(ring, "a".repeat(40)));
      pin(`rings/own/${ring}.yaml`, renderRing(ring, "b".repeat(40), "own"));
    }
    writeTree(directory, planFleet(directory, FLEET).changes);
    change(directory);
    planned = planFleet(directory, next).changes;
    if (planned.refused.length > 0)
      assert.throws(() => writeTree(directory, planFleet(directory, next).changes), TreeRefusedError);
    else writeTree(directory, planned);
  });
  assert.ok(planned);
  const { refused } = planned;
  return {
    left: planned.delete.map(({ path }) => path).filter((path) => path.startsWith("entry/")),
    refused: refused.filter(({ path }) => path.startsWith(`${ENTRY}/`)).map(({ path, reason }) => `${path}: ${reason}`),
    count: refused.length,
  };
}

const LEAVES = 5;

test("a workload that fleet.yaml no longer names is not uninstalled", () => {
  const { left, refused, count } = plan({ ...FLEET, workloads: [] });
  assert.deepEqual([left, count], [[], 3 * LEAVES]);
  assert.deepEqual(refused, [
    `${ENTRY}/own.yaml: devices would uninstall workload own, which fleet.yaml no longer names`,
  ]);
});

test("a workload whose ring file is gone is not uninstalled, nor are the overlays", () => {
  const lose = (path: string) => plan(FLEET, (directory) => rmSync(join(directory, path))).refused;
  assert.deepEqual(lose("rings/own/canary.yaml"), [
    `${ENTRY}/own.yaml: devices would uninstall own, because rings/own/canary.yaml is gone`,
  ]);
  assert.deepEqual(lose("rings/canary.yaml"), [
    `${ENTRY}/workloads.yaml: devices would uninstall workloads, because rings/canary.yaml is gone`,
  ]);
});

for (const [what, change, left] of [
  ["is declared removed", { state: "removed" }, 3 * LEAVES],
  ["is narrowed to a ring", { rings: ["early"] }, 2 * LEAVES],
  ["is narrowed to a region", { regions: ["osaka"] }, 3 * 3],
] as const) {
  test(`a workload that ${what} leaves the entries of those that fall out`, () => {
    const workload = structuredClone({ ...OWN, ...change }) as TreeWorkload;
    const planned = plan({ ...FLEET, workloads: [workload] });
    assert.deepEqual([planned.count, planned.left.length], [0, left]);
  });
}

test("a workload that comes to select by labels moves within the entry and is refused by nobody", () => {
  const { left, count } = plan({ ...FLEET, workloads: [{ ...OWN, labels: { a: "b" } }] });
  assert.deepEqual([count, left.length], [0, 3 * LEAVES]);
});

test("a leaf that has no devices any more goes as a whole", () => {
  const devices = FLEET.devices.filter(({ region }) => region !== "osaka");
  const { left, count } = plan({ ...FLEET, devices });
  assert.equal(count, 0);
  assert.ok(left.every((path) => path.split("/")[2] === "osaka"));
});

test("the last workload of an entry is not removed, since no Argo CD would uninstall it", () => {
  const { refused } = plan({ ...FLEET, workloads: [{ ...OWN, state: "removed" }] }, () => {}, false);
  assert.deepEqual(refused, [
    `${ENTRY}/own.yaml: own is the last workload of ring canary there, and an Argo CD uninstalls no last one by itself`,
  ]);
});
