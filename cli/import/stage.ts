/**
 * A rehearsal of an edit of the inventory: the folder's files and the new texts in a temporary folder, loaded as the
 * inventory. So nothing that the loader refuses is ever written.
 */
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Inventory, InventoryError, loadInventory } from "../../components/inventory/index.ts";

/**
 * Loads the inventory as it would be, and hands it to `use`.
 * @param directory the inventory's folder; need not exist
 * @param files new texts by file name
 * @throws InventoryError naming the files where they will stand
 */
export function rehearse<T>(
  directory: string,
  files: ReadonlyMap<string, string>,
  use: (inventory: Inventory) => T,
): T {
  const stage = mkdtempSync(join(tmpdir(), "edge-fleet-"));
  try {
    for (const name of inventoryFiles(directory)) copyFileSync(join(directory, name), join(stage, name));
    for (const [name, text] of files) writeFileSync(join(stage, name), text);
    return use({ ...loadInventory(stage), directory });
  } catch (error) {
    if (!(error instanceof InventoryError)) throw error;
    throw new InventoryError(error.problems.map((problem) => problem.replaceAll(`${stage}/`, `${directory}/`)));
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

function inventoryFiles(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => /\.(yaml|csv)$/.test(name) && !name.startsWith("Pulumi."));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
