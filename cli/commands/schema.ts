/** `edge-fleet schema`: what the inventory files may hold, as JSON Schemas; and, in a checkout, the pages made from it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { inventorySchemas } from "../../components/inventory/index.ts";
import { inventoryReference } from "../../components/inventory/reference.ts";
import { PREFLIGHT_PAGE, preflightReference } from "../../components/plan/preflight.ts";
import { UsageError } from "../exit.ts";
import { documentReference, documentSchemas } from "../json/reference.ts";
import { IS_CHECKOUT, PACKAGE_FOLDER } from "../package.ts";
import { printJson } from "./options.ts";

/** Where a generated page goes, relative to the repository, and its text. */
export function generatedFiles(): ReadonlyMap<string, string> {
  return new Map([
    ["docs/inventory.md", inventoryReference()],
    [PREFLIGHT_PAGE, preflightReference()],
    ["docs/json.md", documentReference()],
  ]);
}

/** Registers the command. */
export function registerSchema(program: Command): void {
  program
    .command("schema", { hidden: true })
    .description("print the JSON Schemas of the inventory files")
    .option("--json", "print those of what the commands print with --json")
    .option("--write", "write the generated pages to docs of this checkout instead")
    .action((options: { write?: true; json?: true }) => {
      const schemas = Object.entries(inventorySchemas()).map(([name, text]) => [name, JSON.parse(text)]);
      if (!options.write) printJson(options.json ? documentSchemas() : Object.fromEntries(schemas));
      else if (IS_CHECKOUT) writeFiles(PACKAGE_FOLDER, generatedFiles());
      else throw new UsageError("--write is for a checkout of edge-fleet - leave it out");
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
