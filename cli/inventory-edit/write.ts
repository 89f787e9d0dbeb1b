/**
 * Enrolments into the inventory files: each file is read at the moment of writing, edited, checked once more for an edit
 * made meanwhile, and swapped in whole (temporary file, fsync, rename).
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { editCsv } from "./csv.ts";
import type { EditedText, EntryEdit } from "./edit.ts";
import { editYaml } from "./yaml.ts";

/** Times that an edit is done again because the file changed under it. */
const MAX_ATTEMPTS = 10;

/** An edit and the file that it belongs to. */
export interface FileEdit extends EntryEdit {
  /** Path of the YAML or CSV file that holds the entry. */
  readonly file: string;
}

/**
 * Writes enrolments, one write per file.
 * @param edits any number, of any files
 * @returns messages for the edits that were left out, by device id
 * @throws Error naming the file when it cannot be read, parsed or written
 */
export function writeEnrolments(edits: readonly FileEdit[]): Map<string, string> {
  const conflicts = new Map<string, string>();
  for (const [file, own] of Map.groupBy(edits, ({ file }) => file)) {
    const edit = file.endsWith(".csv") ? editCsv : editYaml;
    const result = rewriteFile(file, (text) => edit(text, own));
    for (const [id, message] of result.conflicts) conflicts.set(id, message);
  }
  return conflicts;
}

/**
 * Replaces a file's text atomically; when it changes between reading and replacing, the edit is made on the new text.
 * @param edit from the present text to the new one; may be called several times
 * @throws Error naming the file
 */
export function rewriteFile(file: string, edit: (text: string) => EditedText): EditedText {
  try {
    const target = realpathSync(file);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const before = readFileSync(target, "utf8");
      const result = edit(before);
      if (result.text === before || replaceIfUnchanged(target, before, result.text)) return result;
    }
    throw new Error("somebody else keeps writing it - close the other program and run again");
  } catch (error) {
    throw new Error(`${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function replaceIfUnchanged(target: string, before: string, after: string): boolean {
  const temporary = `${target}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    writeFileSync(temporary, after, { mode: statSync(target).mode & 0o777, flag: "wx" });
    syncFile(temporary);
    if (readFileSync(target, "utf8") !== before) return false;
    renameSync(temporary, target);
    return true;
  } finally {
    rmSync(temporary, { force: true });
  }
}

function syncFile(path: string): void {
  const descriptor = openSync(path, "r+");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
