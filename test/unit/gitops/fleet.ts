/**
 * Fleets for the tests of the tree: one small example, and an arbitrary fleet whose names include those that YAML 1.1
 * takes for booleans or numbers.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import fc from "fast-check";
import type { TreeDevice, TreeInput, TreeWorkload } from "../../../components/gitops/tree-input.ts";
import { windowGroup } from "../../../components/gitops/windows.ts";
import type { MaintenanceWindow, WasmRuntime } from "../../../components/inventory/types.ts";

const MODELS: TreeInput["models"] = {
  "n100-8g": { architecture: "amd64", memoryMiB: 8192 },
  "rpi4-2g": { architecture: "arm64", memoryMiB: 2048 },
  "rpi4-4g": { architecture: "arm64", memoryMiB: 4096 },
};

const GIT = { url: "https://git.example.com/acme/fleet.git", branch: "main", path: "fleet", layout: "live" } as const;

/** Two regions, three models, three rings, seven devices, five leaves. */
export const EXAMPLE: TreeInput = {
  fleetName: "acme",
  git: GIT,
  rings: ["canary", "early", "broad"],
  models: MODELS,
  devices: [
    { id: "osaka-0001", region: "osaka", model: "rpi4-4g", ring: "canary", engine: "argocd-agent" },
    { id: "osaka-0002", region: "osaka", model: "rpi4-4g", ring: "broad", engine: "argocd-agent" },
    { id: "osaka-0003", region: "osaka", model: "n100-8g", ring: "broad", engine: "argocd" },
    { id: "tokyo-0001", region: "tokyo", model: "rpi4-4g", ring: "canary", engine: "argocd-agent" },
    { id: "tokyo-0002", region: "tokyo", model: "n100-8g", ring: "early", engine: "argocd-agent" },
    { id: "tokyo-0003", region: "tokyo", model: "rpi4-2g", ring: "early", engine: "flux" },
    { id: "tokyo-0004", region: "tokyo", model: "rpi4-4g", ring: "broad", engine: "argocd-agent" },
  ],
};

const NIGHTS: readonly MaintenanceWindow[] = [
  { start: "01:30", durationMinutes: 120 },
  { days: ["sat", "sun"], start: "22:00", durationMinutes: 300 },
];

/** The example with all that an inventory can say of workloads: WASM, values, windows, region facts, more workloads. */
export const FULL_EXAMPLE: TreeInput = {
  ...EXAMPLE,
  devices: EXAMPLE.devices.map((device) => {
    const more = device.region === "tokyo" ? { windows: windowGroup(NIGHTS, "Asia/Tokyo") } : {};
    if (device.model === "n100-8g") return { ...device, ...more, wasm: ["spin", "wasmtime"] };
    if (device.region === "osaka")
      return { ...device, ...more, wasm: ["spin"], values: { coordinates: "34.69,135.50" } };
    return { ...device, ...more };
  }),
  regions: {
    osaka: { timeZone: "Asia/Tokyo" },
    tokyo: {
      timeZone: "Asia/Tokyo",
      networkShape: "lan",
      ntpServers: ["ntp1.example.com", "ntp2.example.com"],
      registryMirrors: { "*": ["https://mirror.example.com"], "docker.io": ["https://a.example.com:5000/v2"] },
    },
  },
  workloads: [
    { name: "telemetry", path: "workloads/telemetry", namespace: "telemetry" },
    {
      name: "vision",
      path: "workloads/vision",
      namespace: "vision",
      project: "vision",
      models: ["n100-8g"],
      rings: ["early"],
    },
  ],
};

/**
 * The full example with one engine on every device, an overlay, a workload that is removed, and a patch of one device.
 * @param patched id of that device
 * @param workloads further ones
 */
export function exampleOf(
  engine: NonNullable<TreeDevice["engine"]>,
  patched: string,
  workloads: readonly TreeWorkload[],
): TreeInput {
  return {
    ...FULL_EXAMPLE,
    devices: FULL_EXAMPLE.devices.map((device) => ({ ...device, engine })),
    workloads: [
      ...(FULL_EXAMPLE.workloads ?? []),
      ...workloads,
      { name: "shop", type: "overlays", path: "workloads/shop", namespace: "shop" },
      { name: "old", path: "workloads/old", namespace: "old", state: "removed" },
    ],
    patches: [
      {
        devices: [patched],
        target: { kind: "Deployment", name: "web" },
        patch: "- {op: add, path: /spec/replicas, value: 3}",
      },
    ],
  };
}

