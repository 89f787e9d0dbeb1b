/**
 * Benchmark: are devices that are well called unreachable by a busy workstation? BENCH_DEVICES (default 1000) loopback
 * devices, which share the machine's two processors with the client, and one busy loop a processor beside them; plain
 * `pulumi up` with the default number at a time and with 64. Nothing is on the devices and all are to leave the fleet, so that
 * a dial is a log-in and an answer and not an installation, and the log-ins come as fast as the client makes them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import type { RegionOutputs } from "../../components/region/outputs.ts";
import { type LabFleet, REGION } from "../lab/fleet.ts";
import { enrolledDevices, setting, startBenchFleet, succeed, writeRegion } from "./bench-fleet.ts";
import { readMachine } from "./machine.ts";
import { account } from "./processor-time.ts";
import { type Figure, printResult, progress } from "./report.ts";

const COUNT = setting("BENCH_DEVICES", 1000);

async function main(): Promise<void> {
  const fleet = await startBenchFleet(COUNT);
  const machine = readMachine();
  const loops = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }),
  );
  try {
    writeRegion(fleet, enrolledDevices(fleet));
    fleet.edit(`${REGION}.yaml`, (file) => {
      for (let index = 0; index < COUNT; index += 1) file.setIn(["devices", index, "state"], "removed");
      file.set("decommission", "wipe");
    });
    const narrow = await measure(fleet, "default", []);
    await renewStack(fleet);
    const wide = await measure(fleet, "64 at a time", ["--parallel", "64"]);
    const figures = [...narrow, ...wide];
    const method = `${COUNT} devices to log in to, ${loops.length} busy loops beside, one run each`;
    printResult({ benchmark: "load", method, machine, figures });
  } finally {
    for (const loop of loops satisfies ChildProcess[]) loop.kill();
    await fleet.stop();
  }
}

/** Forgets the devices, so that they are dialled again. */
async function renewStack({ pulumi }: LabFleet): Promise<void> {
  succeed(await pulumi(["state", "unprotect", "--all", "--yes", "--stack", REGION]), "state unprotect");
  succeed(await pulumi(["stack", "rm", "--yes", "--force", "--preserve-config", REGION]), "stack rm");
  succeed(await pulumi(["stack", "init", REGION]), "stack init");
}

async function measure(fleet: LabFleet, name: string, args: readonly string[]): Promise<Figure[]> {
  const run = await account(() => fleet.pulumi(["up", "--yes", "--skip-preview", "--stack", REGION, ...args]));
  const { devices, pending, failed } = await fleet.outputs<RegionOutputs>(REGION);
  progress(`load: ${name}: ${run.wallSeconds.toFixed(1)} s, ${JSON.stringify(devices)}`);
  const codes = Map.groupBy(Object.values({ ...pending, ...failed }), ({ code }) => code);
  return [
    { name: `${name}: wall`, value: run.wallSeconds, unit: "s", note: `${run.cpuSeconds.toFixed(1)} CPU s` },
    { name: `${name}: devices that answered`, value: devices.removed, unit: "" },
    { name: `${name}: falsely pending`, value: devices.pending, unit: "" },
    { name: `${name}: failed`, value: devices.failed, unit: "" },
    ...[...codes].map(([code, all]): Figure => ({ name: `${name}: ${code}`, value: all.length, unit: "" })),
  ];
}

await main();
