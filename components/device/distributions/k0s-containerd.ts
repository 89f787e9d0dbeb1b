/**
 * From a profile to what containerd reads where edge-fleet does not write its whole configuration: tables of WASM
 * runtimes and mirrors of registries. Pure.
 */
import type { RegistryMirror, WasmRuntime } from "../../inventory/types.ts";
import { SHIM_BINARIES } from "../artifact.ts";

/** containerd 2 reads version 3, containerd 1.7 only version 2: https://github.com/containerd/containerd/blob/main/docs/cri/config.md */
export type ContainerdVersion = 2 | 3;

const RUNTIME_PLUGIN = { 2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime" } as const;
const REGISTRY_PLUGIN = { 2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.images" } as const;

/** `containerd-shim-spin-v2` -> `io.containerd.spin.v2`, under which containerd looks the shim up on its PATH. */
export function runtimeType(runtime: WasmRuntime): string {
  return SHIM_BINARIES[runtime].replace(/^containerd-shim-(.*)-(v\d+)$/, "io.containerd.$1.$2");
}

/**
 * The table of one runtime, without a `version` line.
 * @param type `runtime_type`: a name, or the absolute path of the shim
 */
export function runtimeTable(version: ContainerdVersion, runtime: WasmRuntime, type: string): string {
  const table = `plugins."${RUNTIME_PLUGIN[version]}".containerd.runtimes.${runtime}`;
  return `[${table}]\n  runtime_type = ${toml(type)}\n[${table}.options]\n  SystemdCgroup = false\n`;
}

/** The table that names the folder of {@link hostsFile}s, without a `version` line. */
export function registryTable(version: ContainerdVersion, folder: string): string {
  return `[plugins."${REGISTRY_PLUGIN[version]}".registry]\n  config_path = ${toml(folder)}\n`;
}

/**
 * Folder of a registry below the one of {@link registryTable}: `*` is containerd's `_default`, and a port is written
 * `host_port_`, which containerd takes as well as a colon.
 */
export function hostsFolder(registry: string): string {
  return registry === "*" ? "_default" : registry.replace(/:(\d+)$/, "_$1_");
}

/**
 * `hosts.toml` of one registry: https://github.com/containerd/containerd/blob/main/docs/hosts.md. The registry itself
 * is asked after the mirrors.
 */
export function hostsFile(registry: string, mirror: Pick<RegistryMirror, "endpoints">): string {
  const server = registry === "docker.io" ? "registry-1.docker.io" : registry;
  const hosts = mirror.endpoints.map((endpoint) => `[host.${toml(endpoint)}]\n  capabilities = ["pull", "resolve"]\n`);
  return [...(registry === "*" ? [] : [`server = ${toml(`https://${server}`)}\n`]), ...hosts].join("\n");
}

/** A TOML basic string: what JSON escapes, TOML reads. */
function toml(text: string): string {
  return JSON.stringify(text);
}
