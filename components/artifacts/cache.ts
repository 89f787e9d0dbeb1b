/**
 * The workstation's artifact cache: one file per SHA-256. It hands out a local file whose bytes have been checked, and
 * downloads what is not there. A download that breaks off goes on in the next run.
 */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ArtifactFile } from "../../components/inventory/index.ts";
import { digestsOf, fetchFile } from "./fetch-file.ts";

/** A checked file on the workstation. */
export interface CachedArtifact {
  readonly path: string;
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
}

/** `$XDG_CACHE_HOME/edge-fleet/artifacts`, else below ~/.cache. */
export function defaultCacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment.XDG_CACHE_HOME || join(homedir(), ".cache");
  return join(base, "edge-fleet", "artifacts");
}

/**
 * The artifact as a local file.
 * @param directory cache folder; made when it is missing
 * @throws Error naming the URL when the download fails or its bytes are not the locked ones
 */
export async function cachedArtifact(directory: string, artifact: ArtifactFile): Promise<CachedArtifact> {
  const { sha256, url } = artifact;
  const path = join(directory, sha256);
  if (existsSync(path)) {
    const found = await digestsOf(path);
    if (found.sha256 === sha256) return { path, sha256, size: found.size };
    rmSync(path);
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { size } = await fetchFile(url, path, { sha256 });
  return { path, sha256, size };
}

/**
 * A file that is locked by its path beside the lock file.
 * @param directory the inventory's folder
 * @throws Error naming the file when it is not there or has other bytes than the locked ones
 */
export async function besideArtifact(directory: string, { url, sha256 }: ArtifactFile): Promise<CachedArtifact> {
  const path = join(directory, url);
  const found = existsSync(path) ? await digestsOf(path) : undefined;
  if (found === undefined) throw new Error(`${path}: is missing - restore it from Git, or run edge-fleet lock`);
  if (found.sha256 !== sha256)
    throw new Error(`${path}: has SHA-256 ${found.sha256}, locked is ${sha256} - restore it from Git`);
  return { path, sha256, size: found.size };
}
