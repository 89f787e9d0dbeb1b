/**
 * The checks of a tree before anything of it reaches a device. They work on the files alone; where `kustomize` is on
 * PATH, images, runtime classes and memory are judged by what each leaf renders to, and patches of single devices by
 * what they make of it, and else images by what is written.
 */
import { existsSync } from "node:fs";
import { join, posix } from "node:path";
import { type Leaf, listLeaves, type TreeInput } from "../../components/gitops/index.ts";
import { formatPath } from "../../components/inventory/problems.ts";
import type { Inventory } from "../../components/inventory/types.ts";
import { hasKustomize } from "../manifests/kustomize.ts";
import {
  asList,
  asMap,
  type Found,
  imagesOf,
  itemsOf,
  runtimeClassesOf,
  type TreeProblem,
} from "../manifests/objects.ts";
import { checkBuilds, type Finding } from "./builds.ts";
import { checkCharts } from "./chart.ts";
import { classifyImage } from "./rules.ts";
import { checkSource, isKustomization, readTreeSource, type SourceDocument, type TreeSource } from "./source.ts";

/** What of the inventory a check of the tree needs beside the devices. */
type FleetSource = Pick<Inventory, "locate"> & { readonly fleet: Pick<Inventory["fleet"], "policy"> };

/**
 * Checks a tree.
 * @param directory the tree's folder
 * @param input what it is rendered from
 * @param inventory where the fleet is written, and its policy. Default: images must be pinned by digest
 * @returns the problems by file, line and column; empty when all is well
 * @throws Error when the folder is there and cannot be read
 */
export async function checkTree(
  directory: string,
  input: TreeInput,
  { fleet: { policy }, locate }: FleetSource,
): Promise<TreeProblem[]> {
  if (!existsSync(directory)) return [missing(directory, "it is the folder of the GitOps tree")];
  const { workloads = [] } = input;
  const requireDigests = policy?.requireDigests ?? true;
  const charts = workloads.filter(({ type }) => type === "helm").map(({ path }) => path);
  const source = readTreeSource(directory, charts);
  const { true: leaves = [], false: unwritten = [] } = Object.groupBy(listLeaves(input.devices), (leaf) =>
    existsSync(join(directory, leafFile(leaf))) ? "true" : "false",
  );
  const problems = [
    ...checkSource(directory, source),
    ...checkCharts(directory, source, workloads),
    ...unwritten.map((leaf) => missingLeaf(directory, leaf)),
  ];
  const remote = problems.some(({ rule }) => rule === "remote-base" || rule === "yaml");
  // A tree with remote bases is not built: kustomize would fetch them.
  if (remote || !(await hasKustomize())) problems.push(...checkWrittenImages(source, requireDigests));
  else problems.push(...report(directory, source, locate, await checkBuilds(directory, input, leaves, requireDigests)));
  const order = (a: TreeProblem, b: TreeProblem) =>
    a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1;
  return problems.sort(order);
}

function leafFile({ region, model }: Leaf): string {
  return `overlays/${region}/${model}/kustomization.yaml`;
}

function missingLeaf(directory: string, leaf: Leaf): TreeProblem {
  const { region, model } = leaf;
  return missing(posix.join(directory, leafFile(leaf)), `region ${region} has devices of model ${model}`);
}

function missing(file: string, why: string): TreeProblem {
  return {
    rule: "build",
    file,
    line: 1,
    column: 1,
    where: "(file)",
    message: `is missing: ${why} - run edge-fleet render`,
  };
}

/** Images as written; one that a kustomization pins by its name is judged there. */
function checkWrittenImages({ documents }: TreeSource, requireDigests: boolean): TreeProblem[] {
  const replaced = new Set(documents.flatMap(replacements).map(({ value }) => value.name));
  return documents.flatMap((document) =>
    [
      ...replacements(document).map(({ path, value }) => ({ path, value: value.image })),
      ...writtenIn(document, imagesOf).filter(({ value }) => !replaced.has(repositoryOf(value))),
    ].flatMap(({ path, value }) => {
      const message = classifyImage(value, requireDigests);
      return message === undefined ? [] : [document.problem("image", path, message)];
    }),
  );
}

/** What is found in the objects of a document. */
function writtenIn(document: SourceDocument, find: (object: unknown) => Found<string>[]): Found<string>[] {
  if (isKustomization(document)) return [];
  return itemsOf(document.value).flatMap((item) =>
    find(item.value).map(({ path, value }) => ({ path: [...item.path, ...path], value })),
  );
}

/** What a kustomization's `images` make of images by name. */
function replacements(document: SourceDocument): Found<{ readonly name: string; readonly image: string }>[] {
  if (!isKustomization(document)) return [];
  return asList(asMap(document.value).images).flatMap((entry, index) => {
    const { name, newName, newTag, digest } = asMap(entry);
    if (typeof name !== "string" || (newTag === undefined && digest === undefined)) return [];
    const image = `${newName ?? name}${newTag === undefined ? "" : `:${newTag}`}${digest === undefined ? "" : `@${digest}`}`;
    return [{ path: ["images", index], value: { name, image } }];
  });
}

function repositoryOf(image: string): string {
  return image.replace(/@.*$/, "").replace(/:[^/:]+$/, "");
}

/**
 * The same finding in many folders is one problem, with their number: at its source where that is known, else at the first
 * of them.
 */
function report(
  directory: string,
  source: TreeSource,
  locate: Inventory["locate"],
  findings: readonly Finding[],
): TreeProblem[] {
  const written = indexPositions(source);
  const same = Map.groupBy(findings, ({ rule, where, message, value, path, field }) =>
    JSON.stringify([rule, where, message, field ?? (value === undefined ? path : "")]),
  );
  return [...same.values()].flatMap((group) => {
    const [finding] = group;
    if (finding === undefined) return [];
    const { rule, where, message, value, field } = finding;
    const paths = [...new Set(group.map(({ path }) => path))].sort();
    const folders = paths.length === 1 ? paths[0] : `${paths[0]} and ${paths.length - 1} more`;
    if (field !== undefined)
      return [{ rule, ...locate.fleet(field), where: `${formatPath(field)} (${folders})`, message }];
    const file = posix.join(directory, paths[0] ?? "", "kustomization.yaml");
    const at = value === undefined ? undefined : written.get(value);
    const problem = at?.document.problem(rule, at.path, message) ?? { rule, file, line: 1, column: 1, where, message };
    return [{ ...problem, where: `${problem.where} (${folders})` }];
  });
}

/** An object by kind and name, which is where its kind is written. */
function nameIn({ path, value: { kind, metadata } }: ReturnType<typeof itemsOf>[number]): Found<string> {
  return { path: [...path, "kind"], value: `${String(kind)} ${String(asMap(metadata).name)}` };
}

/** Where images, runtime classes and objects are written, by value; the first place counts. */
function indexPositions({ documents }: TreeSource) {
  const index = new Map<string, Pick<Found<string>, "path"> & { readonly document: SourceDocument }>();
  for (const document of documents) {
    const replaced = replacements(document).map(({ path, value }) => ({ path, value: value.image }));
    const objects = writtenIn(document, (object) => [...imagesOf(object), ...runtimeClassesOf(object)]);
    const named = isKustomization(document) ? [] : itemsOf(document.value).map(nameIn);
    for (const { path, value } of [...replaced, ...objects, ...named])
      if (!index.has(value)) index.set(value, { document, path });
  }
  return index;
}
