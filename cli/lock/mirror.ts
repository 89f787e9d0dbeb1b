/**
 * Fills and checks the folder of a mirror, and tells what was fetched, is missing or is wrong. Every file is checked
 * against the lock, appears in one step, and a download that breaks off goes on next time.
 */
import { copyFileSync, existsSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { digestsOf, fetchFile } from "../../components/artifacts/fetch-file.ts";
import type { HttpBounds } from "../../components/artifacts/http.ts";
import { replaceFile } from "../../components/gitops/disk.ts";
import type { ArtifactFile } from "../../components/inventory/index.ts";
import { isLocalPath } from "../../components/plan/artifact-url.ts";
import { mapBounded } from "../parallel.ts";
import { Progress } from "../terminal.ts";
import { type ArchivedImage, cacheImageArchive } from "./image-archive.ts";
import { IMAGES_FILE, type MirrorFile, mirrorSums, SUMS_FILE } from "./mirror-layout.ts";

/** What came of one file. */
export interface MirrorOutcome {
  readonly path: string;
  readonly state: "present" | "fetched" | "missing" | "failed";
  /** Why it failed or is missing; else empty. */
  readonly message: string;
}

/** What a mirror is filled from. */
export interface MirrorSources {
  /** The inventory's folder, which holds what is locked by path. */
  readonly directory: string;
  /** The workstation's artifact cache, whose files are copied instead of downloaded again. */
  readonly cache: string;
  /** Default: those of http.ts. */
  readonly bounds?: HttpBounds;
}

/** Files at work at a time. */
const PARALLEL = 2;

/** Compares a folder with the layout. Asks no server, changes nothing. */
export function checkMirror(folder: string, files: readonly MirrorFile[]): Promise<MirrorOutcome[]> {
  return eachFile(files, async ({ path, file, field }) => {
    const found = await stateOf(folder, path, file.sha256);
    if (found.kind === "right") return { path, state: "present", message: "" };
    const state = found.kind === "absent" ? "missing" : "failed";
    return { path, state, message: `${field}: ${found.message} - run edge-fleet lock --mirror without --check` };
  });
}

/** Fills a folder with what is missing or wrong in it, and writes {@link SUMS_FILE}. Never rejects for one file. */
export async function fillMirror(
  folder: string,
  files: readonly MirrorFile[],
  sources: MirrorSources,
): Promise<MirrorOutcome[]> {
  const outcomes = await eachFile(files, async (wanted) => {
    const state = await fill(folder, wanted, sources);
    return { path: wanted.path, state, message: "" };
  });
  const right = new Set(outcomes.filter(({ state }) => state !== "failed").map(({ path }) => path));
  const list = join(folder, SUMS_FILE);
  const before = existsSync(list) ? readFileSync(list, "utf8") : "";
  const there = files.filter(({ path }) => right.has(path));
  const after = mirrorSums(before, there, files);
  if (after !== before) replaceFile(list, after, `${list}.${process.pid}.tmp`);
  return outcomes;
}

/**
 * Looks after {@link IMAGES_FILE}: images of other fleets that share the mirror stay in it.
 * @param images by digest
 * @param write adds what is missing. Else that is told
 */
export function listImages(folder: string, images: readonly string[], write: boolean): MirrorOutcome[] {
  if (images.length === 0) return [];
  const list = join(folder, IMAGES_FILE);
  const before = existsSync(list) ? readFileSync(list, "utf8").split("\n").filter(Boolean) : [];
  const missing = images.filter((image) => !before.includes(image));
  if (missing.length === 0) return [{ path: IMAGES_FILE, state: "present", message: "" }];
  if (!write) {
    const message = `lacks ${missing.join(", ")} - run edge-fleet lock --mirror without --check`;
    return [{ path: IMAGES_FILE, state: "missing", message }];
  }
  const lines = [...new Set([...before, ...images])].sort();
  replaceFile(list, `${lines.join("\n")}\n`, `${list}.${process.pid}.tmp`);
  return [{ path: IMAGES_FILE, state: "fetched", message: "" }];
}

async function eachFile(
  files: readonly MirrorFile[],
  work: (file: MirrorFile) => Promise<MirrorOutcome>,
): Promise<MirrorOutcome[]> {
  const progress = new Progress("mirror", files.length);
  const outcomes = await mapBounded(files, PARALLEL, async (file): Promise<MirrorOutcome> => {
    try {
      return await work(file);
    } catch (error) {
      return { path: file.path, state: "failed", message: error instanceof Error ? error.message : String(error) };
    } finally {
      progress.advance();
    }
  });
  progress.end();
  return outcomes;
}

async function fill(
  folder: string,
  { path, file, field, image }: MirrorFile,
  { directory, cache, bounds }: MirrorSources,
): Promise<"present" | "fetched"> {
  const { url, sha256 } = file;
  const found = await stateOf(folder, path, sha256);
  if (found.kind === "right") return "present";
  const target = join(folder, path);
  if (found.kind === "obstructed") throw new Error(`${target}: ${found.message} - remove it`);
  const beside = isLocalPath(url) && image === undefined;
  const local = beside ? join(directory, url) : join(cache, sha256);
  if (existsSync(local) && (await digestsOf(local)).sha256 === sha256) copyWhole(local, target);
  else if (image !== undefined) copyWhole(await makeArchive(image, file, field, cache, bounds), target);
  else if (beside) throw new Error(`${local}: is not the locked file of ${field} - restore it from Git`);
  else await fetchFile(url, target, { sha256, ...(bounds === undefined ? {} : { bounds }) });
  return "fetched";
}

/** The archive in the cache, made anew. */
async function makeArchive(
  image: ArchivedImage,
  { sha256 }: ArtifactFile,
  field: string,
  cache: string,
  bounds: HttpBounds | undefined,
): Promise<string> {
  const made = await cacheImageArchive(image, cache, bounds);
  if (made.sha256 === sha256) return join(cache, sha256);
  throw new Error(`${field}: is made otherwise by this release - remove the entry and run edge-fleet lock`);
}

function copyWhole(source: string, target: string): void {
  const temporary = `${target}.${process.pid}.tmp`;
  mkdirSync(dirname(target), { recursive: true });
  try {
    copyFileSync(source, temporary);
    renameSync(temporary, target);
  } finally {
    rmSync(temporary, { force: true });
  }
}

interface Found {
  readonly kind: "right" | "absent" | "wrong" | "obstructed";
  readonly message: string;
}

/** A link on the way could lead out of the folder, so nothing is read or written through one. */
async function stateOf(folder: string, path: string, sha256: string): Promise<Found> {
  const names = path.split("/");
  for (const [index, name] of names.entries()) {
    const place = join(folder, ...names.slice(0, index), name);
    const status = lstatSync(place, { throwIfNoEntry: false });
    if (status === undefined) return { kind: "absent", message: "is not there" };
    const expected = index === names.length - 1 ? status.isFile() : status.isDirectory();
    if (!expected) return { kind: "obstructed", message: `${place} is a link or of another kind` };
  }
  const actual = await digestsOf(join(folder, path));
  if (actual.sha256 === sha256) return { kind: "right", message: "" };
  return { kind: "wrong", message: `has SHA-256 ${actual.sha256}, locked is ${sha256}` };
}
