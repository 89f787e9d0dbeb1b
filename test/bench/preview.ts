/**
 * Benchmark: `pulumi preview` of a region in which every device changes (a label of the fleet), at BENCH_DEVICES (default
 * 300) and at twice as many, in processor seconds with provider plugins, and the exponent with which they grow: 1 is linear,
 * 2 is quadratic. A preview dials no device, so one loopback device is enough: it is really applied, the state of the others
 * is grown from its.
 */
import { type LabFleet, REGION } from "../lab/fleet.ts";
import type { CommandResult } from "../lab/run-command.ts";
import { countResources, setLabel, setting, startBenchFleet, succeed } from "./bench-fleet.ts";
import { growRegion } from "./grown-region.ts";
import { readMachine } from "./machine.ts";
import { type Accounted, account } from "./processor-time.ts";
import { printResult, progress } from "./report.ts";

const COUNT = setting("BENCH_DEVICES", 300);

async function main(): Promise<void> {
  const fleet = await startBenchFleet(1);
  const machine = readMachine();
  try {
    const small = await preview(fleet, COUNT);
    const large = await preview(fleet, 2 * COUNT);
    const figure = (count: number, { cpuSeconds, wallSeconds }: Accounted<unknown>) =>
      ({
        name: `${count} devices: CPU`,
        value: cpuSeconds,
        unit: "s",
        note: `wall ${wallSeconds.toFixed(1)} s`,
      }) as const;
    const exponent = Math.log2(large.cpuSeconds / small.cpuSeconds);
    const added = (large.cpuSeconds - small.cpuSeconds) / COUNT;
    printResult({
      benchmark: "preview",
      method: `${COUNT} and ${2 * COUNT} devices that all change, one run each, CPU of the CLI, the program and all plugins`,
      machine,
      figures: [
        figure(COUNT, small),
        figure(2 * COUNT, large),
        { name: "exponent", value: exponent, unit: "", note: "1 linear, 2 quadratic; with a constant part below 1" },
        { name: "CPU a device more", value: 1000 * added, unit: "ms" },
      ],
    });
  } finally {
    await fleet.stop();
  }
}

/** A state in which all devices have one label, and an inventory that wants another. */
async function preview(fleet: LabFleet, count: number): Promise<Accounted<CommandResult>> {
  setLabel(fleet, "gold");
  await growRegion(fleet, count);
  setLabel(fleet, "silver");
  const sample = await account(() => fleet.pulumi(["preview", "--stack", REGION]));
  progress(`preview: ${count} changed: ${sample.cpuSeconds.toFixed(1)} CPU s, ${sample.wallSeconds.toFixed(1)} s`);
  const changed = countResources(succeed(sample.result, "preview"), "to update");
  if (changed !== count)
    throw new Error(`preview: ${changed} of ${count} devices change:\n${sample.result.stdout.slice(-3000)}`);
  return sample;
}

await main();
