/**
 * What a cluster must know of the WASM runtimes of a device: RuntimeClasses, node labels, and whether the model has the
 * memory. K3s finds the shims on its PATH by itself and writes containerd's configuration; a drop-in of ours would
 * define the same TOML table twice, and containerd would not start.
 */
import type { Profile, WasmRuntime } from "../../inventory/types.ts";
import { error, type Finding, warning } from "./finding.ts";
import { type NodeRole, podMemoryMiB } from "./reservations.ts";

/**
 * Memory of one shim at work, in MiB: peak resident size of shim and zygote on x86_64
 * (https://github.com/containerd/runwasi/pull/808). Of spin no figure is published; it is the limit in Spin's samples.
 */
export const SHIM_MEMORY_MIB: Readonly<Record<WasmRuntime, number>> = {
  spin: 128,
  wasmtime: 23,
  wasmedge: 67,
  wasmer: 19,
};

/** Name of the shim binary in an archive; containerd finds `io.containerd.spin.v2` as `containerd-shim-spin-v2`. */
export const SHIM_BINARIES: Readonly<Record<WasmRuntime, string>> = {
  spin: "containerd-shim-spin-v2",
  wasmtime: "containerd-shim-wasmtime-v1",
  wasmedge: "containerd-shim-wasmedge-v1",
  wasmer: "containerd-shim-wasmer-v1",
};

/** RuntimeClass under which SpinKube looks for the spin shim. https://www.spinkube.dev */
export const SPINKUBE_RUNTIME_CLASS = "wasmtime-spin-v2";

/** A RuntimeClass as a plain object: https://kubernetes.io/docs/concepts/containers/runtime-class/ */
export interface RuntimeClass {
  readonly apiVersion: "node.k8s.io/v1";
  readonly kind: "RuntimeClass";
  readonly metadata: { readonly name: string };
  /** Name of the runtime in containerd's configuration. */
  readonly handler: WasmRuntime;
  readonly scheduling: { readonly nodeSelector: Readonly<Record<string, string>> };
}

/** Key of the label that a node carries once the runtime's shim is installed. */
export function wasmLabel(runtime: WasmRuntime): string {
  return `edge-fleet.dev/wasm-${runtime}`;
}

/** Labels of a node that has these runtimes. */
export function wasmLabels(runtimes: readonly WasmRuntime[]): Record<string, string> {
  return Object.fromEntries(runtimes.map((runtime) => [wasmLabel(runtime), "true"]));
}

/**
 * RuntimeClasses that the distribution does not bring itself, in name order. Each selects the nodes that have the shim:
 * a pod on another node would fail with `no runtime for "spin" is configured`.
 * @param bundled true where the distribution creates a class named as each runtime, as K3s does unless `runtimes` is
 *   disabled
 */
export function runtimeClasses(runtimes: readonly WasmRuntime[], bundled: boolean): RuntimeClass[] {
  const plain = bundled ? [] : runtimes.map((runtime) => runtimeClass(runtime, runtime));
  const spinKube = runtimes.includes("spin") ? [runtimeClass(SPINKUBE_RUNTIME_CLASS, "spin")] : [];
  return [...plain, ...spinKube].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

function runtimeClass(name: string, handler: WasmRuntime): RuntimeClass {
  return {
    apiVersion: "node.k8s.io/v1",
    kind: "RuntimeClass",
    metadata: { name },
    handler,
    scheduling: { nodeSelector: { [wasmLabel(handler)]: "true" } },
  };
}

/**
 * Whether the model has the memory for one pod of each runtime: refused where they would take more than half of what is
 * left for pods, warned about above a quarter.
 * @throws RangeError where the model is too small even without WASM
 */
export function checkWasm({ wasm, model, memoryMiB }: Profile, role: NodeRole = "server"): Finding[] {
  const needMiB = wasm.reduce((sum, runtime) => sum + SHIM_MEMORY_MIB[runtime], 0);
  const podsMiB = podMemoryMiB(memoryMiB, role);
  if (needMiB * 4 <= podsMiB) return [];
  const text =
    `one pod of each of ${wasm.join(", ")} takes ${needMiB} of the ${podsMiB} MiB that model ${model} leaves for ` +
    "pods - use fewer runtimes or a model with more memory";
  return [needMiB * 2 > podsMiB ? error("wasm", text) : warning("wasm", text)];
}
