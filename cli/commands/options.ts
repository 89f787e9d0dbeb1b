/** Options that several commands share, and their checks. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type Inventory, loadInventory } from "../../components/inventory/index.ts";
import { projectPath } from "../project.ts";

/** `--inventory DIR`. Default: that of the project, see {@link projectPath}. */
export function inventoryOption(): Option {
  return new Option("-i, --inventory <dir>", "folder with fleet.yaml, models.yaml and one file per region").default(
    projectPath("stacks"),
  );
}

/** `--json`. */
export function jsonOption(): Option {
  return new Option("--json", "print one JSON document on stdout instead of a table");
}

/** `--device ID…`, repeatable. */
export function devicesOption(description: string): Option {
  return new Option("-d, --device <id...>", description).default([], "all");
}

/** Parses a whole number of at least `min`. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    if (!/^\d{1,9}$/.test(text) || Number(text) < min)
      throw new InvalidArgumentError(`Use a whole number from ${min}.`);
    return Number(text);
  };
}

/** Bytes of an inventory from which reading it takes seconds: some 20,000 devices. */
const LARGE_BYTES = 1024 * 1024;

/** The inventory that a command works on; where it is large, stderr says so first. @throws InventoryError with every problem */
export function inventoryOf({ inventory }: { readonly inventory: string }): Inventory {
  const bytes = bytesOf(inventory);
  if (bytes >= LARGE_BYTES) process.stderr.write(`reading ${Math.round(bytes / 1024 / 1024)} MiB of inventory\n`);
  return loadInventory(inventory);
}

/** Of the files of a folder; 0 where there is none, which {@link loadInventory} tells better. */
function bytesOf(folder: string): number {
  if (!existsSync(folder)) return 0;
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce((sum, { name }) => sum + statSync(join(folder, name)).size, 0);
}

/** Registers a command on the program. */
export type Register = (program: Command) => void;

/** Prints a JSON document. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
