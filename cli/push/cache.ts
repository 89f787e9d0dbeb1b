/**
 * The controller's artifact cache: one file per SHA-256. From a locked artifact to a local file whose bytes have been
 * checked, downloaded first when it is not there.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ArtifactFile } from "../../components/inventory/index.ts";

/** A checked file on the controller. */
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
    const actual = await sha256Of(path);
    if (actual === sha256) return { path, sha256, size: statSync(path).size };
    rmSync(path);
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await download(url, temporary);
    const actual = await sha256Of(temporary);
    if (actual !== sha256)
      throw new Error(`has SHA-256 ${actual}, locked is ${sha256} - mend the mirror or the lock file`);
    renameSync(temporary, path);
  } catch (error) {
    throw new Error(`${url}: ${messageOf(error)}`, { cause: error });
  } finally {
    rmSync(temporary, { force: true });
  }
  return { path, sha256, size: statSync(path).size };
}

async function download(url: string, file: string): Promise<void> {
  const response = await fetch(url, { redirect: "follow", signal: AbortSignal.timeout(30 * 60_000) });
  if (!response.ok || response.body === null)
    throw new Error(`HTTP ${response.status} - check the URL, or put the file into the cache by hand`);
  await pipeline(Readable.fromWeb(response.body as never), createWriteStream(file, { mode: 0o600 }));
}

/** SHA-256 of a file in lower-case hex. */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
