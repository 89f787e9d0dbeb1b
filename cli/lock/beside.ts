/** Files that are locked by a path: whether they lie beside the lock file as they were locked. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isLocalPath } from "../../components/plan/artifact-url.ts";
import type { UsedArtifact } from "./artifact.ts";

/**
 * Problems of the files that are locked by a path. https URLs are left alone, and archives of images, which a mirror has.
 * @param directory folder of the lock file
 */
export function besideProblems(directory: string, used: readonly UsedArtifact[]): string[] {
  return used.flatMap(({ locked, field, hash }) => {
    if (locked === undefined || !isLocalPath(locked.url) || hash.kind === "image-archive") return [];
    const path = join(directory, locked.url);
    const found = sha256Of(path);
    if (found === locked.sha256) return [];
    const what = found === undefined ? "cannot be read" : `has SHA-256 ${found}, locked is ${locked.sha256}`;
    return [`${path}: ${what}, needed by ${field} - restore it from Git, or remove the entry and run edge-fleet lock`];
  });
}

function sha256Of(path: string): string | undefined {
  try {
    return createHash("sha256").update(readFileSync(path)).digest("hex");
  } catch {
    return undefined;
  }
}
