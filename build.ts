/**
 * Builds the package: the TypeScript of `components/` and `cli/` becomes JavaScript and declarations in `dist/`, and what
 * else lies there (shell programs) is copied to the same place, since code reads it relative to itself. The JSON Schemas of the
 * inventory, for editors, are made from what the loader accepts.
 */
import { spawnSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { inventorySchemas } from "./components/inventory/index.ts";

const ROOT = import.meta.dirname;
const DIST = join(ROOT, "dist");

rmSync(DIST, { recursive: true, force: true });
const tsc = createRequire(import.meta.url).resolve("typescript/lib/tsc.js");
const { status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: ROOT, stdio: "inherit" });
if (status === 0) {
  copyData();
  writeSchemas();
} else process.exitCode = 1;

function copyData(): void {
  const paths = globSync("{components,cli}/**/*", { cwd: ROOT, exclude: ["**/*.{ts,js}"] });
  for (const path of paths.filter((each) => statSync(join(ROOT, each)).isFile()))
    cpSync(join(ROOT, path), join(DIST, path));
}

function writeSchemas(): void {
  const folder = join(DIST, "components", "inventory", "schema");
  mkdirSync(folder);
  for (const [name, text] of Object.entries(inventorySchemas())) writeFileSync(join(folder, name), text);
}
