/**
 * From a file that the fleet uses to what it is, byte for byte: its SHA-256 and, where the server tells, its size.
 */
import { createHash } from "node:crypto";
import type { ArtifactFile } from "../../components/inventory/index.ts";
import { contentLength, download, type HttpBounds } from "./http.ts";
import type { UsedArtifact } from "./plan.ts";

/** Longest list of hashes; K3s' has under ten lines. */
const MAX_LIST_BYTES = 64 * 1024;
/** Longest manifest; Argo CD's longest has about 1 MB. */
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;

/**
 * Resolves one file.
 * @throws Error naming the URL, when it cannot be reached or its hash is not told
 */
export async function resolveUsed({ url, hash }: UsedArtifact, bounds?: HttpBounds): Promise<ArtifactFile> {
  if (hash.kind === "file") {
    const content = await download(url, MAX_MANIFEST_BYTES, bounds);
    if (content.length === 0) throw new Error(`${url}: is empty - check the base URL`);
    return { url, sha256: createHash("sha256").update(content).digest("hex"), size: content.length };
  }
  const list = await download(hash.url, MAX_LIST_BYTES, bounds);
  const sha256 = findHash(list.toString("utf8"), hash.name);
  if (sha256 === undefined)
    throw new Error(`${hash.url}: has no line for ${hash.name} - check the base URL: it is no list of this release`);
  const size = await contentLength(url, bounds);
  return { url, sha256, ...(size === undefined ? {} : { size }) };
}

/**
 * The hash of a file in the output of `sha256sum`: `<hash>  <name>`, or `<hash> *<name>` for binary mode.
 * @returns undefined when no line, or lines that contradict each other, name the file
 */
export function findHash(list: string, name: string): string | undefined {
  const hashes = new Set<string>();
  for (const line of list.split(/\r?\n/)) {
    const [, hash, file] = /^([0-9a-f]{64}) [ *](.+)$/.exec(line) ?? [];
    if (hash !== undefined && file === name) hashes.add(hash);
  }
  return hashes.size === 1 ? [...hashes][0] : undefined;
}
