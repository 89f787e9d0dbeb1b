/**
 * Benchmark: `up` of a region in which nothing changed, against a bare Pulumi program (bare/) that registers the same
 * commands, in processor seconds with provider plugins. BENCH_DEVICES (default 1000) devices, of which one is really
 * applied, and the state of the others is grown from its; nobody is dialled. All run twice in turn and the lower figure
 * counts: what a shared machine adds is never negative.
 */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type LabFleet, REGION } from "../lab/fleet.ts";
import { type CommandResult, runCommand } from "../lab/run-command.ts";
import { countResources, readState, setting, startBenchFleet, stateFigures, succeed } from "./bench-fleet.ts";
import { growRegion } from "./grown-region.ts";
import { type ExportedStack, exportStack, importStack, type RunPulumi } from "./grown-state.ts";
import { readMachine } from "./machine.ts";
import { type Accounted, account } from "./processor-time.ts";
import { printResult, progress } from "./report.ts";

const COUNT = setting("BENCH_DEVICES", 1000);
const ROUNDS = 2;
const BARE = "bare";

const CONTENDERS = ["bare", "pulumi up", "edge-fleet up"] as const;
type Contender = (typeof CONTENDERS)[number];

async function main(): Promise<void> {
  const fleet = await startBenchFleet(1);
  const machine = readMachine();
  try {
    await growRegion(fleet, COUNT);
    const bare = await createBareProject(fleet);
    const run: Readonly<Record<Contender, () => Promise<CommandResult>>> = {
      bare: () => bare(["up", "--yes", "--stack", BARE]),
      "pulumi up": () => fleet.pulumi(["up", "--yes", "--stack", REGION]),
      "edge-fleet up": () => fleet.edgeFleet(["up", REGION, "--yes"]),
    };
    const best = new Map<Contender, Accounted<CommandResult>>();
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const name of CONTENDERS) {
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

/** A project for the bare program with the region's dials as its state, and how to run `pulumi` there. */
async function createBareProject({ directory, env, pulumi }: LabFleet): Promise<RunPulumi> {
  const project = join(directory, BARE);
  mkdirSync(project);
  cpSync(join(import.meta.dirname, "bare/Pulumi.yaml"), join(project, "Pulumi.yaml"));
  symlinkSync(join(import.meta.dirname, "bare/index.ts"), join(project, "index.ts"));
  for (const name of ["package.json", "node_modules"]) {
    symlinkSync(join(import.meta.dirname, "../..", name), join(project, name));
  }
  const bare: RunPulumi = (args) => runCommand("pulumi", [...args, "--non-interactive"], { cwd: project, env });
  succeed(await bare(["stack", "init", BARE]), "stack init of the bare program");
  const region = await exportStack(pulumi, REGION);
  const dials = region.deployment.resources.filter(({ type }) => type === "command:local:Command");
  const recorded = dials.map(({ urn, inputs = {} }) => {
    const { create, stdin, environment } = inputs;
    return { id: urn.split("::").at(-1), create, stdin, environment };
  });
  writeFileSync(join(project, "dials.json"), JSON.stringify(recorded), { mode: 0o600 });
  await importStack(bare, BARE, bareState(region), directory);
  return bare;
}

/** The state of a region as the bare program would have left it. */
function bareState(region: ExportedStack): ExportedStack {
  const stackUrn = `urn:pulumi:${BARE}::${BARE}::pulumi:pulumi:Stack::${BARE}-${BARE}`;
  const kept = region.deployment.resources.filter(({ type }) =>
    ["pulumi:pulumi:Stack", "pulumi:providers:command", "command:local:Command"].includes(type),
  );
  const moved = kept.map(({ outputs, ...resource }) => ({
    ...resource,
    urn: resource.urn
      .replace(`urn:pulumi:${REGION}::edge-fleet::edge-fleet:index:Region$`, `urn:pulumi:${BARE}::${BARE}::`)
      .replace(`urn:pulumi:${REGION}::edge-fleet::`, `urn:pulumi:${BARE}::${BARE}::`)
      .replace(/::pulumi:pulumi:Stack::.*/, `::pulumi:pulumi:Stack::${BARE}-${BARE}`),
    ...(resource.parent === undefined ? {} : { parent: stackUrn }),
    outputs: resource.type === "pulumi:pulumi:Stack" ? {} : outputs,
  }));
  const text = JSON.stringify({ ...region, deployment: { ...region.deployment, resources: moved } });
  const provider = `urn:pulumi:${BARE}::${BARE}::pulumi:providers:command`;
  return JSON.parse(text.replaceAll(`urn:pulumi:${REGION}::edge-fleet::pulumi:providers:command`, provider));
}

function checkUnchanged(name: string, result: CommandResult): void {
  const unchanged = countResources(succeed(result, name), "unchanged");
  if (unchanged < COUNT)
    throw new Error(`no-op: ${name} left only ${unchanged} resources unchanged:\n${result.stdout.slice(-3000)}`);
}

function report(
  fleet: LabFleet,
  machine: ReturnType<typeof readMachine>,
  best: ReadonlyMap<Contender, Accounted<CommandResult>>,
): void {
  const of = (name: Contender, field: "cpuSeconds" | "wallSeconds") => best.get(name)?.[field] ?? Number.NaN;
  const resources = (name: Contender) => countResources(best.get(name)?.result ?? fail(name), "unchanged");
  const ratio = (name: Contender) => of(name, "cpuSeconds") / of("bare", "cpuSeconds");
  printResult({
    benchmark: "no-op",
    method: `up with its preview of ${COUNT} unchanged devices, lower of ${ROUNDS} runs in turn, CPU of the CLI, the program and all plugins`,
    machine,
    figures: [
      ...CONTENDERS.flatMap((name) => [
        { name: `${name}: CPU`, value: of(name, "cpuSeconds"), unit: "s", note: `${resources(name)} resources` },
        { name: `${name}: wall`, value: of(name, "wallSeconds"), unit: "s" },
      ]),
      { name: "pulumi up / bare", value: ratio("pulumi up"), unit: "x", note: "CPU" },
      {
        name: "edge-fleet up / bare",
        value: ratio("edge-fleet up"),
        unit: "x",
        note: "CPU, table and levers included",
      },
      ...stateFigures(readState(fleet), COUNT),
    ],
  });
}

function fail(name: string): never {
  throw new Error(`no-op: ${name} did not run`);
}

await main();
