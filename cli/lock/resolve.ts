/**
 * Finds out what a file is that the fleet uses, byte for byte: its SHA-256 and, where the server tells, its size. Large
 * files go through the workstation's artifact cache, where `up` and the mirror find them again.
 */
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { type Digests, digestsOf, fetchFile } from "../../components/artifacts/fetch-file.ts";
import { contentLength, download, type HttpBounds, TransientError } from "../../components/artifacts/http.ts";
import type { ArtifactFile } from "../../components/inventory/index.ts";
import type { LockScalar, ReleaseBases, SignatureSource, SnapPart, UsedArtifact } from "./artifact.ts";
import { trimDefinition } from "./definition.ts";
import { type ArchivedImage, cacheImageArchive, imageArchivePath } from "./image-archive.ts";
import { imagesOf } from "./images.ts";
import { parseImage, Registry } from "./registry.ts";
import { fetchAssertions, findSnap, type SnapRevision } from "./snap-store.ts";
import { decideKey, isSigned, parseKey, parseSignature } from "./sources/signature.ts";

/** Longest list of hashes; K3s' has under ten lines, K0s' under a hundred. */
const MAX_LIST_BYTES = 64 * 1024;
/** Longest manifest; Argo CD's longest has about 1 MB. */
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;
/** Longest key or signature; cosign's have under 200 bytes. */
const MAX_SIGNATURE_BYTES = 4 * 1024;
/** Longest archive or binary; K0s' has about 250 MB. */
const MAX_ARCHIVE_BYTES = 512 * 1024 * 1024;

/** What a file turned out to be. */
export interface ResolvedEntry {
  readonly file: ArtifactFile;
  /** Written with the entry. */
  readonly scalars: readonly LockScalar[];
  /** A small file that belongs beside the lock file: its path from there, and its text. */
  readonly beside?: { readonly path: string; readonly text: string };
  /** What a person has to look at before the lock file is committed. */
  readonly note?: string;
}

/** What one run resolves with. */
export interface ResolveContext {
  readonly bases: ReleaseBases;
  /** The workstation's artifact cache. */
  readonly cache: string;
  /** Default: those of http.ts. */
  readonly bounds?: HttpBounds;
  /** Snaps of this run, so that a snap and its assertions are of one revision. Starts empty. */
  readonly snaps: Map<string, Promise<ResolvedSnap>>;
  /** Locked hashes, and the key that signs K0s, may be replaced by others. */
  readonly acceptChanged: boolean;
}

interface ResolvedSnap {
  readonly snap: SnapRevision;
  readonly digests: Digests;
  readonly assertions: string;
}

/**
 * Resolves one file. What is locked and could only be compared by a large download is left as it is.
 * @throws Error naming the URL, when it cannot be reached or its hash is not told
 */
export async function resolveUsed(used: UsedArtifact, context: ResolveContext): Promise<ResolvedEntry> {
  const { url, hash, locked, scalars = [] } = used;
  if (hash.kind === "snap")
    return locked === undefined ? resolveSnap(hash.snap, used, context) : { file: locked, scalars };
  if (hash.kind === "image-archive")
    return { file: locked ?? (await resolveImageArchive(hash.image, context)), scalars };
  if (hash.kind === "image") return { file: locked ?? (await resolveImage(hash, context.bounds)), scalars };
  if (hash.kind === "list") {
    const file = await resolveListed(hash, context.bounds);
    const isNew = locked === undefined || (context.acceptChanged && locked.sha256 !== file.sha256);
    if (hash.signature === undefined || !isNew) return { file, scalars };
    const key = await verifySigned(file, hash.url, hash.signature, context);
    return { file, ...key, scalars: [...scalars, ...key.scalars] };
  }
  if (hash.kind === "archive")
    return {
      file: locked === undefined ? await resolveArchive(url, hash.published, context) : { ...locked, url },
      scalars,
    };
  const content = await download(url, MAX_MANIFEST_BYTES, context.bounds);
  if (content.length === 0) throw new Error(`${url}: is empty - check the base URL`);
  if (hash.kind === "file") return { file: locateText(url, content), scalars };
  const text = trimDefinition(content.toString("utf8"), url);
  return { file: locateText(hash.beside, text), scalars, beside: { path: hash.beside, text } };
}

function locateText(url: string, content: string | Buffer): ArtifactFile & { size: number } {
  return { url, sha256: createHash("sha256").update(content).digest("hex"), size: Buffer.byteLength(content) };
}

async function resolveImage(
  hash: Extract<UsedArtifact["hash"], { kind: "image" }>,
  bounds: HttpBounds | undefined,
): Promise<ArtifactFile> {
  const reference = "reference" in hash ? hash.reference : await namedImage(hash, bounds);
  const digest = await new Registry(parseImage(reference), bounds).digest();
  return { url: reference.replace(/@.*$/, ""), sha256: digest.replace("sha256:", "") };
}

async function resolveImageArchive(image: ArchivedImage, { cache, bounds }: ResolveContext): Promise<ArtifactFile> {
  const { sha256, size } = await cacheImageArchive(image, cache, bounds);
  return { url: imageArchivePath(image), sha256, size };
}

