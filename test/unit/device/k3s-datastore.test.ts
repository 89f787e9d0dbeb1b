import assert from "node:assert/strict";
import { test } from "node:test";
import { InventoryError, loadInventory } from "../../../components/inventory/index.ts";
import { FLEET, inventoryFolder } from "../inventory/folder.ts";

/** The problems of a fleet file with one more field below `k3s`, without the folder's name. */
function problemsOf(field: string): string[] {
  const directory = inventoryFolder({ "fleet.yaml": `${FLEET}  ${field}\n` });
  try {
    loadInventory(directory);
  } catch (error) {
    assert.ok(error instanceof InventoryError, String(error));
    return error.problems.map((problem) => problem.replaceAll(`${directory}/`, ""));
  }
  return [];
}

for (const field of ["datastoreEndpoint", "datastore-endpoint"]) {
  test(`k3s.${field} is refused at its place, with the reason`, () => {
    const [problem = "", ...more] = problemsOf(`${field}: "sqlite:////var/lib/rancher/k3s/data/k3s.db"`);
    assert.ok(problem.startsWith(`fleet.yaml:10:3 k3s.${field}: is not offered: without it K3s opens its own SQLite`));
    assert.ok(problem.endsWith(" - remove it"));
    assert.deepEqual(more, []);
  });
}
