/**
 * Settings of one device from its layers: edge-fleet's defaults, fleet, model, region, device; the nearest wins. A map
 * is merged key by key, everything else (lists too) replaces what lies below. The merge is associative, so the result
 * does not depend on how layers are grouped.
 */
import type { Settings } from "./schema.ts";
import type { Layer } from "./types.ts";

/** A value tree as YAML yields it. */
export type Value = string | number | boolean | null | undefined | readonly Value[] | { readonly [key: string]: Value };

/** Lays `upper` over `lower`. Keys whose value is undefined are left out. */
export function mergeValues(lower: Value, upper: Value): Value {
  if (!isMap(lower) || !isMap(upper)) return upper === undefined ? lower : upper;
  const merged: Record<string, Value> = {};
  for (const key of new Set([...Object.keys(lower), ...Object.keys(upper)])) {
    const value = mergeValues(lower[key], upper[key]);
    if (value !== undefined) merged[key] = value;
  }
  return merged;
}

/** One layer and what is written in it. */
export interface LayerValues {
  readonly layer: Layer;
  readonly values: Settings;
}

/** Merged settings and, for each leaf path such as `k3s.version`, the layer that it comes from. */
export interface MergedSettings {
  readonly settings: Settings;
  readonly origins: Readonly<Record<string, Layer>>;
}

/** Merges layers from the lowest to the highest. */
export function mergeLayers(layers: readonly LayerValues[]): MergedSettings {
  let settings: Value = {};
  const origins: Record<string, Layer> = {};
  for (const { layer, values } of layers) {
    settings = mergeValues(settings, values as Value);
    for (const path of leafPaths(values as Value, "")) origins[path] = layer;
  }
  return { settings: settings as Settings, origins };
}

function leafPaths(value: Value, prefix: string): string[] {
  if (!isMap(value)) return value === undefined ? [] : [prefix];
  return Object.entries(value).flatMap(([key, child]) => leafPaths(child, prefix === "" ? key : `${prefix}.${key}`));
}

function isMap(value: Value): value is { readonly [key: string]: Value } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