async function namedImage(
  { name, manifest }: { readonly name: string; readonly manifest: string },
  bounds: HttpBounds | undefined,
): Promise<string> {
  const text = (await download(manifest, MAX_MANIFEST_BYTES, bounds)).toString("utf8");
  const references = parseAllDocuments(text).flatMap((document) => imagesOf(document.toJS()));
  const reference = references.find((image) => parseImage(image).repository.split("/").at(-1) === name);
  if (reference === undefined) throw new Error(`${manifest}: names no image ${name} - check the base URL`);
  return reference;
}

async function resolveListed(
  hash: Extract<UsedArtifact["hash"], { kind: "list" }>,
  bounds: HttpBounds | undefined,
): Promise<ArtifactFile> {
  const list = (await download(hash.url, MAX_LIST_BYTES, bounds)).toString("utf8");
  for (const { name, url } of hash.files) {
    const sha256 = findHash(list, name);
    if (sha256 === undefined) continue;
    const size = await contentLength(url, bounds);
    return { url, sha256, ...(size === undefined ? {} : { size }) };
  }
  const names = hash.files.map(({ name }) => name).join(", nor for ");
  throw new Error(`${hash.url}: has no line for ${names} - check the base URL: it is no list of this release`);
}

/** Key and signature come first: where they are not right, the large file is not fetched. */
async function verifySigned(file: ArtifactFile, list: string, source: SignatureSource, context: ResolveContext) {
  const key = parseKey(await downloadSmall(source.key, context.bounds), source.key);
  const decision = decideKey(key.sha256, source, context.acceptChanged);
  const url = `${file.url}.sig`;
  const signature = parseSignature((await downloadSmall(url, context.bounds)).toString("latin1"), url);
  const path = await listedInCache(file, list, context);
  if (!(await isSigned(key, signature, createReadStream(path, { highWaterMark: 1024 * 1024 }))))
    throw new Error(
      `${file.url}: is not signed by key ${key.sha256} - do not use these bytes: use another base URL, or another release`,
    );
  return decision;
}

async function downloadSmall(url: string, bounds: HttpBounds | undefined): Promise<Buffer> {
  try {
    return await download(url, MAX_SIGNATURE_BYTES, bounds);
  } catch (error) {
    if (!(error instanceof Error) || error instanceof TransientError) throw error;
    throw new Error(`${error.message}; a binary is locked only with its signature`, { cause: error });
  }
}

async function listedInCache({ url, sha256: wanted }: ArtifactFile, list: string, context: ResolveContext) {
  const path = join(context.cache, wanted);
  if (existsSync(path) && (await digestsOf(path)).sha256 === wanted) return path;
  await fetchIntoCache(url, context, ({ sha256 }) => {
    if (sha256 !== wanted)
      throw new Error(`${url}: has SHA-256 ${sha256}, ${list} says ${wanted} - use another base URL`);
  });
  return path;
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

async function resolveArchive(url: string, published: string | undefined, context: ResolveContext) {
  const { sha256, size } = await fetchIntoCache(url, context, ({ sha256 }) => {
    if (published !== undefined && sha256 !== published)
      throw new Error(`${url}: has SHA-256 ${sha256}, upstream published ${published} - use another base URL`);
  });
  return { url, sha256, size };
}

async function resolveSnap(part: SnapPart, used: UsedArtifact, context: ResolveContext): Promise<ResolvedEntry> {
  const key = `${part.name} ${part.version} ${part.architecture} ${part.pick}`;
  const pending = context.snaps.get(key) ?? downloadSnap(part, context);
  context.snaps.set(key, pending);
  const { snap, digests, assertions } = await pending;
  const revision = { path: used.path.slice(0, -1).map(String).concat("revision"), value: snap.revision };
  const scalars = part.pick === "release" ? [revision] : [];
  if (part.part === "snap") return { file: { url: snap.url, sha256: digests.sha256, size: digests.size }, scalars };
  const path = `assertions/${snap.name}_${snap.revision}.assert`;
  return { file: locateText(path, assertions), scalars, beside: { path, text: assertions } };
}

async function downloadSnap(part: SnapPart, context: ResolveContext): Promise<ResolvedSnap> {
  const snap = await findSnap(context.bases.snap, part, context.bounds);
  const digests = await fetchIntoCache(snap.url, context, ({ sha3_384 }) => {
    if (sha3_384 !== snap.sha3_384)
      throw new Error(`${snap.url}: has SHA3-384 ${sha3_384}, the store says ${snap.sha3_384} - run again`);
  });
  return { snap, digests, assertions: await fetchAssertions(context.bases.snap, snap, context.bounds) };
}

/** Downloads a file whose SHA-256 is not known yet, and keeps it under that SHA-256 where it is the right one. */
async function fetchIntoCache(
  url: string,
  { cache, bounds }: ResolveContext,
  check: (digests: Digests) => void,
): Promise<Digests> {
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const temporary = join(cache, `lock-${randomBytes(6).toString("hex")}`);
  try {
    const digests = await fetchFile(url, temporary, {
      maxBytes: MAX_ARCHIVE_BYTES,
      ...(bounds === undefined ? {} : { bounds }),
    });
    if (digests.size === 0) throw new Error(`${url}: is empty - check the base URL`);
    check(digests);
    renameSync(temporary, join(cache, digests.sha256));
    return digests;
  } finally {
    for (const path of [temporary, `${temporary}.part`]) rmSync(path, { force: true });
  }
}
