/**
 * The checks of a tree before anything of it reaches a device: from its folder and the fleet to every problem. Works on
 * the files alone; where `kustomize` is on PATH, images, runtime classes and memory are judged by what each leaf renders
 * to, and else images by what is written.
 */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, posix } from "node:path";
import { AGENT_MEMORY } from "../../components/gitops/engine/agent/settings.ts";
import { engineRequestMiB } from "../../components/gitops/engine/argocd/settings.ts";
import { type Leaf, listLeaves, type TreeInput } from "../../components/gitops/index.ts";
import type { FleetFile } from "../../components/inventory/schema.ts";
import { buildFolder, hasKustomize, parseManifests } from "../manifests/kustomize.ts";
import {
  asList,
  asMap,
  type Found,
  imagesOf,
  isYamlMap,
  itemsOf,
  nameOfObject,
  runtimeClassesOf,
  type TreeProblem,
} from "../manifests/objects.ts";
import { mapBounded } from "../parallel.ts";
import { requestedMemory, workloadMemory } from "./memory.ts";
import { judgeImage, judgeRuntimeClass } from "./rules.ts";
import { checkSource, isKustomization, readTreeSource, type SourceDocument, type TreeSource } from "./source.ts";

/** Something found in a rendered folder. */
interface Finding extends Pick<TreeProblem, "rule" | "where" | "message"> {
  /** Folder below the tree. */
  readonly path: string;
  /** What the source is searched for, e.g. an image; undefined: the finding is of this very folder. */
  readonly value: string | undefined;
}

/** What a folder renders to. */
interface Rendered {
  /** Folder below the tree. */
  readonly path: string;
  readonly objects: readonly unknown[];
  /** Why it does not build, if so. */
  readonly findings: readonly Finding[];
}

/**
 * Checks a tree.
 * @param directory the tree's folder
 * @param input what it is rendered from
 * @param policy the fleet's. Default: images must be pinned by digest
 * @returns the problems by file, line and column; empty when all is well
 * @throws Error when the folder is there and cannot be read
 */
