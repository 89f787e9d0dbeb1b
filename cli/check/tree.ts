/**
 * The checks of a tree before anything of it reaches a device: from its folder and the fleet to every problem. Works on
 * the files alone; where `kustomize` is on PATH, images, runtime classes and memory are judged by what each leaf renders
 * to, and else images by what is written.
 */
import { posix } from "node:path";
import { listLeaves } from "../../components/gitops/tree.ts";
import type { Inventory, Profile } from "../../components/inventory/types.ts";
import { type BuiltFolder, buildFolder, eachBounded, hasKustomize, parseManifests } from "../manifests/kustomize.ts";
import {
  asList,
  type Found,
  imagesOf,
  isYamlMap,
  itemsOf,
  nameOfObject,
  runtimeClassesOf,
  type TreeProblem,
} from "../manifests/objects.ts";
import { podMemory, requestedMemory } from "./memory.ts";
import { judgeImage, judgeRuntimeClass } from "./rules.ts";
import { checkSource, isKustomization, readTreeSource, type SourceDocument, type TreeSource } from "./source.ts";

/** A leaf with what its devices can run. */
export interface CheckLeaf {
  readonly region: string;
  readonly model: string;
  /** RAM of the model. */
  readonly memoryMiB: number;
  /** WASM runtimes that every device of the leaf has. */
  readonly wasm: readonly string[];
}

/** A workload of its own. */
export interface CheckWorkload {
  readonly name: string;
  /** Folder below the tree. */
  readonly path: string;
  /** Undefined: on every model. */
  readonly models: readonly string[] | undefined;
}

/** What a tree is checked against. */
export interface CheckInput {
  readonly leaves: readonly CheckLeaf[];
  readonly workloads: readonly CheckWorkload[];
  /** policy.requireDigests */
  readonly requireDigests: boolean;
}

/** Takes the input from the inventory. @param profiles the resolved devices of the whole fleet */
export function checkInput({ fleet }: Pick<Inventory, "fleet">, profiles: readonly Profile[]): CheckInput {
  const devices = profiles.map(({ id, region, model, ring, gitops }) => ({
    id,
    region,
    model,
    ring,
    engine: gitops.engine,
  }));
  return {
    leaves: listLeaves(devices).map(({ region, model }) => {
      const own = profiles.filter((profile) => profile.region === region && profile.model === model);
      const [first] = own;
      return {
        region,
        model,
        memoryMiB: first?.memoryMiB ?? 0,
        wasm: (first?.wasm ?? []).filter((runtime) => own.every(({ wasm }) => wasm.includes(runtime))),
      };
    }),
    workloads: (fleet.workloads ?? []).map(({ name, path, models }) => ({ name, path, models })),
    requireDigests: fleet.policy?.requireDigests ?? true,
  };
}

/**
 * Checks a tree.
 * @param directory the tree's folder
 * @param input what it is checked against
 * @returns the problems by file, line and column; empty when all is well
 * @throws Error when the folder cannot be read
 */
export async function checkTree(directory: string, input: CheckInput): Promise<TreeProblem[]> {
  const source = readTreeSource(directory);
  const problems = checkSource(directory, source);
  const remote = problems.some(({ rule }) => rule === "remote-base" || rule === "yaml");
  // A tree with remote bases is not built: kustomize would fetch them.
  if (remote || !(await hasKustomize())) problems.push(...checkWrittenImages(source, input));
  else problems.push(...(await checkBuilds(directory, source, input)));
  const order = (a: TreeProblem, b: TreeProblem) =>
    a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1;
  return problems.sort(order);
}

/** Images as written; one that a kustomization pins by its name is judged there. */
function checkWrittenImages({ documents }: TreeSource, { requireDigests }: CheckInput): TreeProblem[] {
  const replaced = new Set(documents.flatMap(replacements).map(({ value }) => value.name));
  return documents.flatMap((document) => {
    if (isKustomization(document))
      return replacements(document).flatMap(({ path, value }) => {
        const message = judgeImage(value.image, requireDigests);
        return message === undefined ? [] : [document.problem("image", path, message)];
      });
    return itemsOf(document.value).flatMap((item) =>
      imagesOf(item.value).flatMap(({ path, value }) => {
        const message = replaced.has(repositoryOf(value)) ? undefined : judgeImage(value, requireDigests);
        return message === undefined ? [] : [document.problem("image", [...item.path, ...path], message)];
      }),
    );
  });
}

/** What a kustomization's `images` make of images by name. */
function replacements(document: SourceDocument): Found<{ readonly name: string; readonly image: string }>[] {
  if (!isKustomization(document) || !isYamlMap(document.value)) return [];
  return asList(document.value.images).flatMap((entry, index) => {
    if (!isYamlMap(entry) || typeof entry.name !== "string") return [];
    const { name, newName, newTag, digest } = entry;
    if (newTag === undefined && digest === undefined) return [];
    const image = `${newName ?? name}${newTag === undefined ? "" : `:${newTag}`}${digest === undefined ? "" : `@${digest}`}`;
    return [{ path: ["images", index], value: { name, image } }];
  });
}

function repositoryOf(image: string): string {
  return image.replace(/@.*$/, "").replace(/:[^/:]+$/, "");
}

/** What is rendered, and what it is rendered for. */
interface Rendered {
  /** Folder below the tree. */
  readonly path: string;
  readonly objects: readonly unknown[];
}

