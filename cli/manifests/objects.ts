/**
 * What the checks of a tree have in common: the problem that they report, and where in a Kubernetes object pods, images
 * and runtime classes are named.
 */
import type { FieldPath } from "../../components/inventory/problems.ts";

/** Something in the tree that must not reach a device. */
export interface TreeProblem {
  readonly rule:
    | "yaml"
    | "remote-base"
    | "image"
    | "secret"
    | "memory"
    | "runtime-class"
    | "build"
    | "project"
    | "sealed"
    | "external"
    | "chart"
    | "leaf"
    | "patch";
  /** Path of the file: the tree's folder and below. */
  readonly file: string;
  /** From 1; 1 where only the file is known. */
  readonly line: number;
  readonly column: number;
  /** Field or object, e.g. `spec.template.spec.containers[0].image`. */
  readonly where: string;
  /** What is wrong - what to do. */
  readonly message: string;
}

/** A problem as a line: `file:line:column where: what - fix`. */
export function formatTreeProblem({ file, line, column, where, message }: TreeProblem): string {
  return `${file}:${line}:${column} ${where}: ${message}`;
}

/** A map from YAML. */
export type YamlMap = Readonly<Record<string, unknown>>;

/** True for a map. */
export function isYamlMap(value: unknown): value is YamlMap {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value if it is a map, else an empty one. */
export function asMap(value: unknown): YamlMap {
  return isYamlMap(value) ? value : {};
}

/** Something found inside an object. */
export interface Found<T> {
  readonly path: FieldPath;
  readonly value: T;
}

/** How deep objects are searched: deeper than any workload, less deep than the stack. */
const MAX_DEPTH = 64;
const CONTAINER_LISTS = ["initContainers", "containers", "ephemeralContainers"] as const;

/**
 * Every pod spec of an object, of whatever kind: a map with a list `containers`. Definitions of custom resources describe
 * pods in their schemas and have none.
 */
function podSpecs(object: unknown, path: FieldPath = []): Found<YamlMap>[] {
  if (path.length > MAX_DEPTH) return [];
  if (Array.isArray(object)) return object.flatMap((item, index) => podSpecs(item, [...path, index]));
  if (!isYamlMap(object) || object.kind === "CustomResourceDefinition") return [];
  const own = Array.isArray(object.containers) ? [{ path, value: object }] : [];
  return [...own, ...Object.entries(object).flatMap(([key, value]) => podSpecs(value, [...path, key]))];
}

/** Every image that an object runs; of custom resources `spec.image` too, as operators for WASM and databases have it. */
export function imagesOf(object: unknown): Found<string>[] {
  const images = podSpecs(object).flatMap(({ path, value }) =>
    CONTAINER_LISTS.flatMap((list) =>
      asList(value[list]).flatMap((container, index): Found<string>[] => {
        const { image } = asMap(container);
        return typeof image === "string" ? [{ path: [...path, list, index, "image"], value: image }] : [];
      }),
    ),
  );
  const { image } = asMap(asMap(object).spec);
  return typeof image === "string" ? [...images, { path: ["spec", "image"], value: image }] : images;
}

/** Every runtime class that an object's pods ask for. */
export function runtimeClassesOf(object: unknown): Found<string>[] {
  return podSpecs(object).flatMap(({ path, value }): Found<string>[] =>
    typeof value.runtimeClassName === "string"
      ? [{ path: [...path, "runtimeClassName"], value: value.runtimeClassName }]
      : [],
  );
}

/** `Deployment edge-apps/web`. */
export function nameOfObject(object: unknown): string {
  const { kind, metadata } = asMap(object);
  const { namespace, name } = asMap(metadata);
  const full = typeof namespace === "string" ? `${namespace}/${String(name)}` : String(name ?? "(unnamed)");
  return `${String(kind ?? "(no kind)")} ${full}`;
}

/** The items of a `List`, or the object itself, with their paths. */
export function itemsOf(object: unknown): Found<YamlMap>[] {
  if (!isYamlMap(object)) return [];
  if (typeof object.kind === "string" && object.kind.endsWith("List") && Array.isArray(object.items))
    return object.items.flatMap((item, index) => (isYamlMap(item) ? [{ path: ["items", index], value: item }] : []));
  return [{ path: [], value: object }];
}

/** The value if it is a list, else an empty one. */
export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