export async function checkTree(
  directory: string,
  input: TreeInput,
  { requireDigests = true }: NonNullable<FleetFile["policy"]> = {},
): Promise<TreeProblem[]> {
  if (!existsSync(directory)) return [missing(directory, "it is the folder of the GitOps tree")];
  const source = readTreeSource(directory);
  const { true: leaves = [], false: unwritten = [] } = Object.groupBy(listLeaves(input.devices), (leaf) =>
    existsSync(join(directory, leafFile(leaf))) ? "true" : "false",
  );
  const problems = [...checkSource(directory, source), ...unwritten.map((leaf) => missingLeaf(directory, leaf))];
  const remote = problems.some(({ rule }) => rule === "remote-base" || rule === "yaml");
  // A tree with remote bases is not built: kustomize would fetch them.
  if (remote || !(await hasKustomize())) problems.push(...checkWrittenImages(source, requireDigests));
  else problems.push(...report(directory, source, await checkBuilds(directory, input, leaves, requireDigests)));
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
      const message = judgeImage(value, requireDigests);
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

/** MiB that what edge-fleet installs of an engine requests on a model. */
function engineMemory(memoryMiB: number, engine: TreeInput["devices"][number]["engine"] | undefined): number {
  const agentMiB = engine === "argocd-agent" ? AGENT_MEMORY.requestMiB : 0;
  return engine === "argocd" || agentMiB > 0 ? engineRequestMiB(memoryMiB) + agentMiB : 0;
}

/** Builds every leaf and workload, several at a time, and keeps of the leaves what is found alone. */
async function checkBuilds(
  directory: string,
  input: TreeInput,
  written: readonly Leaf[],
  requireDigests: boolean,
): Promise<Finding[]> {
  const { devices, models, workloads = [] } = input;
  const parallel = availableParallelism();
  const own = await mapBounded(workloads, parallel, async (workload) => ({
    workload,
    rendered: await renderFolder(directory, workload.path),
  }));
  const leaves = await mapBounded(written, parallel, async ({ region, model }) => {
    const leaf = await renderFolder(directory, `overlays/${region}/${model}`);
    const taken = own.filter(({ workload }) => workload.models?.includes(model) ?? true);
    const all = [leaf, ...taken.map(({ rendered }) => rendered)];
    const [first, ...rest] = devices.filter((device) => device.region === region && device.model === model);
    const wasm = (first?.wasm ?? []).filter((runtime) => rest.every((device) => device.wasm?.includes(runtime)));
    const memoryMiB = models[model]?.memoryMiB ?? 0;
    const engineMiB = Math.max(0, ...[first, ...rest].map((device) => engineMemory(memoryMiB, device?.engine)));
    return [
      ...checkImages(leaf, requireDigests),
      ...all.flatMap((rendered) => checkRuntimeClasses(rendered, model, wasm)),
      ...checkMemory(leaf.path, all, { model, memoryMiB, engineMiB }),
    ];
  });
  return [...own.flatMap(({ rendered }) => checkImages(rendered, requireDigests)), ...leaves.flat()];
}

async function renderFolder(directory: string, path: string): Promise<Rendered> {
  const build = await buildFolder(directory, path);
  if ("text" in build) {
    const objects = parseManifests(build.text).flatMap((object) => itemsOf(object).map(({ value }) => value));
    return { path, objects, findings: [] };
  }
  const message = `does not build: ${build.failure} - mend the files that it names`;
  return { path, objects: [], findings: [{ rule: "build", path, where: "(kustomize)", message, value: path }] };
}

/** With why the folder does not build: each folder's images are looked at once. */
function checkImages({ path, objects, findings }: Rendered, requireDigests: boolean): Finding[] {
  const images = objects.flatMap((object) =>
    imagesOf(object).flatMap(({ value }): Finding[] => {
      const message = judgeImage(value, requireDigests);
      return message === undefined ? [] : [{ rule: "image", path, where: nameOfObject(object), message, value }];
    }),
  );
  return [...findings, ...images];
}

function checkRuntimeClasses({ path, objects }: Rendered, model: string, wasm: readonly string[]): Finding[] {
  const classes = objects.filter(isYamlMap).filter(({ kind }) => kind === "RuntimeClass");
  const defined = classes.map(({ metadata }) => String(asMap(metadata).name));
  return objects.flatMap((object) =>
    runtimeClassesOf(object).flatMap(({ value }): Finding[] => {
      const problem = judgeRuntimeClass(value, wasm, defined);
      if (problem === undefined) return [];
      const message = `model ${model}: ${problem}`;
      return [{ rule: "runtime-class", path, where: nameOfObject(object), message, value }];
    }),
  );
}

/** The memory of a model, and what its pull engine requests of it. */
interface ModelMemory {
  readonly model: string;
  readonly memoryMiB: number;
  readonly engineMiB: number;
}

function checkMemory(path: string, all: readonly Rendered[], { model, memoryMiB, engineMiB }: ModelMemory): Finding[] {
  const budget = workloadMemory(memoryMiB, engineMiB);
  const workloads = requestedMemory(all.flatMap(({ objects }) => objects));
  const requested = workloads.reduce((sum, { mebibytes }) => sum + mebibytes, 0);
  if (budget === undefined || requested <= budget) return [];
  const largest = workloads.slice(0, 3).map(({ name, mebibytes }) => `${name} ${Math.ceil(mebibytes)} MiB`);
  const message =
    `the workloads request ${Math.ceil(requested)} MiB, of the ${memoryMiB} MiB of model ${model} ${budget} MiB are left for ` +
    `them${engineMiB === 0 ? "" : ` beside the pull engine's ${engineMiB} MiB`} (${largest.join(", ")}) - lower requests or replicas for the model`;
  return [{ rule: "memory", path, where: "resources.requests.memory", message, value: undefined }];
}

/**
 * The same finding in many folders is one problem, with their number: at its source where that is known, else at the first
 * of them.
 */
function report(directory: string, source: TreeSource, findings: readonly Finding[]): TreeProblem[] {
  const written = indexPositions(source);
  const same = Map.groupBy(findings, ({ rule, where, message, value, path }) =>
    JSON.stringify([rule, where, message, value === undefined ? path : ""]),
  );
  return [...same.values()].flatMap((group) => {
    const [finding] = group;
    if (finding === undefined) return [];
    const { rule, where, message, value } = finding;
    const paths = [...new Set(group.map(({ path }) => path))].sort();
    const folders = paths.length === 1 ? paths[0] : `${paths[0]} and ${paths.length - 1} more`;
    const file = posix.join(directory, paths[0] ?? "", "kustomization.yaml");
    const at = value === undefined ? undefined : written.get(value);
    const problem = at?.document.problem(rule, at.path, message) ?? { rule, file, line: 1, column: 1, where, message };
    return [{ ...problem, where: `${problem.where} (${folders})` }];
  });
}

/** Where images and runtime classes are written, by value; the first place counts. */
function indexPositions({ documents }: TreeSource) {
  const index = new Map<string, Pick<Found<string>, "path"> & { readonly document: SourceDocument }>();
  for (const document of documents) {
    const replaced = replacements(document).map(({ path, value }) => ({ path, value: value.image }));
    const objects = writtenIn(document, (object) => [...imagesOf(object), ...runtimeClassesOf(object)]);
    for (const { path, value } of [...replaced, ...objects])
      if (!index.has(value)) index.set(value, { document, path });
  }
  return index;
}
