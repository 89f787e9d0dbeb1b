/**
 * Writes the image of one architecture as one file, an archive in OCI's image layout, which a container runtime imports
 * under the names that pods ask for. The same image always gives the same bytes.
 * https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 */
import { createReadStream, createWriteStream, existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Pack, pack } from "tar-stream";
import { type Digests, digestsOf, fetchFile } from "../../components/artifacts/fetch-file.ts";
import { DEFAULT_BOUNDS, type HttpBounds } from "../../components/artifacts/http.ts";
import type { Profile } from "../../components/inventory/index.ts";
import { imageName } from "../../components/plan/engine-images.ts";
import { type ImageReference, parseImage, Registry } from "./registry.ts";

/** Which image of which machines. */
export interface ArchivedImage {
  /** With its digest, e.g. `quay.io/argoproj/argocd:v3.2.11@sha256:2cf2...`. */
  readonly reference: string;
  readonly architecture: Profile["architecture"];
}

interface Descriptor {
  readonly mediaType?: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os?: string; readonly architecture?: string };
}

interface Manifest {
  readonly mediaType?: string;
  readonly manifests?: readonly Descriptor[];
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
}

/** A blob of the archive: small ones as they are, layers as files. */
type Blob = { readonly digest: string } & ({ readonly content: Buffer } | { readonly file: string });

/** The annotation by which containerd names what it imports: core/images/annotations.go. */
const NAME = "io.containerd.image.name";
const LAYOUT = JSON.stringify({ imageLayoutVersion: "1.0.0" });
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Path of an image's archive below a mirror, e.g. `images/argocd-2cf24dba5fb0-arm64.tar`. */
export function imageArchivePath({ reference, architecture }: ArchivedImage): string {
  const digest = reference.split("@sha256:")[1] ?? "";
  return `images/${imageName(reference)}-${digest.slice(0, 12)}-${architecture}.tar`;
}

/**
 * Makes the archive in the workstation's artifact cache, under its hash.
 * @param cache the folder
 * @throws Error as {@link writeImageArchive}
 */
export async function cacheImageArchive(
  image: ArchivedImage,
  cache: string,
  bounds: HttpBounds = DEFAULT_BOUNDS,
): Promise<Digests> {
  const folder = join(cache, imageArchivePath(image));
  const temporary = `${folder}.${process.pid}.tmp`;
  try {
    await writeImageArchive(image, temporary, folder, bounds);
    const digests = await digestsOf(temporary);
    renameSync(temporary, join(cache, digests.sha256));
    return digests;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/**
 * Makes the archive.
 * @param target path of the archive
 * @param folder for the image's layers while they come: what has arrived stays there when a download breaks off
 * @throws Error naming the image or the URL, what happened and the fix
 */
export async function writeImageArchive(
  image: ArchivedImage,
  target: string,
  folder: string,
  bounds: HttpBounds = DEFAULT_BOUNDS,
): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const parsed = parseImage(image.reference);
  const registry = new Registry(parsed, bounds);
  const { index, blobs, descriptors } = await findImage(image, parsed, registry);
  for (const descriptor of descriptors)
    blobs.push({ digest: descriptor.digest, file: await fetchBlob(descriptor, registry, folder) });
  const archive = pack();
  await Promise.all([
    fillArchive(archive, index, blobs),
    pipeline(archive, createWriteStream(target, { mode: 0o600 })),
  ]);
  rmSync(folder, { recursive: true, force: true });
}

/** What the reference names, down to the image of one architecture. */
async function findImage({ reference, architecture }: ArchivedImage, parsed: ImageReference, registry: Registry) {
  if (parsed.digest === undefined) throw new Error(`image ${reference} has no digest - run edge-fleet lock`);
  const named = await registry.manifest(parsed.digest);
  const top = JSON.parse(named.toString("utf8")) as Manifest;
  const blobs: Blob[] = [{ digest: parsed.digest, content: named }];
  let manifest = top;
  if (top.manifests !== undefined) {
    const own = top.manifests.find(
      ({ platform }) => platform?.os === "linux" && platform.architecture === architecture,
    );
    if (own === undefined) throw new Error(`image ${reference} has nothing for ${architecture} - use another release`);
    const content = await registry.manifest(own.digest);
    blobs.push({ digest: own.digest, content });
    manifest = JSON.parse(content.toString("utf8")) as Manifest;
  }
  const { config, layers } = manifest;
  if (config === undefined || layers === undefined)
    throw new Error(`image ${reference} has a manifest of another kind than OCI's and Docker's - use another release`);
  const descriptor = { mediaType: top.mediaType ?? mediaTypeOf(top), digest: parsed.digest, size: named.length };
  const repository = `${parsed.registry}/${parsed.repository}`;
  const manifests = [`${repository}:${parsed.tag}`, `${repository}@${parsed.digest}`].map((name) => ({
    ...descriptor,
    annotations: { [NAME]: name },
  }));
  return { index: JSON.stringify({ schemaVersion: 2, manifests }), blobs, descriptors: [config, ...layers] };
}

/** A manifest need not say what it is, then it is OCI's. */
function mediaTypeOf({ manifests }: Manifest): string {
  return `application/vnd.oci.image.${manifests === undefined ? "manifest" : "index"}.v1+json`;
}

async function fetchBlob({ digest }: Descriptor, registry: Registry, folder: string): Promise<string> {
  if (!DIGEST.test(digest)) throw new Error(`${registry.url}: names a blob without a SHA-256 - use another release`);
  const sha256 = digest.slice("sha256:".length);
  const file = join(folder, sha256);
  if (existsSync(file)) return file;
  await fetchFile(registry.blob(digest), file, { sha256, headers: await registry.headers() });
  return file;
}

/** In the order of names, with no time and no owner of the workstation. */
async function fillArchive(archive: Pack, index: string, blobs: readonly Blob[]): Promise<void> {
  try {
    const small = (content: string): Blob => ({ digest: "", content: Buffer.from(content) });
    const unique = new Map(blobs.map((blob) => [`blobs/sha256/${blob.digest.slice("sha256:".length)}`, blob]));
    const entries: [string, Blob][] = [...unique].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, blob] of [...entries, ["index.json", small(index)], ["oci-layout", small(LAYOUT)]] as const)
      await addEntry(archive, name, blob);
    archive.finalize();
  } catch (error) {
    archive.destroy(error instanceof Error ? error : new Error(String(error)));
    throw error;
  }
}

async function addEntry(archive: Pack, name: string, blob: Blob): Promise<void> {
  const size = "content" in blob ? blob.content.length : statSync(blob.file).size;
  const header = { name, size, mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 };
  if ("content" in blob) archive.entry(header, blob.content);
  else await pipeline(createReadStream(blob.file, { highWaterMark: 1024 * 1024 }), archive.entry(header));
}
