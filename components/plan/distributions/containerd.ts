/**
 * What containerd reads where edge-fleet does not write its whole configuration: tables of WASM runtimes, and mirrors
 * of registries with their accounts. Pure.
 */
import type { Profile, RegistryMirror, WasmRuntime } from "../../inventory/types.ts";
import type { DeviceFile } from "./distribution-plan.ts";
import { type Finding, warning } from "./finding.ts";
import { hostOf, type RegistryAccount, registryAccounts, sorted } from "./registries.ts";
import { minorOf } from "./release.ts";
import { SHIM_BINARIES } from "./wasm.ts";

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
 * A {@link hostsFile} per registry below a folder. containerd reads them at each pull; the one that holds a password is
 * readable by root alone, as containerd is.
 * @param secrets passwords by key
 * @throws Error naming the registry, the key and the fix, where a password is missing; never with a password
 */
export function hostsFiles(
  profile: Profile,
  folder: string,
  secrets: Readonly<Record<string, string>> = {},
): DeviceFile[] {
  const accounts = registryAccounts(profile, secrets);
  return sorted(profile.registries).map(([registry, mirror]) => {
    const path = `${folder}/${hostsFolder(registry)}/hosts.toml`;
    const secret = mirror.endpoints.some((endpoint) => accounts.has(hostOf(endpoint)));
    const content = hostsFile(registry, mirror, accounts);
    return { path, mode: "0600", content, live: true, ...(secret ? { secret } : {}) };
  });
}

/**
 * `hosts.toml` of one registry: https://github.com/containerd/containerd/blob/main/docs/hosts.md. The registry itself
 * is asked after the mirrors.
 *
 * An account is a header of its mirror. The other way, `registry.configs` of containerd's own configuration, would show
 * it: everybody may read the drop-ins of K0s and what it merges of them to 1.35, and the wrapper of MicroK8s copies its
 * template into args/containerd.toml.
 */
function hostsFile(
  registry: string,
  { endpoints }: Pick<RegistryMirror, "endpoints">,
  accounts: ReadonlyMap<string, RegistryAccount>,
): string {
  const server = registry === "docker.io" ? "registry-1.docker.io" : registry;
  const hosts = endpoints.map((endpoint) => {
    const host = `[host.${toml(endpoint)}]\n  capabilities = ["pull", "resolve"]\n`;
    const account = accounts.get(hostOf(endpoint));
    return account === undefined ? host : `${host}${headerTable(endpoint, account)}`;
  });
  return [...(registry === "*" ? [] : [`server = ${toml(`https://${server}`)}\n`]), ...hosts].join("\n");
}

/** https://www.rfc-editor.org/rfc/rfc7617 in UTF-8. Go's client drops the header where a registry sends it to another host. */
function headerTable(endpoint: string, { username, password }: RegistryAccount): string {
  const credentials = Buffer.from(`${username}:${password}`, "utf8").toString("base64");
  return `  [host.${toml(endpoint)}.header]\n    Authorization = ${toml(`Basic ${credentials}`)}\n`;
}

/**
 * Where an account would not reach a token server. containerd sends a mirror's headers there from 2.1 on
 * (https://github.com/containerd/containerd/pull/11092); before, it asks for an anonymous token.
 * @param first minor release of the distribution with containerd 2
 */
export function checkTokenServers(profile: Profile, first: number): Finding[] {
  const { distribution, registries } = profile;
  const { version } = profile[distribution];
  if (minorOf(version) >= first) return [];
  return sorted(registries).flatMap(([registry, { passwordSecret }]) =>
    passwordSecret === undefined
      ? []
      : [
          warning(
            ["registries", registry, "passwordSecret"],
            `containerd 1.7 of ${version} sends it to the registry alone, and one that hands out tokens (Docker Hub, GitLab, ghcr.io) may refuse the pull - use ${distribution}.version v1.${first} or later for such a registry`,
          ),
        ],
  );
}

/** A TOML basic string: what JSON escapes, TOML reads. */
function toml(text: string): string {
  return JSON.stringify(text);
}
