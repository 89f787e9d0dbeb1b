/**
 * `edge-fleet schema`: what the inventory files may hold, as JSON Schemas for editors and CI and as a page for people; and
 * the page about the preflight.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { inventorySchemas } from "../../components/inventory/index.ts";
import { inventoryReference } from "../../components/inventory/reference.ts";
import { PREFLIGHT_PAGE, preflightReference } from "../../components/plan/preflight.ts";
import { UsageError } from "../exit.ts";
import { IS_CHECKOUT, PACKAGE_FOLDER } from "../package.ts";
import { printJson } from "./options.ts";

/** Where a generated file goes, relative to the repository, and its text. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const schemas = Object.entries(inventorySchemas());
  return new Map([
    ...schemas.map(([name, text]): [string, string] => [`components/inventory/schema/${name}`, text]),
    ["docs/inventory.md", inventoryReference()],
    [PREFLIGHT_PAGE, preflightReference()],
  ]);
}

/** Registers the command. */
export function registerSchema(program: Command): void {
  program
    .command("schema")
    .description("print the JSON Schemas of the inventory files")
    .option("--write", "write them to components/inventory/schema, and the generated pages to docs, of this checkout")
    .option("--directory <dir>", "with --write: write the schemas alone, into this folder")
    .action((options: { write?: true; directory?: string }) => {
      if (!options.write)
        printJson(
          Object.fromEntries(Object.entries(inventorySchemas()).map(([name, text]) => [name, JSON.parse(text)])),
        );
      else if (options.directory !== undefined)
        writeFiles(options.directory, new Map(Object.entries(inventorySchemas())));
      else if (IS_CHECKOUT) writeFiles(PACKAGE_FOLDER, generatedFiles());
      else throw new UsageError("--write alone is for a checkout of edge-fleet - use --write --directory <dir>");
    });
}

function writeFiles(directory: string, files: ReadonlyMap<string, string>): void {
  for (const [path, text] of files) {
    const file = join(directory, path);
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, text);
    process.stdout.write(`${file}\n`);
  }
}
