/**
 * Benchmark: `up` of a region in which nothing changed, against a bare Pulumi program (bare/) that registers the same
 * commands, in processor seconds with provider plugins. BENCH_DEVICES (default 1000) loopback devices answer the probe; one
 * of them was really applied, by either program, and the state of the others is grown from its. Both run twice in turn and
 * the lower figure counts: what a shared machine adds is never negative.
 */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type LabFleet, REGION } from "../lab/fleet.ts";
import { type CommandResult, runCommand } from "../lab/run-command.ts";
import {
  countResources,
  deviceSpecs,
  enrolledDevices,
  readState,
  setting,
  startBenchFleet,
  succeed,
  writeRegion,
} from "./bench-fleet.ts";
import { growState, type RunPulumi } from "./grown-state.ts";
import { readMachine } from "./machine.ts";
import { type Accounted, account } from "./processor-time.ts";
import { printResult, progress } from "./report.ts";

const COUNT = setting("BENCH_DEVICES", 1000);
const ROUNDS = 2;
const BARE = "bare";
/** As `edge-fleet up` calls the CLI, see cli/pulumi/plan.ts. */
const UP = ["up", "--yes", "--skip-preview", "--parallel", "64"];
const LEVERS = { PULUMI_SKIP_CHECKPOINTS: "true", PULUMI_CONTINUE_ON_ERROR: "true" };

type Contender = "edge-fleet up" | "pulumi up" | "bare";

async function main(): Promise<void> {
  const fleet = await startBenchFleet(COUNT);
  const machine = readMachine();
  try {
    const bare = await createBareProject(fleet);
    await prepare(fleet, bare);
    const run: Readonly<Record<Contender, () => Promise<CommandResult>>> = {
      bare: () => bare([...UP, "--stack", BARE]),
      "edge-fleet up": () => fleet.edgeFleet(["up", REGION, "--yes"]),
      "pulumi up": () => fleet.pulumi([...UP, "--stack", REGION], { env: LEVERS }),
    };
    const best = new Map<Contender, Accounted<CommandResult>>();
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const name of Object.keys(run) as Contender[]) {
        const sample = await account(run[name]);
        checkUnchanged(name, sample.result);
        progress(
          `no-op: round ${round}, ${name}: ${sample.cpuSeconds.toFixed(1)} CPU s, ${sample.wallSeconds.toFixed(1)} s`,
        );
        const before = best.get(name);
        if (before === undefined || sample.cpuSeconds < before.cpuSeconds) best.set(name, sample);
      }
    }
    report(fleet, machine, best);
  } finally {
    await fleet.stop();
  }
}

/** Applies the first device with both programs and grows both states. */
async function prepare(fleet: LabFleet, bare: RunPulumi): Promise<void> {
  const devices = enrolledDevices(fleet);
  writeRegion(fleet, devices.slice(0, 1));
  writeSpecs(fleet);
  succeed(await fleet.edgeFleet(["up", REGION, "--yes"]), "first up");
  succeed(await bare([...UP, "--stack", BARE]), "first up of the bare program");
  writeRegion(fleet, devices);
  writeSpecs(fleet);
  const specs = deviceSpecs(fleet);
  await growState(fleet.pulumi, REGION, specs, fleet.directory);
  await growState(bare, BARE, specs, fleet.directory);
}

/** A project folder for the bare program, and how to run `pulumi` there. */
async function createBareProject({ directory, env }: LabFleet): Promise<RunPulumi> {
  const project = join(directory, "bare");
  mkdirSync(project);
  cpSync(join(import.meta.dirname, "bare/Pulumi.yaml"), join(project, "Pulumi.yaml"));
  symlinkSync(join(import.meta.dirname, "bare/index.ts"), join(project, "index.ts"));
  for (const name of ["package.json", "node_modules"]) {
    symlinkSync(join(import.meta.dirname, "../..", name), join(project, name));
  }
  const bare: RunPulumi = (args) =>
    runCommand("pulumi", [...args, "--non-interactive"], { cwd: project, env: { ...env, ...LEVERS } });
  succeed(await bare(["stack", "init", BARE]), "stack init of the bare program");
  return bare;
}

/** What the bare program reads instead of an inventory. */
function writeSpecs(fleet: LabFleet): void {
  const commands = deviceSpecs(fleet).map(({ id, connection, create, stdin }) => ({ id, connection, create, stdin }));
  writeFileSync(join(fleet.directory, "bare/commands.json"), JSON.stringify(commands), { mode: 0o600 });
}

function checkUnchanged(name: string, result: CommandResult): void {
  const unchanged = countResources(succeed(result, name), "unchanged");
  if (unchanged < 2 * COUNT)
    throw new Error(`no-op: ${name} left only ${unchanged} resources unchanged:\n${result.stdout}`);
}

function report(
  fleet: LabFleet,
  machine: ReturnType<typeof readMachine>,
  best: ReadonlyMap<Contender, Accounted<CommandResult>>,
): void {
  const cpu = (name: Contender) => best.get(name)?.cpuSeconds ?? Number.NaN;
  const wall = (name: Contender) => best.get(name)?.wallSeconds ?? Number.NaN;
  const resources = (name: Contender) => {
    const sample = best.get(name);
    return sample === undefined ? Number.NaN : countResources(sample.result, "unchanged");
  };
  const names: readonly Contender[] = ["edge-fleet up", "pulumi up", "bare"];
  printResult({
    benchmark: "no-op",
    method: `up of ${COUNT} unchanged devices, lower of ${ROUNDS} runs in turn, CPU of the CLI, the program and all plugins`,
    machine,
    figures: [
      ...names.flatMap((name) => [
        { name: `${name}: CPU`, value: cpu(name), unit: "s", note: `${resources(name)} resources` },
        { name: `${name}: wall`, value: wall(name), unit: "s" },
      ]),
      { name: "edge-fleet up / bare", value: cpu("edge-fleet up") / cpu("bare"), unit: "x", note: "CPU" },
      {
        name: "pulumi up / bare",
        value: cpu("pulumi up") / cpu("bare"),
        unit: "x",
        note: "CPU, without the edge-fleet command",
      },
      { name: "state per device", value: Math.round(readState(fleet).bytes / COUNT), unit: "B" },
    ],
  });
}

await main();
