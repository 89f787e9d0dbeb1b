/** Inventory folders for tests: the smallest valid one, with files replaced by name. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { InventoryError, loadInventory } from "../../../components/inventory/index.ts";
import { processFolder } from "../../temporary.ts";

export const FLEET = `fleet: acme
git:
  url: https://git.example.com/acme.git
rings: [canary, broad]
hub:
  argocd: {version: v3.2.0}
ring: broad
k3s:
  version: v1.36.2+k3s1
`;
export const MODELS = `nuc-4g:
  architecture: amd64
  memory: 4Gi
`;
export const REGION = `region: tokyo
devices:
  - id: tokyo-0001
    host: 10.0.0.1
    model: nuc-4g
`;

/** Writes the smallest valid inventory with `files` laid over it and returns its folder. */
export function inventoryFolder(files: Readonly<Record<string, string>> = {}): string {
  const directory = processFolder("inventory");
  const all = { "fleet.yaml": FLEET, "models.yaml": MODELS, "tokyo.yaml": REGION, ...files };
  for (const [name, text] of Object.entries(all)) {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return directory;
}

/** Problems of such a folder, with the folder's name cut off. */
export function problemsOf(files: Readonly<Record<string, string>>): string[] {
  const directory = inventoryFolder(files);
  try {
    loadInventory(directory);
  } catch (error) {
    assert.ok(error instanceof InventoryError, String(error));
    return error.problems.map((problem) => problem.replaceAll(`${directory}/`, ""));
  }
  return [];
}
