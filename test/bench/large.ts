/**
 * Benchmark: a stack of BENCH_FLEET (default 5000) devices, of which a tenth does not answer: the preview of a change
 * of all of them, then an `up` that changes nothing and tries those again, with the default number at a time where
 * BENCH_DEFAULT is set, and with 64. One loopback device is real and one does not answer, on as many ports as there are
 * of those; the state of the others is grown, see grown-state.ts. With PULUMI_SKIP_CHECKPOINTS, as `edge-fleet up` sets
 * it.
 */
import type { RegionOutputs } from "../../components/region/outputs.ts";
import { type LabFleet, REGION } from "../lab/fleet.ts";
import type { CommandResult } from "../lab/run-command.ts";
import {
  countResources,
  deviceIds,
  readState,
  setLabel,
  setting,
  startBenchFleet,
  stateFigures,
  succeed,
} from "./bench-fleet.ts";
import { growRegion } from "./grown-region.ts";
import { readMachine } from "./machine.ts";
import { type Accounted, account } from "./processor-time.ts";
import { type Figure, printResult, progress } from "./report.ts";

const COUNT = setting("BENCH_FLEET", 5000);
/** Else the engine writes the whole state for each changed device, in a preview too (docs/operations.md). */
const LEVERS = { PULUMI_SKIP_CHECKPOINTS: "true" };
const UNREACHABLE = new Set(deviceIds(COUNT).filter((_, index) => index % 10 === 1));

async function main(): Promise<void> {
  const fleet = await startBenchFleet(2);
  const machine = readMachine();
  try {
    const [, dark] = fleet.devices.devices;
    if (dark === undefined) throw new Error("large: the lab has one device");
    await fleet.devices.setMode(dark.id, "dark");
    setLabel(fleet, "gold");
    await growRegion(fleet, COUNT, UNREACHABLE, dark.host);
    progress("large: the state is grown");
    setLabel(fleet, "silver");
    const preview = await run(fleet, "preview", ["preview"]);
    expect(preview, "to update", COUNT);
    setLabel(fleet, "gold");
    const ups = [
      ["up --parallel 64", ["--parallel", "64"]],
      ...(process.env.BENCH_DEFAULT ? [["up", []]] : []),
    ] as const;
    const runs: (readonly [string, Accounted<CommandResult>])[] = [];
    for (const [name, args] of ups as readonly (readonly [string, readonly string[]])[]) {
      const sample = await run(fleet, name, ["up", "--yes", "--skip-preview", ...args]);
      expect(sample, "updated", UNREACHABLE.size);
      runs.push([name, sample]);
    }
    await expectOutputs(fleet);
    const figure = (name: string, { cpuSeconds, wallSeconds }: Accounted<unknown>): Figure[] => [
      { name: `${name}: wall`, value: wallSeconds, unit: "s" },
      { name: `${name}: CPU`, value: cpuSeconds, unit: "s" },
    ];
    printResult({
      benchmark: "large",
      method: `one stack of ${COUNT} devices, ${UNREACHABLE.size} of them unreachable, one run each`,
      machine,
      figures: [
        ...figure("preview of a change of all", preview),
        ...runs.flatMap(([name, sample]) => figure(`${name}, ${UNREACHABLE.size} tried again`, sample)),
        ...stateFigures(readState(fleet), COUNT),
      ],
    });
  } finally {
    await fleet.stop();
  }
}

async function run(fleet: LabFleet, name: string, args: readonly string[]): Promise<Accounted<CommandResult>> {
  const sample = await account(() => fleet.pulumi([...args, "--stack", REGION], { env: LEVERS }));
  succeed(sample.result, name);
  progress(`large: ${name}: ${sample.cpuSeconds.toFixed(1)} CPU s, ${sample.wallSeconds.toFixed(1)} s`);
  return sample;
}

function expect({ result }: Accounted<CommandResult>, what: string, count: number): void {
  const counted = countResources(result, what);
  if (counted !== count)
    throw new Error(`large: ${counted} instead of ${count} ${what}:\n${result.stdout.slice(-3000)}`);
}

async function expectOutputs(fleet: LabFleet): Promise<void> {
  const { devices } = await fleet.outputs<RegionOutputs>(REGION);
  if (devices.applied !== COUNT - UNREACHABLE.size || devices.pending !== UNREACHABLE.size)
    throw new Error(`large: ${JSON.stringify(devices)}`);
}

await main();
