/**
 * The tree's folder as the disk has it: looks at one path without following links, and replaces one file so that a
 * reader sees either the old bytes or the new ones.
 */
import { lstatSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What stands at a path. */
export type DiskEntry =
  | { readonly kind: "absent" }
  | { readonly kind: "file"; readonly content: string }
  /** Something that must not be written through. */
  | { readonly kind: "obstructed"; readonly reason: string };

/**
 * Looks at a path below a folder.
 * @param path relative, with `/`; one that leaves the folder or passes a symbolic link is reported as obstructed
 */
export function inspect(directory: string, path: string): DiskEntry {
  const segments = path.split("/");
  if (segments.some((segment) => ["", ".", ".."].includes(segment) || /[\\\0]/.test(segment)))
    return { kind: "obstructed", reason: "the path leaves the folder of the tree" };
  for (const [index] of segments.entries()) {
    const part = segments.slice(0, index + 1).join("/");
    const status = lstatSync(join(directory, part), { throwIfNoEntry: false });
    if (status === undefined) return { kind: "absent" };
    if (status.isSymbolicLink()) return { kind: "obstructed", reason: `${part} is a symbolic link` };
    const last = index === segments.length - 1;
    if (!last && !status.isDirectory()) return { kind: "obstructed", reason: `${part} is not a folder` };
    if (last && !status.isFile()) return { kind: "obstructed", reason: `${part} is not a regular file` };
  }
  return { kind: "file", content: readFileSync(join(directory, path), "utf8") };
}

/**
 * Replaces a file in one step: writes `temporary`, flushes it, renames it. Makes the folders of the target.
 * @param temporary path on the same file system
 */
export function replaceFile(target: string, content: string, temporary: string): void {
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(temporary, content, { flush: true });
  renameSync(temporary, target);
}
