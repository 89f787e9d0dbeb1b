/**
 * The tree of a fleet against one with a folder per device, for the emit benchmark: files, bytes, and how long Kustomize
 * takes to build all that devices deploy. A per-device folder is the least that such a layout can be: one kustomization
 * over the same leaf, with the device's own annotation.
 */
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildManifests } from "../../cli/manifests/build.ts";
import { planTree, renderTree, type TreeDevice, treeInput, writeTree } from "../../components/gitops/index.ts";
import { listLeaves } from "../../components/gitops/tree.ts";
import { loadInventory, resolveFleet } from "../../components/inventory/index.ts";
import type { Figure } from "./report.ts";

/** Devices whose folders are built for the per-device figure, which is then scaled to all of them. */
const SAMPLE = Number(process.env.BENCH_SAMPLE ?? 208);

/**
 * Writes both layouts and builds them. Needs `kustomize` on PATH.
 * @param inventory folder of the inventory
 * @param folder empty folder for the trees
 */
export async function measureTree(inventory: string, folder: string): Promise<Figure[]> {
  const loaded = loadInventory(inventory);
  const input = treeInput(loaded, resolveFleet(loaded));
  const started = performance.now();
  writeTree(folder, planTree(folder, renderTree(input)));
  const write = performance.now() - started;
  const tree = weigh(folder);
  const leaves = listLeaves(input.devices).map(({ region, model }) => `overlays/${region}/${model}`);
  const byLeaf = await timeBuilds(folder, leaves);

  const bytes = writeDeviceFolders(folder, input.devices);
  const sample = input.devices.filter(
    (_, index) => index % Math.max(1, Math.floor(input.devices.length / SAMPLE)) === 0,
  );
  const bySample = await timeBuilds(folder, sample.map(deviceFolder));
  const byDevice = (bySample / sample.length) * input.devices.length;
  const all = { files: tree.files + input.devices.length, bytes: tree.bytes + bytes };
  return [
    { name: "tree: plan and write to disk", value: write, unit: "ms" },
    { name: "tree: files", value: tree.files, unit: "", note: `${leaves.length} leaves` },
    { name: "tree: bytes", value: tree.bytes, unit: "B" },
    { name: "tree: kustomize build of every leaf", value: byLeaf / 1000, unit: "s" },
    { name: "a folder per device: files", value: all.files, unit: "" },
    { name: "a folder per device: bytes", value: all.bytes, unit: "B" },
    {
      name: "a folder per device: kustomize build of every device",
      value: byDevice / 1000,
      unit: "s",
      note: `${sample.length} built, scaled to ${input.devices.length}`,
    },
    { name: "files: a folder per device / tree", value: all.files / tree.files, unit: "x" },
    { name: "bytes: a folder per device / tree", value: all.bytes / tree.bytes, unit: "x" },
    { name: "kustomize build: a folder per device / tree", value: byDevice / byLeaf, unit: "x" },
  ];
}

function weigh(folder: string): { files: number; bytes: number } {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
  return { files: files.length, bytes };
}

async function timeBuilds(folder: string, sources: readonly string[]): Promise<number> {
  const started = performance.now();
  const builds = sources.map((source) => ({ source, target: source }));
  const { size } = await buildManifests(folder, builds);
  if (size !== sources.length) throw new Error(`emit: ${size} of ${sources.length} folders were built`);
  return performance.now() - started;
}

function deviceFolder({ id }: TreeDevice): string {
  return `devices/${id}`;
}

/** @returns bytes written */
function writeDeviceFolders(folder: string, devices: readonly TreeDevice[]): number {
  let bytes = 0;
  for (const device of devices) {
    const { id, region, model } = device;
    const text = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../../overlays/${region}/${model}
commonAnnotations:
  edge-fleet.dev/device: ${id}
`;
    mkdirSync(join(folder, deviceFolder(device)), { recursive: true });
    writeFileSync(join(folder, deviceFolder(device), "kustomization.yaml"), text);
    bytes += text.length;
  }
  return bytes;
}
