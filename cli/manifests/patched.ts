/**
 * Builds folders of a tree with patches that only single devices have, in a copy of the tree. The patches are added to
 * the folder's own kustomization, as Argo CD adds those of an Application (util/kustomize/kustomize.go of Argo CD
 * v3.2.11), so that names, namespaces and images come after them.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, posix, sep } from "node:path";
import { parse } from "yaml";
import { MANIFESTS_FILE } from "../../components/gitops/application.ts";
import { renderRenderedLeaf } from "../../components/gitops/kustomize.ts";
import type { KustomizePatch } from "../../components/gitops/objects.ts";
import type { Build } from "../../components/gitops/tree.ts";
import { type BuiltFolder, buildFolder, KUSTOMIZATIONS } from "./kustomize.ts";
import { asList, asMap } from "./objects.ts";

/** A copy of a tree, to be changed at will. */
export interface TreeCopy {
  /** Renders a folder of the layout `rendered` into the copy. @returns false: its source does not build */
  render(build: Build): Promise<boolean>;
  /** Builds a folder with patches. Not to be called for the same folder twice at a time. */
  build(folder: string, patches: readonly KustomizePatch[]): Promise<BuiltFolder>;
}

/**
 * Copies a tree for as long as some work takes.
 * @param directory the tree's folder
 */
export async function withTreeCopy<T>(directory: string, work: (copy: TreeCopy) => Promise<T>): Promise<T> {
  const copy = mkdtempSync(join(tmpdir(), "edge-fleet-patched-"));
  const ours = (message: string) => message.replaceAll(`${copy}${sep}`, "").replaceAll(copy, directory);
  try {
    cpSync(directory, copy, { recursive: true, filter: (path) => basename(path) !== ".git" });
    return await work({
      render: async ({ source, target }) => {
        const built = await buildFolder(copy, source);
        if ("failure" in built) return false;
        mkdirSync(join(copy, target), { recursive: true });
        writeFileSync(join(copy, target, MANIFESTS_FILE), built.text);
        writeFileSync(join(copy, target, "kustomization.yaml"), renderRenderedLeaf(source));
        return true;
      },
      build: async (folder, patches) => {
        const built = await buildWith(copy, folder, patches);
        return "failure" in built ? { failure: ours(built.failure) } : built;
      },
    });
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

async function buildWith(copy: string, folder: string, patches: readonly KustomizePatch[]): Promise<BuiltFolder> {
  const name = KUSTOMIZATIONS.find((candidate) => existsSync(join(copy, folder, candidate)));
  if (name === undefined) return { failure: `has no ${KUSTOMIZATIONS[0]}` };
  const file = join(copy, posix.join(folder, name));
  const text = readFileSync(file, "utf8");
  const kustomization = asMap(parse(text, { version: "1.1" }));
  writeFileSync(file, JSON.stringify({ ...kustomization, patches: [...asList(kustomization.patches), ...patches] }));
  try {
    return await buildFolder(copy, folder);
  } finally {
    writeFileSync(file, text);
  }
}
