/**
 * Builds every leaf and workload of a tree before anything of it reaches a device, and checks what comes of it: images,
 * runtime classes, memory, what the projects allow, who opens SealedSecrets and who works on ExternalSecrets.
 */
import { availableParallelism } from "node:os";
import { AGENT_MEMORY } from "../../components/gitops/engine/agent/settings.ts";
import { pullRequestMiB } from "../../components/gitops/engine/pulls.ts";
import { SECRETS_CONTROLLERS } from "../../components/gitops/engine/secrets.ts";
import {
  type Leaf,
  listWorkloadLeaves,
  sourceFolder,
  type TreeDevice,
  type TreeInput,
  type TreeWorkload,
  takesWorkload,
} from "../../components/gitops/index.ts";
import { projectRules } from "../../components/gitops/projects.ts";
import type { FieldPath } from "../../components/inventory/problems.ts";
import type { WasmRuntime } from "../../components/inventory/types.ts";
import { buildFolder, parseManifests } from "../manifests/kustomize.ts";
import {
  asMap,
  imagesOf,
  isYamlMap,
  itemsOf,
  nameOfObject,
  runtimeClassesOf,
  type TreeProblem,
} from "../manifests/objects.ts";
import { mapBounded } from "../parallel.ts";
import { bringsExternalSecrets, checkExternal } from "./external.ts";
import { requestedMemory, workloadMemory } from "./memory.ts";
import { checkPatches } from "./patches.ts";
import { checkProject } from "./project.ts";
import { classifyImage, classifyRuntimeClass } from "./rules.ts";
import { checkSealed } from "./sealed.ts";

/** Something found in a rendered folder. */
export interface Finding extends Pick<TreeProblem, "rule" | "where" | "message"> {
  /** Folder below the tree. */
  readonly path: string;
  /** What the source is searched for, e.g. an image; undefined: the finding is of this very folder. */
  readonly value: string | undefined;
  /** Where it is written in fleet.yaml. Absent: it is of the tree. */
  readonly field?: FieldPath;
}

/** What a folder renders to. */
export interface Rendered {
  /** Folder below the tree. */
  readonly path: string;
  readonly objects: readonly unknown[];
  /** Why it does not build, if so. */
  readonly findings: readonly Finding[];
}

/** Builds every leaf and workload, several at a time, also as single devices patch them, and keeps what is found alone. */
export async function checkBuilds(
  directory: string,
  input: TreeInput,
  written: readonly Leaf[],
  requireDigests: boolean,
): Promise<Finding[]> {
  const { devices, workloads = [] } = input;
  const parallel = availableParallelism();
  const rules = projectRules(input);
  const kept = workloads.filter(({ state }) => state !== "removed");
  const present = kept.filter(({ type }) => type !== "helm");
  const folders = workloadFolders(input, present);
  const own = await mapBounded(folders, parallel, ({ path }) => renderFolder(directory, path));
  const built = new Map(own.map((rendered) => [rendered.path, rendered]));
  const overlays = await mapBounded(written, parallel, async (leaf) => ({
    leaf,
    rendered: await renderFolder(directory, sourceFolder("live", leaf)),
  }));
  const foreign = bringsExternalSecrets([...own, ...overlays.map(({ rendered }) => rendered)], kept);
  const checkSecrets = (rendered: Rendered, takers: readonly TreeDevice[]) =>
    [checkSealed, ...(foreign ? [] : [checkExternal])].flatMap((judge) => judge(rendered, takers));
  const leaves = overlays.map(({ leaf, rendered }) => {
    const all = devices.filter(({ region, model }) => region === leaf.region && model === leaf.model);
    return [
      ...checkImages(rendered, requireDigests),
      ...checkProject(rendered, undefined, rules),
      ...checkSecrets(rendered, all),
      ...present.flatMap((workload) => {
        const taken = built.get(sourceFolder("live", leaf, workload));
        return taken === undefined ? [] : checkSecrets(taken, takersOf(workload, all));
      }),
      ...takenTogether(present, all).flatMap((taken) => {
        const others = taken.flatMap((workload) => built.get(sourceFolder("live", leaf, workload)) ?? []);
        const together = [rendered, ...others];
        return [
          ...together.flatMap((one) => checkRuntimeClasses(one, leaf.model, sharedRuntimes(all))),
          ...checkMemory(rendered.path, together, modelMemory(input, leaf.model, all)),
        ];
      }),
    ];
  });
  return [
    ...own.flatMap((rendered, index) => [
      ...checkImages(rendered, requireDigests),
      ...checkProject(rendered, folders[index]?.workload, rules),
    ]),
    ...leaves.flat(),
    ...(await checkPatched(directory, input, requireDigests, rules)),
  ];
}

