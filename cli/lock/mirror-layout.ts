/**
 * A mirror is a folder that any web server can serve: each locked file under the path of its URL, which is where
 * `artifacts.mirror` makes devices look. Pure.
 */

import type { ArtifactFile } from "../../components/inventory/index.ts";
import { isLocalPath } from "../../components/plan/artifact-url.ts";
import type { ArchivedImage } from "./image-archive.ts";

/** The list of images that devices pull by digest, one a line: a registry holds them, not this folder. */
export const IMAGES_FILE = "images.txt";

/** A file of the mirror. */
export interface MirrorFile {
  /** Path below the mirror's folder, with `/`. */
  readonly path: string;
  readonly file: ArtifactFile;
  /** Place in the lock file, for messages. */
  readonly field: string;
  /** Of an archive of an image, which is made again where the workstation has none. Absent: any other file. */
  readonly image?: ArchivedImage;
}

/** The list that `sha256sum -c` reads. */
export const SUMS_FILE = "SHA256SUMS";

/**
 * Lays locked files out, in path order. Files of the same path and hash are one.
 * @throws Error naming the field, where a URL cannot be a path, or two files claim one
 */
export function planMirror(entries: readonly Omit<MirrorFile, "path">[]): MirrorFile[] {
  const files = new Map<string, MirrorFile>();
  for (const { field, file, image } of entries) {
    const path = mirrorPath(file.url, field);
    const other = files.get(path);
    if (other !== undefined && other.file.sha256 !== file.sha256)
      throw new Error(
        `${field}: has the path of ${other.field} in a mirror, ${path}, but other bytes - correct its URL`,
      );
    files.set(path, other ?? { path, file, field, ...(image === undefined ? {} : { image }) });
  }
  for (const { path, field } of files.values())
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
      const other = files.get(path.slice(0, end));
      if (other !== undefined) throw new Error(`${field}: lies below ${other.field} in a mirror - correct its URL`);
    }
  return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * The path of a locked file below a mirror: that of its URL, decoded as web servers do.
 * @throws Error naming the field, where a name could lead out of the folder, is hidden, or cannot stand in SHA256SUMS
 */
export function mirrorPath(url: string, field: string): string {
  const refuse = (why: string): Error => new Error(`${field}.url: ${why}, which no mirror can hold - correct the URL`);
  if (isLocalPath(url)) return url;
  if (!URL.canParse(url)) throw refuse("is neither a URL nor a path of plain names");
  const { pathname, search } = new URL(url);
  if (search !== "") throw refuse("has a query");
  const path = decodePath(pathname.slice(1));
  if (!path.split("/").every((name) => /^[A-Za-z0-9_@+~][A-Za-z0-9._@+~:,=-]*$/.test(name)))
    throw refuse("has a name that is hidden or has other characters than letters, digits and . _ @ + ~ : , = -");
  if (path === SUMS_FILE || path === IMAGES_FILE || path.endsWith(".part") || path.endsWith(".tmp"))
    throw refuse("has a name that the mirror uses itself");
  return path;
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return "";
  }
}

/**
 * The text of {@link SUMS_FILE}.
 * @param before its present text; lines of files that are not of this layout stay, so that fleets can share a mirror
 * @param files the files that are there and right
 * @param planned every path of the layout
 */
export function mirrorSums(before: string, files: readonly MirrorFile[], planned: readonly MirrorFile[]): string {
  const sums = new Map<string, string>();
  const own = new Set(planned.map(({ path }) => path));
  for (const line of before.split("\n")) {
    const [, sha256, path] = /^([0-9a-f]{64}) {2}(\S+)$/.exec(line) ?? [];
    if (sha256 !== undefined && path !== undefined && !own.has(path)) sums.set(path, sha256);
  }
  for (const { path, file } of files) sums.set(path, file.sha256);
  const lines = [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, sha256]) => `${sha256}  ${path}\n`);
  return lines.join("");
}
