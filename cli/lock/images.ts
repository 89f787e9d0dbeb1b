/**
 * Finds images that a folder of manifests names by tag alone, the digest that the registry of each has now, and the
 * `images:` block of a kustomization that pins them. Nothing is written.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments, stringify } from "yaml";
import type { HttpBounds } from "../../components/artifacts/http.ts";
import { UsageError } from "../exit.ts";
import { mapBounded } from "../parallel.ts";
import { parseImage, Registry } from "./registry.ts";

/** An image without a digest. */
export interface UnpinnedImage {
  readonly reference: string;
  /** Files that name it, below the folder. */
  readonly files: readonly string[];
}

/** What its registry says. */
export interface ImageSuggestion extends UnpinnedImage {
  /** e.g. `sha256:2cf2...`; absent where {@link problem} says why. */
  readonly digest?: string;
  /** Absent where the registry has answered. */
  readonly problem?: string;
}

const PARALLEL = 4;

/**
 * Finds images without a digest, in name order.
 * @throws UsageError when the folder cannot be read, or a file of it is no YAML
 */
export function findUnpinned(folder: string): UnpinnedImage[] {
  const found = new Map<string, Set<string>>();
  for (const file of yamlFiles(folder)) {
    for (const document of parseAllDocuments(readFileSync(join(folder, file), "utf8"))) {
      const problem = document.errors[0];
      if (problem !== undefined) throw new UsageError(`${join(folder, file)}: ${problem.message} - correct the syntax`);
      for (const reference of imagesOf(document.toJS()))
        if (!reference.includes("@")) found.set(reference, (found.get(reference) ?? new Set()).add(file));
    }
  }
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([reference, files]) => ({ reference, files: [...files].sort() }));
}

function yamlFiles(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, "/").length))
      .sort();
  } catch (error) {
    throw new UsageError(`${folder}: ${error instanceof Error ? error.message : String(error)} - name a folder`);
  }
}

/** Images of the containers of any object, and those that a kustomization sets by tag. */
export function imagesOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(imagesOf);
  if (typeof value !== "object" || value === null) return [];
  const own: string[] = [];
  for (const [key, inner] of Object.entries(value)) {
    if (/^(containers|initContainers|ephemeralContainers)$/.test(key) && Array.isArray(inner))
      for (const container of inner as { image?: unknown }[])
        if (typeof container?.image === "string" && container.image !== "") own.push(container.image);
    own.push(...imagesOf(inner));
  }
  return own;
}

/** Asks the registries. Never rejects for one image. */
export function suggestDigests(images: readonly UnpinnedImage[], bounds?: HttpBounds): Promise<ImageSuggestion[]> {
  return mapBounded(images, PARALLEL, async (image): Promise<ImageSuggestion> => {
    try {
      return { ...image, digest: await new Registry(parseImage(image.reference), bounds).digest() };
    } catch (error) {
      return { ...image, problem: error instanceof Error ? error.message : String(error) };
    }
  });
}

/**
 * The `images:` block that pins what could be resolved; empty where there is nothing. Kustomize matches an image by its
 * name alone, so one that is used with several tags is left out.
 */
export function imagesBlock(suggestions: readonly ImageSuggestion[]): string {
  const names = Map.groupBy(suggestions, ({ reference }) => nameOf(reference));
  const images = [...names].flatMap(([name, [only, ...others]]) =>
    name === undefined || only?.digest === undefined || others.length > 0 ? [] : [{ name, digest: only.digest }],
  );
  return images.length === 0 ? "" : stringify({ images }, { lineWidth: 0 });
}

function nameOf(reference: string): string | undefined {
  try {
    return parseImage(reference).name;
  } catch {
    return undefined;
  }
}