function workloadFolders(input: TreeInput, present: readonly TreeWorkload[]) {
  return [
    ...present.filter(({ type }) => type !== "overlays").map((workload) => ({ workload, path: workload.path })),
    ...listWorkloadLeaves(input).map(({ workload, ...leaf }) => ({
      workload,
      path: sourceFolder("live", leaf, workload),
    })),
  ];
}

function checkPatched(
  directory: string,
  input: TreeInput,
  requireDigests: boolean,
  rules: ReturnType<typeof projectRules>,
): Promise<Finding[]> {
  return checkPatches(directory, input, (rendered, { workload, devices }) => [
    ...checkImages(rendered, requireDigests),
    ...checkProject(rendered, workload, rules),
    ...checkRuntimeClasses(rendered, devices[0]?.model ?? "", sharedRuntimes(devices)),
  ]);
}

function sharedRuntimes(devices: readonly TreeDevice[]): readonly WasmRuntime[] {
  return (devices[0]?.wasm ?? []).filter((runtime) => devices.every(({ wasm }) => wasm?.includes(runtime)));
}

function takersOf(workload: TreeWorkload, devices: readonly TreeDevice[]): TreeDevice[] {
  return devices.filter((device) => takesWorkload(device, workload));
}

/** The sets of workloads that devices of one leaf have, each once. */
function takenTogether(workloads: readonly TreeWorkload[], devices: readonly TreeDevice[]): TreeWorkload[][] {
  const sets = devices.map((device) => workloads.filter((workload) => takesWorkload(device, workload)));
  return [...new Map(sets.map((set) => [set.map(({ name }) => name).join(), set])).values()];
}

function modelMemory({ models }: TreeInput, model: string, devices: readonly TreeDevice[]): ModelMemory {
  const memoryMiB = models[model]?.memoryMiB ?? 0;
  const agentMiB = devices.some(({ engine }) => engine === "argocd-agent") ? AGENT_MEMORY.requestMiB : 0;
  const secretsMiB = Math.max(
    0,
    ...devices.map(({ secrets }) => (secrets === undefined ? 0 : SECRETS_CONTROLLERS[secrets].memory.requestMiB)),
  );
  const pulledMiB = Math.max(0, ...devices.map(({ engine }) => pullRequestMiB(engine, memoryMiB)));
  return { model, memoryMiB, engineMiB: pulledMiB + agentMiB + secretsMiB };
}

async function renderFolder(directory: string, path: string): Promise<Rendered> {
  const build = await buildFolder(directory, path);
  if ("text" in build) {
    const objects = parseManifests(build.text).flatMap((object) => itemsOf(object).map(({ value }) => value));
    return { path, objects, findings: [] };
  }
  const message = `does not build: ${build.failure} - fix the files that it names`;
  return { path, objects: [], findings: [{ rule: "build", path, where: "(kustomize)", message, value: path }] };
}

/** With why the folder does not build: each folder's images are looked at once. */
function checkImages({ path, objects, findings }: Rendered, requireDigests: boolean): Finding[] {
  const images = objects.flatMap((object) =>
    imagesOf(object).flatMap(({ value }): Finding[] => {
      const message = classifyImage(value, requireDigests);
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
      const problem = classifyRuntimeClass(value, wasm, defined);
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
