/**
 * Benchmark: `edge-fleet diff` over one change of the base, which every leaf renders otherwise, in a fleet of 13 regions
 * and 8 models; and over a change of one model, where the other leaves need not be built. Each is a run of the command
 * in a process of its own; the median of BENCH_REPEATS (default 3) counts. BENCH_FLEET (default 5000) devices.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { planTree, renderTree, treeInput, writeTree } from "../../components/gitops/index.ts";
import { loadInventory, resolveFleet } from "../../components/inventory/index.ts";
import { ensureToolchain } from "../lab/toolchain/index.ts";
import { setting } from "./bench-fleet.ts";
import { writeFleetInventory } from "./fleet-inventory.ts";
import { readMachine } from "./machine.ts";
import { type Figure, median, printResult, progress } from "./report.ts";

const SIZE = { devices: setting("BENCH_FLEET", 5000), regions: 13, models: 8 };
const REPEATS = setting("BENCH_REPEATS", 3);
const MAIN = join(import.meta.dirname, "..", "..", "cli", "main.ts");

/** What one run took and found. */
interface Sample {
  readonly seconds: number;
  readonly peakMiB: number;
  readonly told: { readonly unchanged: number; readonly groups: readonly { readonly paths: readonly string[] }[] };
}

async function main(): Promise<void> {
  const { env } = await ensureToolchain(progress, ["kustomize"]);
  Object.assign(process.env, env);
  const machine = readMachine();
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-bench-"));
  try {
    prepare(folder);
    const base = measure(folder, "HEAD~2", "HEAD~1");
    const model = measure(folder, "HEAD~1", "HEAD");
    const leaves = SIZE.regions * SIZE.models;
    expectGroups(base, leaves, 0);
    expectGroups(model, SIZE.regions, leaves - SIZE.regions);
    printResult({
      benchmark: "diff",
      method: `${SIZE.devices} devices, ${leaves} leaves, median of ${REPEATS} runs of edge-fleet diff`,
      machine,
      figures: [...figures("one change of the base", base), ...figures("one change of one model", model)],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A repository with three commits: the tree, a change of the base, a change of one model. */
function prepare(folder: string): void {
  const git = (...args: string[]) =>
    execFileSync("git", ["-C", folder, "-c", "user.name=bench", "-c", "user.email=bench@example.com", ...args]);
  const commit = (subject: string) => {
    git("add", "-A");
    git("-c", "commit.gpgsign=false", "commit", "-q", "-m", subject);
  };
  writeFleetInventory(join(folder, "stacks"), SIZE, "csv");
  const inventory = loadInventory(join(folder, "stacks"));
  const tree = join(folder, "fleet");
  writeTree(tree, planTree(tree, renderTree(treeInput(inventory, resolveFleet(inventory)))));
  git("init", "-q");
  commit("Start");
  const deployment = join(tree, "base/deployment.yaml");
  writeFileSync(deployment, readFileSync(deployment, "utf8").replace("--level=warn", "--level=info"));
  commit("Change the base");
  const team = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nlabels: [{ pairs: { bench: one } }]\n";
  writeFileSync(join(tree, "components/model/model-1/team/kustomization.yaml"), team);
  commit("Change a model");
}

function measure(folder: string, base: string, head: string): Sample[] {
  return Array.from({ length: REPEATS }, (_, index) => {
    progress(`diff: ${base} ${head}, run ${index + 1} of ${REPEATS}`);
    // The process says its own peak: the one of kustomize's processes is in ru_maxrss of their own.
    const report = `process.on("exit", () => process.stderr.write(String(process.resourceUsage().maxRSS)))`;
    const peak = `data:text/javascript,${encodeURIComponent(report)}`;
    const started = performance.now();
    const output = execFileSync(
      "sh",
      ["-c", 'exec "$0" "$@" 2>peak', process.execPath, "--import", peak, MAIN, "diff", base, head, "--json"],
      { cwd: folder, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
    );
    const seconds = (performance.now() - started) / 1000;
    const peakMiB = Number(readFileSync(join(folder, "peak"), "utf8")) / 1024;
    return { seconds, peakMiB, told: JSON.parse(output) as Sample["told"] };
  });
}

/** @throws Error when what was measured did not happen */
function expectGroups(samples: readonly Sample[], changed: number, unchanged: number): void {
  for (const { told } of samples)
    if (told.groups.length !== 1 || told.groups[0]?.paths.length !== changed || told.unchanged !== unchanged)
      throw new Error(
        `diff: expected one group of ${changed} leaves and ${unchanged} unchanged, got ${JSON.stringify(told)}`,
      );
}

function figures(name: string, samples: readonly Sample[]): Figure[] {
  const peak = Math.round(median(samples.map(({ peakMiB }) => peakMiB)));
  const [first] = samples;
  const changed = first?.told.groups.reduce((sum, { paths }) => sum + paths.length, 0) ?? 0;
  const note = `${changed} leaves in ${first?.told.groups.length} group, ${2 * changed} builds, peak ${peak} MiB`;
  return [{ name, value: median(samples.map(({ seconds }) => seconds)), unit: "s", note }];
}

await main();
