/**
 * What to lock of WASM shims: one archive per runtime in use and architecture. Upstream publishes no list of hashes, so
 * an archive is hashed once and then pinned. Pure.
 */
import type { Profile, WasmRuntime } from "../../../components/inventory/index.ts";
import { UsageError } from "../../exit.ts";
import type { LockContext, UsedArtifact } from "../artifact.ts";
import { nameUsers } from "./users.ts";

/**
 * Releases that are locked where neither the lock file nor `--wasm` says otherwise. Spin: the newest release whose hashes
 * upstream has published (see {@link PUBLISHED}). The others: the last release of each shim, of 2025-05-20,
 * https://github.com/containerd/runwasi/releases
 */
export const DEFAULT_SHIMS: Readonly<Record<WasmRuntime, string>> = {
  spin: "v0.23.0",
  wasmtime: "v0.6.0",
  wasmedge: "v0.6.0",
  wasmer: "v0.6.0",
};

/**
 * Hashes that upstream tells outside the release, by URL below the base: config/samples/sample_shim_spin.yaml of
 * https://github.com/spinframework/runtime-class-manager
 */
const PUBLISHED: Readonly<Record<string, string>> = {
  "v0.23.0/containerd-shim-spin-v2-linux-aarch64.tar.gz":
    "a923f08d91c110d2cda29fbc380273e6d0a97aa0bab455c55f613c8d5a8bfbe4",
  "v0.23.0/containerd-shim-spin-v2-linux-x86_64.tar.gz":
    "eec8df96fa3a4fe5dbc57ffb706461692c055299dd6d22dff9444863a2a12281",
};

const MACHINES = { amd64: "x86_64", arm64: "aarch64" } as const;
const RUNTIMES: readonly WasmRuntime[] = ["spin", "wasmtime", "wasmedge", "wasmer"];

/**
 * Reads `--wasm` values.
 * @param picks e.g. `spin=v0.24.0`
 * @throws UsageError for a runtime or a release that cannot be
 */
export function parseShims(picks: readonly string[]): Partial<Record<WasmRuntime, string>> {
  const shims: Partial<Record<WasmRuntime, string>> = {};
  for (const pick of picks) {
    const [, name, version] = /^([a-z]+)=(v\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?)$/.exec(pick) ?? [];
    const runtime = RUNTIMES.find((candidate) => candidate === name);
    if (runtime === undefined || version === undefined)
      throw new UsageError(
        `--wasm ${pick} is not <runtime>=<release> - use one of ${RUNTIMES.join(", ")}, e.g. spin=${DEFAULT_SHIMS.spin}`,
      );
    shims[runtime] = version;
  }
  return shims;
}

/** Plans the shims. @throws UsageError for a release that was asked for of a runtime that no device uses */
export function planWasm(context: LockContext): UsedArtifact[] {
  const unused = RUNTIMES.find(
    (runtime) => context.shims[runtime] !== undefined && !context.profiles.some(({ wasm }) => wasm.includes(runtime)),
  );
  if (unused !== undefined)
    throw new UsageError(
      `--wasm ${unused}=...: no device uses it - add ${unused} to \`wasm\`, or leave the option out`,
    );
  return RUNTIMES.flatMap((runtime) =>
    (["amd64", "arm64"] as const).flatMap((architecture) => {
      const uses = (profile: Profile) => profile.architecture === architecture && profile.wasm.includes(runtime);
      const users = context.profiles.filter(uses);
      return users.length === 0 ? [] : [planShim(context, runtime, architecture, users)];
    }),
  );
}

function planShim(
  { inventory, bases, shims }: LockContext,
  runtime: WasmRuntime,
  architecture: Profile["architecture"],
  users: readonly Profile[],
): UsedArtifact {
  const entry = inventory.artifacts.wasm?.[runtime];
  const version = shims[runtime] ?? entry?.version ?? DEFAULT_SHIMS[runtime];
  const path = ["wasm", runtime, architecture];
  const { project, name } = shimFile(runtime, version, architecture);
  const published = PUBLISHED[name];
  const moves = entry !== undefined && entry.version !== version;
  return {
    project,
    path,
    field: path.join("."),
    usedBy: nameUsers(users),
    url: `${bases[project]}/${name}`,
    hash: published === undefined ? { kind: "archive" } : { kind: "archive", published },
    locked: moves ? undefined : entry?.[architecture],
    scalars: [{ path: ["wasm", runtime, "version"], value: version }],
    ...(moves ? { replaces: Object.keys(MACHINES).map((name) => ["wasm", runtime, name]) } : {}),
  };
}

/** A release of runwasi is a tag of its own per shim: `containerd-shim-<runtime>/<version>`. */
function shimFile(runtime: WasmRuntime, version: string, architecture: Profile["architecture"]) {
  const machine = MACHINES[architecture];
  if (runtime === "spin")
    return { project: "spin", name: `${version}/containerd-shim-spin-v2-linux-${machine}.tar.gz` } as const;
  const shim = `containerd-shim-${runtime}`;
  return { project: "runwasi", name: `${shim}/${version}/${shim}-${machine}-linux-musl.tar.gz` } as const;
}
