/**
 * Golden files: what a function emits, kept under `test/golden` and compared byte for byte. `UPDATE_GOLDEN=1` (set by
 * `npm test -- --update`) writes them instead; the diff is then reviewed like code.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname, "golden");

/**
 * Asserts that `actual` equals the golden file.
 * @param name path below `test/golden`, e.g. `device/nuc-4g.payload`
 * @param actual what the code under test emitted
 * @throws AssertionError with the difference, or naming the missing file
 */
export function assertGolden(name: string, actual: string): void {
  const file = join(ROOT, name);
  if (process.env.UPDATE_GOLDEN === "1") {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, actual);
    return;
  }
  assert.ok(existsSync(file), `golden file ${file} is missing - review the output and run with --update`);
  assert.equal(actual, readFileSync(file, "utf8"), `${name} differs - if intended, run with --update`);
}
