/**
 * Which WASM runtimes of models and leaves the tree may count on, by those of their devices. A sample is deployed only
 * where every device of the folder has its runtime, for a pod without one never starts.
 */
import type { WasmRuntime } from "../inventory/types.ts";
import { hasSample } from "./scaffold-wasm.ts";
import type { ModelRuntimes, TreeDevice } from "./tree-input.ts";

/** The runtimes of each model, in name order. */
export function modelRuntimes(devices: readonly TreeDevice[]): ReadonlyMap<string, ModelRuntimes> {
  const runtimes = new Map<string, { some: Set<WasmRuntime>; all: Set<WasmRuntime> }>();
  for (const { model, wasm = [] } of devices) {
    const known = runtimes.get(model);
    if (known === undefined) {
      runtimes.set(model, { some: new Set(wasm), all: new Set(wasm) });
      continue;
    }
    for (const runtime of wasm) known.some.add(runtime);
    for (const runtime of known.all) if (!wasm.includes(runtime)) known.all.delete(runtime);
  }
  return new Map(
    [...runtimes].map(([model, { some, all }]) => [
      model,
      { some: [...some].sort(), all: [...all].filter(hasSample).sort() },
    ]),
  );
}

/**
 * The runtimes with a sample that all devices of a leaf have, without those of its model, in name order.
 * @param ofModel those that the model deploys already
 */
export function leafRuntimes(
  devices: readonly TreeDevice[],
  region: string,
  model: string,
  ofModel: readonly WasmRuntime[],
): WasmRuntime[] {
  const own = devices.filter((device) => device.region === region && device.model === model);
  return [...(modelRuntimes(own).get(model)?.all ?? [])].filter((runtime) => !ofModel.includes(runtime));
}
