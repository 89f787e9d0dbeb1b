/**
 * Benchmark: `edge-fleet promote` in a fleet of 13 regions and 8 models whose devices read entries: the first promotion of a
 * ring, which writes an Application per leaf, then one that moves them, and the same with --push to a bare repository beside
 * it. Each is a run of the command in a process of its own; the median of BENCH_REPEATS (default 3) counts. BENCH_FLEET
 * (default 5000) devices. The rendered difference, which `diff` measures, is left out.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { planFleet, treeInput, writeTree } from "../../components/gitops/index.ts";
import { loadInventory, resolveFleet } from "../../components/inventory/index.ts";
import { setting } from "./bench-fleet.ts";
import { writeFleetInventory } from "./fleet-inventory.ts";
import { readMachine } from "./machine.ts";
import { median, printResult, progress } from "./report.ts";

const SIZE = { devices: setting("BENCH_FLEET", 5000), regions: 13, models: 8 };
const REPEATS = setting("BENCH_REPEATS", 3);
const MAIN = join(import.meta.dirname, "..", "..", "cli", "main.ts");
const LEAVES = SIZE.regions * SIZE.models;

function main(): void {
  const machine = readMachine();
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-bench-"));
  try {
    const git = prepare(folder);
    const start = git("rev-parse", "HEAD");
    const samples = { first: [] as number[], next: [] as number[], push: [] as number[] };
    for (let repeat = 1; repeat <= REPEATS; repeat += 1) {
      progress(`promote: round ${repeat} of ${REPEATS}`);
      git("reset", "-q", "--hard", start);
      git("push", "-q", "--force", "origin", "HEAD:main");
      samples.first.push(promote(folder, git, []));
      git("commit", "-q", "--allow-empty", "-m", "Next");
      samples.next.push(promote(folder, git, []));
      git("commit", "-q", "--allow-empty", "-m", "Next");
      git("push", "-q", "origin", "HEAD:main");
      samples.push.push(promote(folder, git, ["--push"]));
    }
    const note = `one commit with ${LEAVES} Applications`;
    const figure = (name: string, seconds: readonly number[]) => ({
      name,
      value: median(seconds),
      unit: "s" as const,
      note,
    });
    printResult({
      benchmark: "promote",
      method: `${SIZE.devices} devices, ${LEAVES} leaves, median of ${REPEATS} runs of edge-fleet promote`,
      machine,
      figures: [
        figure("first promotion of a ring", samples.first),
        figure("promotion", samples.next),
        figure("promotion with --push", samples.push),
      ],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A repository with the rendered tree, and a bare one that it pushes to. @returns runs git in it */
function prepare(folder: string): (...args: string[]) => string {
  const identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "commit.gpgsign=false"];
  const git = (...args: string[]) =>
    execFileSync("git", ["-C", folder, ...identity, ...args], { encoding: "utf8" }).trim();
  const stacks = join(folder, "stacks");
  writeFleetInventory(stacks, SIZE, "csv");
  const models = join(stacks, "models.yaml");
  writeFileSync(models, readFileSync(models, "utf8").replaceAll("flux", "argocd"));
  const inventory = loadInventory(stacks);
  const tree = join(folder, "fleet");
  writeTree(tree, planFleet(tree, treeInput(inventory, resolveFleet(inventory))).changes);
  git("init", "-q", "-b", "main");
  writeFileSync(join(folder, ".gitignore"), "remote.git\n");
  for (const [key, value] of [
    ["user.name", "bench"],
    ["user.email", "bench@example.com"],
    ["commit.gpgsign", "false"],
  ] as const)
    git("config", key, value);
  git("add", "-A");
  git("commit", "-q", "-m", "Start");
  execFileSync("git", ["init", "-q", "--bare", join(folder, "remote.git")]);
  git("remote", "add", "origin", join(folder, "remote.git"));
  return git;
}

/** Seconds of one promotion of the first ring to HEAD. @throws Error when it did not make the commit that is measured */
function promote(folder: string, git: (...args: string[]) => string, options: readonly string[]): number {
  const ring = "canary";
  const started = performance.now();
  execFileSync(process.execPath, [MAIN, "promote", ring, "--to", "HEAD", "--no-diff", ...options], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const seconds = (performance.now() - started) / 1000;
  const files = git("show", "--name-only", "--format=", options.length === 0 ? "HEAD" : "origin/main").split("\n");
  const applications = files.filter(
    (path) => path.startsWith(`fleet/entry/${ring}/`) && path.endsWith("/workloads.yaml"),
  );
  if (applications.length !== LEAVES)
    throw new Error(`promote: expected ${LEAVES} Applications, got ${applications.length}`);
  return seconds;
}

main();
