/**
 * Pinned manifests from where the lock file says they are, checked before anything reads them: a path beside the lock
 * file or an http(s) URL, and its SHA-256.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { ArtifactFile, ArtifactsLock } from "../inventory/index.ts";

/** A Kubernetes object as it stands in a manifest. */
export interface ManifestObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly [field: string]: unknown;
}

/** The parts of Argo CD that a hub installs. */
export interface ArgoCdManifests {
  /** CustomResourceDefinitions, once per hub. */
  readonly crds: readonly ManifestObject[];
  /** The namespaced install, whole. */
  readonly namespaceInstall: readonly ManifestObject[];
  /** Images by digest, as the lock has them. Absent: by the tags that the install names. */
  readonly images?: { readonly argocd?: string | undefined; readonly redis?: string | undefined } | undefined;
}

/** Milliseconds for one download. */
const DOWNLOAD_TIMEOUT_MS = 60_000;

/**
 * Reads the manifests of an Argo CD release.
 * @param directory folder of artifacts.lock.yaml, base of relative paths
 * @throws Error when the lock lacks the release, a file cannot be read, or its hash differs
 */
export async function loadArgoCd(version: string, lock: ArtifactsLock, directory: string): Promise<ArgoCdManifests> {
  const release = lock.argocd?.[version];
  if (release === undefined) {
    const known = Object.keys(lock.argocd ?? {}).join(", ") || "none";
    throw new Error(
      `${join(directory, "artifacts.lock.yaml")} argocd.${version}: is missing - add it, or use one of: ${known}`,
    );
  }
  const { controlPlane } = release;
  if (controlPlane === undefined)
    throw new Error(
      `${join(directory, "artifacts.lock.yaml")} argocd.${version}.controlPlane: is missing - run edge-fleet lock`,
    );
  const crds = await Promise.all(release.crds.map((file) => loadManifest(file, directory)));
  return {
    crds: crds.flat(),
    namespaceInstall: await loadManifest(controlPlane, directory),
    images: release.images,
  };
}

async function loadManifest(file: ArtifactFile, directory: string): Promise<ManifestObject[]> {
  const text = await readSource(file.url, directory);
  const found = createHash("sha256").update(text).digest("hex");
  if (found !== file.sha256) {
    throw new Error(
      `${file.url}: its SHA-256 is ${found} and not ${file.sha256} as locked - do not use it until you know why`,
    );
  }
  return parseAllDocuments(text.toString("utf8"))
    .map((document) => document.toJS() as ManifestObject | null)
    .filter((object): object is ManifestObject => object !== null);
}

async function readSource(url: string, directory: string): Promise<Buffer> {
  if (!/^https?:/.test(url)) return readFile(isAbsolute(url) ? url : join(directory, url));
  const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) });
  if (!response.ok)
    throw new Error(`${url}: the server answers ${response.status} - correct the URL in artifacts.lock.yaml`);
  return Buffer.from(await response.arrayBuffer());
}
