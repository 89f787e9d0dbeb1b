import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { generatedFiles } from "../../../cli/commands/schema.ts";
import { DEFAULT_SETTINGS } from "../../../components/inventory/index.ts";
import { inventoryReference } from "../../../components/inventory/reference.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..", "..");

for (const [path, text] of generatedFiles()) {
  test(`${path} is up to date; if not, run: npx edge-fleet schema --write`, () => {
    assert.equal(readFileSync(join(REPOSITORY, path), "utf8"), text);
  });
}

test("every setting that has a default is in the reference", () => {
  const [settings = ""] = inventoryReference().split("## fleet.yaml");
  const groups: Readonly<Record<string, unknown>> = DEFAULT_SETTINGS;
  const paths = Object.entries(groups).flatMap(([key, value]) =>
    typeof value === "object" && value !== null ? Object.keys(value).map((name) => `${key}.${name}`) : [key],
  );
  for (const path of paths) assert.ok(settings.includes(`| \`${path}\` |`), path);
});

test("the reference names required fields and the values of a choice, and breaks no table", () => {
  const lines = inventoryReference().split("\n");
  assert.ok(
    lines.includes(
      "| `git.url` (required) | string | URL of the Git repository that holds the emitted tree, as devices reach it |",
    ),
  );
  assert.ok(lines.some((line) => line.startsWith("| `architecture` (required) | `amd64`, `arm64` |")));
  for (const line of lines.filter((text) => text.startsWith("|")))
    assert.equal(line.replaceAll("\\|", "").split("|").length, 5, line);
});
