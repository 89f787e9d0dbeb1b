/**
 * Benchmark: preview of a region in which every device changes (another K3s release), at BENCH_DEVICES (default 300) and
 * at twice as many, in processor seconds with provider plugins, and the exponent with which they grow: 1 is linear, 2 is
 * quadratic. At the smaller size also without PULUMI_SKIP_CHECKPOINTS, which `edge-fleet preview` sets. A preview dials no
 * device, so one loopback device is enough: it is really applied, the state of the others is grown from its.
 */
import { generateSshKey } from "../lab/devices/keys.ts";
import { K3S_VERSIONS, type LabFleet, REGION } from "../lab/fleet.ts";
import type { CommandResult } from "../lab/run-command.ts";
import {
  type BenchDevice,
  countResources,
  deviceIds,
  deviceSpecs,
  enrolledDevices,
  setK3sVersion,
  setting,
  startBenchFleet,
  succeed,
  writeRegion,
} from "./bench-fleet.ts";
import { growState } from "./grown-state.ts";
import { readMachine } from "./machine.ts";
import { type Accounted, account } from "./processor-time.ts";
import { printResult, progress } from "./report.ts";

const COUNT = setting("BENCH_DEVICES", 300);

async function main(): Promise<void> {
  const fleet = await startBenchFleet(1);
  const machine = readMachine();
  try {
    const devices = [...enrolledDevices(fleet), ...absentDevices(2 * COUNT)];
    writeRegion(fleet, devices.slice(0, 1));
    succeed(await fleet.edgeFleet(["up", REGION, "--yes"]), "first up");
    await changeAll(fleet, devices.slice(0, COUNT));
    const small = await preview("with the levers", COUNT, () => fleet.edgeFleet(["preview", REGION]));
    const plainArguments = ["preview", "--stack", REGION, "--parallel", "64"];
    const plain = await preview("with checkpoints", COUNT, () => fleet.pulumi(plainArguments));
    await changeAll(fleet, devices.slice(0, 2 * COUNT));
    const large = await preview("with the levers", 2 * COUNT, () => fleet.edgeFleet(["preview", REGION]));
    report(machine, small, plain, large);
  } finally {
    await fleet.stop();
  }
}

/** Devices that the inventory knows and the lab does not have. */
function absentDevices(count: number): BenchDevice[] {
  return deviceIds(count)
    .slice(1)
    .map((id) => ({ id, host: `${id}.edge.example.com`, port: 22, hostKey: generateSshKey().publicKey }));
}

/** Makes a state in which all devices have one release and an inventory that wants the other. */
async function changeAll(fleet: LabFleet, devices: readonly BenchDevice[]): Promise<void> {
  writeRegion(fleet, devices);
  setK3sVersion(fleet, K3S_VERSIONS[0]);
  await growState(fleet.pulumi, REGION, deviceSpecs(fleet), fleet.directory);
  setK3sVersion(fleet, K3S_VERSIONS[1]);
}

async function preview(
  how: string,
  count: number,
  run: () => Promise<CommandResult>,
): Promise<Accounted<CommandResult>> {
  const sample = await account(run);
  progress(
    `preview: ${count} changed, ${how}: ${sample.cpuSeconds.toFixed(1)} CPU s, ${sample.wallSeconds.toFixed(1)} s`,
  );
  const changed = countResources(succeed(sample.result, "preview"), "to update");
  if (changed !== count)
    throw new Error(`preview: ${changed} of ${count} devices change:\n${sample.result.stdout.slice(-3000)}`);
  return sample;
}

function report(
  machine: ReturnType<typeof readMachine>,
  small: Accounted<unknown>,
  plain: Accounted<unknown>,
  large: Accounted<unknown>,
): void {
  const [n, m] = [COUNT, 2 * COUNT];
  printResult({
    benchmark: "preview",
    method: `${n} and ${m} devices that all change, one run each, CPU of the CLI, the program and all plugins`,
    machine,
    figures: [
      { name: `${n} devices: CPU`, value: small.cpuSeconds, unit: "s", note: `wall ${small.wallSeconds.toFixed(1)} s` },
      { name: `${m} devices: CPU`, value: large.cpuSeconds, unit: "s", note: `wall ${large.wallSeconds.toFixed(1)} s` },
      {
        name: "exponent",
        value: Math.log2(large.cpuSeconds / small.cpuSeconds),
        unit: "",
        note: "1 linear, 2 quadratic",
      },
      {
        name: `${n} devices with checkpoints: CPU`,
        value: plain.cpuSeconds,
        unit: "s",
        note: `wall ${plain.wallSeconds.toFixed(1)} s`,
      },
      {
        name: "with checkpoints / without",
        value: plain.cpuSeconds / small.cpuSeconds,
        unit: "x",
        note: `CPU at ${n} devices`,
      },
    ],
  });
}

await main();
