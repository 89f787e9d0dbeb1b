/**
 * What is refused in manifests: images that may change under their name, Secrets that anyone who can read the
 * repository can read, runtime classes without a runtime. Each check takes one value and says what is wrong with it.
 */
import type { FieldPath } from "../../components/inventory/problems.ts";
import { asList, asMap, type Found, isYamlMap, type YamlMap } from "../manifests/objects.ts";

const DIGEST = /@sha256:[0-9a-f]{64}$/;

/**
 * What is wrong with an image's name.
 * @param requireDigests policy.requireDigests
 * @returns undefined when nothing is
 */
export function classifyImage(image: string, requireDigests: boolean): string | undefined {
  if (DIGEST.test(image)) return undefined;
  const pin = "write name:tag@sha256:<digest>";
  if (image.includes("@")) return `${image} has a digest that is none - ${pin}`;
  const [, tag] = /:([^/:]+)$/.exec(image) ?? [];
  if (tag === undefined) return `${image} has no tag and so means latest, which changes - ${pin}`;
  if (isFloating(tag)) return `${image} has a tag that moves to other images - ${pin}`;
  return requireDigests ? `${image} is not pinned by digest - ${pin}` : undefined;
}

/** Words (`latest`, `stable`) and shortened versions (`1`, `v1.2`) are moved on by their publishers. */
function isFloating(tag: string): boolean {
  return !/\d/.test(tag) || /^v?\d+(\.\d+)?$/.test(tag);
}

/**
 * Values of a Secret that stand in the clear: all of `data` and `stringData`, but for values that SOPS has encrypted. A
 * SealedSecret is another kind and so no concern here.
 * @returns their paths, empty when nothing is wrong
 */
export function plaintextOf(object: YamlMap): FieldPath[] {
  if (object.kind !== "Secret" || object.apiVersion !== "v1") return [];
  const encrypted = isYamlMap(object.sops);
  return (["data", "stringData"] as const).flatMap((field) => {
    return Object.entries(asMap(object[field]))
      .filter(([, value]) => !(value === "" || value === null || (encrypted && isSopsValue(value))))
      .map(([key]) => [field, key]);
  });
}

/** https://getsops.io: `ENC[AES256_GCM,data:…,iv:…,tag:…,type:str]` */
function isSopsValue(value: unknown): boolean {
  return typeof value === "string" && /^ENC\[AES256_GCM,data:.+,tag:.+\]$/.test(value);
}

/** WASM runtimes by the runtime class that selects them: K3s' own names, and the one of SpinKube. */
const WASM_CLASSES: Readonly<Record<string, string>> = {
  spin: "spin",
  "wasmtime-spin-v2": "spin",
  wasmtime: "wasmtime",
  wasmedge: "wasmedge",
  wasmer: "wasmer",
};
/** Runtime classes that K3s makes whether or not the runtime is there; what runs on the host is the operator's affair. */
const HOST_CLASSES = ["runc", "crun", "nvidia", "nvidia-experimental"];

/**
 * What is wrong with a runtime class on a model.
 * @param runtimeClass what the pod asks for
 * @param wasm runtimes that every device of the model has
 * @param defined runtime classes that the leaf brings itself
 * @returns undefined when nothing is
 */
export function classifyRuntimeClass(
  runtimeClass: string,
  wasm: readonly string[],
  defined: readonly string[],
): string | undefined {
  const runtime = Object.hasOwn(WASM_CLASSES, runtimeClass) ? WASM_CLASSES[runtimeClass] : undefined;
  if (runtime !== undefined) {
    if (wasm.includes(runtime)) return undefined;
    return `runtime class ${runtimeClass} needs the WASM runtime ${runtime} - add it to \`wasm\` of the model in models.yaml, or leave the workload out there`;
  }
  if (defined.includes(runtimeClass) || HOST_CLASSES.includes(runtimeClass)) return undefined;
  return `runtime class ${runtimeClass} is not known, so the pod is never admitted - use one of ${Object.keys(WASM_CLASSES).join(", ")}, or add a RuntimeClass of that name`;
}

/** Fields of a kustomization that are lists of files or folders. */
const PATH_LISTS = [
  "resources",
  "bases",
  "components",
  "crds",
  "configurations",
  "generators",
  "transformers",
  "validators",
  "patchesStrategicMerge",
];
/** Lists of maps with fields that are files. */
const PATH_FIELDS: Readonly<Record<string, readonly string[]>> = {
  patches: ["path"],
  patchesJson6902: ["path"],
  replacements: ["path"],
  configMapGenerator: ["files", "envs", "env"],
  secretGenerator: ["files", "envs", "env"],
};

/** Every path that a kustomization refers to. Inline patches, which stand where a path may, are left out. */
export function pathsOf(kustomization: YamlMap): Found<string>[] {
  const strings = (value: unknown, path: FieldPath): Found<string>[] => {
    if (typeof value === "string") return value.includes("\n") ? [] : [{ path, value }];
    return Array.isArray(value) ? value.flatMap((item, index) => strings(item, [...path, index])) : [];
  };
  return [
    ...PATH_LISTS.flatMap((list) => strings(kustomization[list], [list])),
    ...Object.entries(PATH_FIELDS).flatMap(([list, fields]) => {
      return asList(kustomization[list]).flatMap((item, index) =>
        fields.flatMap((field) => strings(asMap(item)[field], [list, index, field])),
      );
    }),
    ...strings(asMap(kustomization.openapi).path, ["openapi", "path"]),
  ];
}

/** True for what kustomize fetches from elsewhere: URLs, and Git's short forms. Files and folders may look odd otherwise. */
export function isRemote(reference: string): boolean {
  return (
    /^[a-z][a-z0-9+.-]*::?\/\//i.test(reference) ||
    /^(git::|git@|[^/@\s]+@[^/:\s]+:)/.test(reference) ||
    /^(www\.)?(github\.com|gitlab\.com|bitbucket\.org)[/:]/i.test(reference) ||
    /\?(ref|version|timeout|submodules)=/.test(reference) ||
    /\.git(\/|\?|$)/.test(reference)
  );
}
