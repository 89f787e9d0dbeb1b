/**
 * The manifest of a tree: which of its files edge-fleet emitted and with which bytes. Everything that it does not list
 * is the team's.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Tree } from "./tree.ts";

/** File name of the manifest, in the tree's folder. */
export const MANIFEST_FILE = ".fleet-manifest.json";

const ManifestSchema = z.strictObject({
  version: z.literal(1),
  files: z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/)),
});

/** SHA-256 in lower-case hex by path. */
export type Hashes = ReadonlyMap<string, string>;

/** SHA-256 of a file's bytes in lower-case hex. */
export function hashContent(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/**
 * The manifest of a tree, one line per emitted file so that Git merges it.
 * @param before hashes of the manifest on disk: a built file keeps its own. Default: there is none
 */
export function renderManifest(tree: Tree, before: Hashes = new Map()): string {
  const emitted = [...tree].flatMap(([path, { owner, content }]): [string, string][] => {
    if (owner === "emitted") return [[path, hashContent(content)]];
    const kept = owner === "built" ? before.get(path) : undefined;
    return kept === undefined ? [] : [[path, kept]];
  });
  return formatManifest(emitted);
}

/**
 * A manifest that knows further emitted files, or other bytes of them.
 * @param text what it is now. Default: there is none
 * @param files path below the tree -> content
 * @throws Error as {@link parseManifest}
 */
export function extendManifest(file: string, text: string | undefined, files: ReadonlyMap<string, string>): string {
  const known = text === undefined ? [] : [...parseManifest(file, text)];
  const hashes = new Map([...known, ...[...files].map(([path, content]) => [path, hashContent(content)] as const)]);
  return formatManifest([...hashes].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function formatManifest(hashes: readonly (readonly [string, string])[]): string {
  return `${JSON.stringify({ version: 1, files: Object.fromEntries(hashes) }, null, 2)}\n`;
}

/**
 * Reads a manifest.
 * @param file its path, for the message
 * @throws Error when it is not a manifest, e.g. because of a merge conflict
 */
export function parseManifest(file: string, text: string): Hashes {
  try {
    return new Map(Object.entries(ManifestSchema.parse(JSON.parse(text)).files));
  } catch (cause) {
    throw new Error(
      `${file}: is not a manifest of edge-fleet (${firstLine(cause)}) - restore it with \`git checkout -- ${file}\`, or ` +
        "delete it: files that differ from the inventory are then refused until you have reviewed them",
      { cause },
    );
  }
}

function firstLine(cause: unknown): string {
  const message = cause instanceof z.ZodError ? (cause.issues[0]?.message ?? "") : String((cause as Error).message);
  return message.split("\n", 1)[0] ?? "";
}
