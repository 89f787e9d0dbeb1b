/** `edge-fleet schema`: the JSON Schemas of the inventory files, for editors and for CI. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { inventorySchemas } from "../../components/inventory/index.ts";
import { printJson } from "./options.ts";

const SCHEMA_DIRECTORY = join(import.meta.dirname, "..", "..", "components", "inventory", "schema");

/** Registers the command. */
export function registerSchema(program: Command): void {
  program
    .command("schema")
    .description("print the JSON Schemas of the inventory files")
    .option("--write", "write them to components/inventory/schema instead")
    .option("--directory <dir>", "folder for --write", SCHEMA_DIRECTORY)
    .action((options: { write?: true; directory: string }) => {
      if (options.write) writeSchemas(options.directory);
      else
        printJson(
          Object.fromEntries(Object.entries(inventorySchemas()).map(([name, text]) => [name, JSON.parse(text)])),
        );
    });
}

function writeSchemas(directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(inventorySchemas())) {
    const file = join(directory, name);
    writeFileSync(file, text);
    process.stdout.write(`${file}\n`);
  }
}
