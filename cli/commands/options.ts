/** Options that several commands share, and their checks. */
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

/** The inventory that a command works on. @throws InventoryError with every problem */
export function inventoryOf(command: { readonly inventory: string }): Inventory {
  return loadInventory(command.inventory);
}

/** Registers a command on the program. */
export type Register = (program: Command) => void;

/** Prints a JSON document. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