/** Names that a careless YAML writer turns into false, true, null or a number. */
export const TREACHEROUS_NAMES = ["no", "on", "y", "yes", "null", "1e3", "0o17", "0x1f", "007", "2026-11-24", "12"];

const name = fc.oneof(
  fc.constantFrom(...TREACHEROUS_NAMES),
  fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/, { maxLength: 10 }),
);
const names = fc.uniqueArray(name, { minLength: 1, maxLength: 4 });

const WINDOWS = [undefined, windowGroup([], "UTC"), windowGroup(NIGHTS, "Asia/Tokyo"), windowGroup(NIGHTS, "UTC")];
const RUNTIMES: readonly (readonly WasmRuntime[])[] = [[], ["spin"], ["wasmtime"], ["spin", "wasmtime"]];
const VALUES = [undefined, {}, { coordinates: "1,2" }, { a: 'b "c"', site: "x" }];

const arbitraryDevice = fc.record({
  region: fc.nat(),
  model: fc.nat(),
  ring: fc.nat(),
  engine: fc.constantFrom<TreeDevice["engine"]>("argocd-agent", "argocd", "flux"),
  wasm: fc.constantFrom(...RUNTIMES),
  windows: fc.constantFrom(...WINDOWS),
  values: fc.constantFrom(...VALUES),
});

/** Any fleet of up to 40 devices, in either layout, with up to three workloads of its own. */
export const arbitraryFleet: fc.Arbitrary<TreeInput> = fc
  .record({
    regions: names,
    models: names,
    rings: names,
    picks: fc.array(arbitraryDevice, { maxLength: 40 }),
    layout: fc.constantFrom("live" as const, "rendered" as const),
    workloads: fc.subarray(["chart-of-all", "telemetry-of-all", "vision-of-some"]),
  })
  .map(({ regions, models, rings, picks, layout, workloads }) => ({
    fleetName: "acme",
    git: { ...GIT, layout },
    rings,
    models: Object.fromEntries(
      models.map((model, index) => [
        model,
        { architecture: index % 2 ? ("amd64" as const) : ("arm64" as const), memoryMiB: 1024 << (index % 4) },
      ]),
    ),
    devices: picks.map(({ region, model, ring, engine, wasm, windows, values }, index) => ({
      id: `device-${index}`,
      region: pick(regions, region),
      model: pick(models, model),
      ring: pick(rings, ring),
      engine,
      wasm,
      ...(windows === undefined ? {} : { windows }),
      ...(values === undefined ? {} : { values }),
    })),
    workloads: workloads.map(
      (name): TreeWorkload => ({
        name,
        path: `workloads/${name}`,
        namespace: name,
        ...(name === "chart-of-all" ? { type: "helm" } : {}),
        ...(name === "vision-of-some" ? { models: models.slice(0, 1), rings: rings.slice(0, 1) } : {}),
      }),
    ),
  }));

function pick<T>(list: readonly T[], index: number): T {
  const value = list[index % list.length];
  if (value === undefined) throw new Error("an empty list has nothing to pick");
  return value;
}

/** Runs a test in a folder of its own and removes it. */
export function inFolder(run: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), "edge-fleet-tree-"));
  try {
    run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** As {@link inFolder}, for what takes time. */
export async function inFolderAsync(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "edge-fleet-tree-"));
  try {
    await run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Every regular file below a folder with its content. Follows no symbolic link, as `readdir` with `recursive` would. */
export function readFolder(directory: string, below = ""): Map<string, string> {
  const entries = readdirSync(join(directory, below), { withFileTypes: true });
  return new Map(
    entries
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap((entry): [string, string][] => {
        const path = posix.join(below, entry.name);
        if (entry.isDirectory()) return [...readFolder(directory, path)];
        return entry.isFile() ? [[path, readFileSync(join(directory, path), "utf8")]] : [];
      })
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
