/**
 * Decisions into the lock file: its text is edited through the YAML document, so that comments and the entries of other
 * versions stay, and the file is swapped in whole. Small files that belong beside it are written before it.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { parse, parseDocument, stringify } from "yaml";
import { replaceFile } from "../../components/gitops/disk.ts";
import type { ArtifactFile, ArtifactsLock } from "../../components/inventory/index.ts";
import { rewriteFile } from "../inventory-edit/write.ts";
import type { LockDecision } from "./decide.ts";
import { LOCK_FILE } from "./plan.ts";

/** Text of a lock file that does not exist yet. */
const NEW_FILE = `# What each version is, byte for byte. Written by \`edge-fleet lock\`; reviewed and committed like code.

`;

/**
 * Writes what was decided.
 * @param directory the inventory's folder
 * @returns whether the file was written
 * @throws Error naming the file
 */
export function writeLock(directory: string, decisions: readonly LockDecision[]): boolean {
  const changes = decisions.filter(({ state }) => state !== "kept" && state !== "refused");
  if (changes.length === 0) return false;
  for (const { beside } of changes.map(({ rest }) => rest))
    if (beside !== undefined) createFile(join(directory, beside.path), beside.text);
  const file = join(directory, LOCK_FILE);
  rewriteFile(file, (text = NEW_FILE) => editLock(text, changes));
  return true;
}

/**
 * Edits the text of the lock file.
 * @param changes entries to add or to replace
 * @throws Error when the text is not YAML
 */
export function editLock(text: string, changes: readonly LockDecision[]): string {
  const document = parseDocument(text);
  const problem = document.errors[0];
  if (problem !== undefined) throw new Error(`${problem.message} - fix the syntax`);
  for (const { used } of changes) for (const path of used.replaces ?? []) document.deleteIn(path);
  for (const { used, resolved, rest } of changes) {
    for (const { path, value } of rest.scalars) document.setIn(path, value);
    if (used.hash.kind === "image") {
      document.setIn(used.path, imageByDigest(resolved));
      continue;
    }
    if (!document.hasIn(used.path)) {
      document.setIn(used.path, document.createNode({ ...resolved }));
      continue;
    }
    document.setIn([...used.path, "url"], resolved.url);
    document.setIn([...used.path, "sha256"], resolved.sha256);
    if (resolved.size === undefined) document.deleteIn([...used.path, "size"]);
    else document.setIn([...used.path, "size"], resolved.size);
  }
  return document.toString({ lineWidth: 0 });
}

/** What the lock file says once the decisions are in it. */
export function lockAfter(lock: ArtifactsLock, decisions: readonly LockDecision[]): ArtifactsLock {
  return parse(editLock(stringify(lock), decisions)) as ArtifactsLock;
}

/** An image as the lock file has it. */
export function imageByDigest({ url, sha256 }: ArtifactFile): string {
  return `${url}@sha256:${sha256}`;
}

function createFile(file: string, text: string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    replaceFile(file, text, temporary);
  } finally {
    rmSync(temporary, { force: true });
  }
}
