/**
 * A file of the inventory, replaced as a whole: read at the moment of writing, edited, compared once more for an edit made
 * meanwhile, and swapped in (temporary file, fsync, rename).
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { FileError, readTextFile } from "../../components/inventory/read.ts";

/** Times that an edit is done again because the file changed under it. */
const MAX_ATTEMPTS = 10;

/**
 * Replaces a file's text atomically; when it changes between reading and replacing, the edit is made on the new text.
 * @param edit from the present text, undefined where there is no file, to the new one; may be called several times
 * @throws Error naming the file when it cannot be read, edited or written
 */
export function rewriteFile(file: string, edit: (text: string | undefined) => string): void {
  try {
    const target = existsSync(file) ? realpathSync(file) : file;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const before = textOf(target);
      const after = edit(before);
      if (after === before || replaceIfUnchanged(target, before, after)) return;
    }
    throw new Error("somebody else keeps writing it - close the other program and run again");
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new Error(`${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function textOf(file: string): string | undefined {
  return existsSync(file) ? readTextFile(file) : undefined;
}

function replaceIfUnchanged(target: string, before: string | undefined, after: string): boolean {
  const temporary = `${target}.${randomBytes(6).toString("hex")}.tmp`;
  const mode = before === undefined ? 0o666 : statSync(target).mode & 0o777;
  try {
    writeFileSync(temporary, after, { mode, flag: "wx" });
    syncFile(temporary);
    if (textOf(target) !== before) return false;
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
