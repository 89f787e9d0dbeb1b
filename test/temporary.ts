/** Temporary folders of the tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folders = new Set<string>();
process.once("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Makes a folder that is gone when this process ends, for helpers that have no test context to clean up after. */
export function processFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `edge-fleet-${name}-`));
  folders.add(folder);
  return folder;
}
