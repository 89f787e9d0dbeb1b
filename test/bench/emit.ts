/**
 * Benchmark: resolve and emit of a whole fleet, from files to profiles, GitOps tree and the plans of one region's
 * devices. Every phase is measured in a fresh process that ran the phases before it and no other; the median of
 * BENCH_REPEATS (default 3) processes counts, for devices in YAML and in CSV in turn. BENCH_FLEET (default 5000) devices.
 * Then the tree itself against one with a folder per device, see emit-tree.ts.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "../lab/run-command.ts";
import { ensureToolchain } from "../lab/toolchain/index.ts";
import { PHASES, type Phase, type PhaseReport } from "./emit-phase.ts";
import { measureTree } from "./emit-tree.ts";
import { type DeviceFormat, type FleetSize, regionName, writeFleetInventory } from "./fleet-inventory.ts";
import { readMachine } from "./machine.ts";
import { type Figure, median, printResult, progress } from "./report.ts";

const SIZE: FleetSize = { devices: Number(process.env.BENCH_FLEET ?? 5000), regions: 13, models: 8 };
const REPEATS = Number(process.env.BENCH_REPEATS ?? 3);
const FORMATS: readonly DeviceFormat[] = ["yaml", "csv"];
const MEASURED = PHASES.slice(1);

interface Sample extends PhaseReport {
  readonly format: DeviceFormat;
  readonly last: Phase;
}

async function main(): Promise<void> {
  const machine = readMachine();
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-bench-"));
  try {
    for (const format of FORMATS) writeFleetInventory(join(folder, format), SIZE, format);
    const samples = await measure(folder);
    progress("emit: building both layouts");
    const { env } = await ensureToolchain(progress, ["kustomize"]);
    Object.assign(process.env, env);
    const tree = await measureTree(join(folder, "yaml"), join(folder, "tree"));
    const { devices, regions, models } = SIZE;
    printResult({
      benchmark: "emit",
      method: `${devices} devices in ${regions} regions of ${models} models, median of ${REPEATS} fresh processes per phase`,
      machine,
      figures: [...FORMATS.flatMap((format) => figuresOf(format, samples)), ratio(samples), ...tree],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function measure(folder: string): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let repeat = 1; repeat <= REPEATS; repeat += 1) {
    progress(`emit: round ${repeat} of ${REPEATS}`);
    for (const last of MEASURED)
      for (const format of FORMATS) samples.push({ ...(await runPhase(join(folder, format), last)), format, last });
  }
  return samples;
}

async function runPhase(directory: string, last: Phase): Promise<PhaseReport> {
  const script = join(import.meta.dirname, "emit-phase.ts");
  const result = await runCommand(process.execPath, [script, directory, regionName(0), last], {
    cwd: directory,
    env: {},
  });
  if (result.code !== 0) throw new Error(`emit: phase ${last} failed:\n${result.stderr}`);
  return JSON.parse(result.stdout) as PhaseReport;
}

function figuresOf(format: DeviceFormat, samples: readonly Sample[]): Figure[] {
  const own = (last: Phase) => samples.filter((sample) => sample.format === format && sample.last === last);
  const milliseconds = (phase: Phase) => median(own(phase).map((sample) => sample.milliseconds[phase] ?? Number.NaN));
  const phases = MEASURED.map((phase): Figure => {
    const peak = Math.round(median(own(phase).map(({ peakMiB }) => peakMiB)));
    return { name: `${format}: ${TITLES[phase]}`, value: milliseconds(phase), unit: "ms", note: `peak ${peak} MiB` };
  });
  const emit = milliseconds("resolve") + milliseconds("tree") + milliseconds("plans");
  const peak = Math.max(...samples.filter((sample) => sample.format === format).map(({ peakMiB }) => peakMiB));
  return [
    {
      name: `${format}: start of Node.js and imports`,
      value: median(own("load").map(({ milliseconds: { start = 0 } }) => start)),
      unit: "ms",
    },
    ...phases,
    { name: `${format}: resolve + emit`, value: emit, unit: "ms", note: "without load" },
    { name: `${format}: load + resolve + emit`, value: milliseconds("load") + emit, unit: "ms" },
    { name: `${format}: peak memory`, value: Math.round(peak), unit: "MiB" },
  ];
}

const TITLES: Readonly<Record<Phase, string>> = {
  start: "start",
  load: "load and check",
  resolve: "resolve profiles",
  tree: "render tree",
  plans: "plan the devices of one region",
};

function ratio(samples: readonly Sample[]): Figure {
  const load = (format: DeviceFormat) =>
    median(
      samples.filter((sample) => sample.format === format).map(({ milliseconds }) => milliseconds.load ?? Number.NaN),
    );
  return { name: "load: yaml / csv", value: load("yaml") / load("csv"), unit: "x" };
}

await main();