async function checkBuilds(directory: string, source: TreeSource, input: CheckInput): Promise<TreeProblem[]> {
  const report = new Reporter(directory, source);
  const workloads = new Map<string, readonly unknown[]>();
  await eachBounded(input.workloads, async ({ path }) => {
    const objects = objectsOf(await buildFolder(directory, path), path, report);
    workloads.set(path, objects);
    checkImages({ path, objects }, input, report);
  });
  await eachBounded(input.leaves, async (leaf) => {
    const path = `overlays/${leaf.region}/${leaf.model}`;
    const objects = objectsOf(await buildFolder(directory, path), path, report);
    checkImages({ path, objects }, input, report);
    const own = input.workloads.filter(({ models }) => models?.includes(leaf.model) ?? true);
    const all = [{ path, objects }, ...own.map((one) => ({ path: one.path, objects: workloads.get(one.path) ?? [] }))];
    for (const rendered of all) checkRuntimeClasses(rendered, leaf, report);
    checkMemory(
      path,
      all.flatMap((rendered) => rendered.objects),
      leaf,
      report,
    );
  });
  return report.problems();
}

function objectsOf(build: BuiltFolder, path: string, report: Reporter): unknown[] {
  if ("text" in build) return parseManifests(build.text).flatMap((object) => itemsOf(object).map(({ value }) => value));
  report.add("build", path, "(kustomize)", `does not build: ${build.failure} - mend the files that it names`, path);
  return [];
}

function checkImages({ path, objects }: Rendered, { requireDigests }: CheckInput, report: Reporter): void {
  for (const object of objects)
    for (const { value } of imagesOf(object)) {
      const message = judgeImage(value, requireDigests);
      if (message !== undefined) report.add("image", path, nameOfObject(object), message, value);
    }
}

function checkRuntimeClasses({ path, objects }: Rendered, { model, wasm }: CheckLeaf, report: Reporter): void {
  const defined = objects.flatMap((object) => {
    if (!isYamlMap(object) || object.kind !== "RuntimeClass" || !isYamlMap(object.metadata)) return [];
    return [String(object.metadata.name)];
  });
  for (const object of objects)
    for (const { value } of runtimeClassesOf(object)) {
      const message = judgeRuntimeClass(value, wasm, defined);
      if (message !== undefined)
        report.add("runtime-class", path, nameOfObject(object), `model ${model}: ${message}`, value);
    }
}

function checkMemory(
  path: string,
  objects: readonly unknown[],
  { model, memoryMiB }: CheckLeaf,
  report: Reporter,
): void {
  const budget = podMemory(memoryMiB);
  const workloads = requestedMemory(objects);
  const requested = workloads.reduce((sum, { mebibytes }) => sum + mebibytes, 0);
  if (budget === undefined || requested <= budget) return;
  const largest = workloads.slice(0, 3).map(({ name, mebibytes }) => `${name} ${Math.ceil(mebibytes)} MiB`);
  const message =
    `the workloads request ${Math.ceil(requested)} MiB, of the ${memoryMiB} MiB of model ${model} ${budget} MiB are left for pods ` +
    `(${largest.join(", ")}) - lower requests or replicas for the model`;
  report.add("memory", path, "resources.requests.memory", message, undefined);
}

/** Gathers what is found in rendered leaves: the same finding in many leaves is one problem, at its source where known. */
class Reporter {
  readonly #directory: string;
  readonly #positions: Map<string, (message: string, rule: TreeProblem["rule"]) => TreeProblem>;
  readonly #found = new Map<
    string,
    { readonly problem: Omit<TreeProblem, "file">; file?: string; paths: Set<string> }
  >();

  constructor(directory: string, source: TreeSource) {
    this.#directory = directory;
    this.#positions = indexPositions(source);
  }

  /** @param value what the source is searched for, e.g. an image; undefined: the problem is of the folder itself */
  add(rule: TreeProblem["rule"], path: string, where: string, message: string, value: string | undefined): void {
    const key = JSON.stringify([rule, where, message, value === undefined ? path : ""]);
    const found = this.#found.get(key);
    if (found !== undefined) {
      found.paths.add(path);
      return;
    }
    const at = value === undefined ? undefined : this.#positions.get(value)?.(message, rule);
    const problem = at ?? { rule, line: 1, column: 1, where, message };
    this.#found.set(key, { problem, paths: new Set([path]), ...(at === undefined ? {} : { file: at.file }) });
  }

  /** With the number of folders that each is in; one without a source is shown at the first of them. */
  problems(): TreeProblem[] {
    return [...this.#found.values()].map(({ problem, file, paths }) => {
      const [first = ""] = [...paths].sort();
      const where =
        paths.size === 1 ? `${problem.where} (${first})` : `${problem.where} (${first} and ${paths.size - 1} more)`;
      return { ...problem, file: file ?? posix.join(this.#directory, first, "kustomization.yaml"), where };
    });
  }
}

/** Where images and runtime classes are written, by value; the first place counts. */
function indexPositions({
  documents,
}: TreeSource): Map<string, (message: string, rule: TreeProblem["rule"]) => TreeProblem> {
  const index = new Map<string, (message: string, rule: TreeProblem["rule"]) => TreeProblem>();
  for (const document of documents) {
    const places = itemsOf(document.value).flatMap((item) =>
      [...imagesOf(item.value), ...runtimeClassesOf(item.value)].map(({ path, value }) => ({
        path: [...item.path, ...path],
        value,
      })),
    );
    const replaced = replacements(document).map(({ path, value }) => ({ path, value: value.image }));
    for (const { path, value } of [...replaced, ...places])
      if (!index.has(value)) index.set(value, (message, rule) => document.problem(rule, path, message));
  }
  return index;
}
