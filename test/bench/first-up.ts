/**
 * Benchmark: first `up` of BENCH_DEVICES (default 200) new loopback devices by plain `pulumi up`, with the default number at
 * a time and with 64, against `xargs -P 64 ssh` with the same bytes. A tenth of the devices does not answer, and one in forty each
 * accepts and stays silent, or answers with another host key. Three labs run one after the other, so that each set of
 * devices is fresh and nothing of an earlier set still runs. Devices and client share the machine's processors: the walls
 * tell how the ways compare, not how long a region of real devices takes.
 */
import type { RegionOutputs } from "../../components/region/outputs.ts";
import { type LabFleet, REGION } from "../lab/fleet.ts";
import { logIns } from "../lab/scenario.ts";
import {
  deviceIds,
  enrolledDevices,
  readState,
  type StoredState,
  setting,
  startBenchFleet,
  stateFigures,
  succeed,
  writeRegion,
} from "./bench-fleet.ts";
import { appliedInLoop, runLoop, writeConversations } from "./conversation.ts";
import { readMachine } from "./machine.ts";
import { type Accounted, account } from "./processor-time.ts";
import { type Figure, printResult, progress } from "./report.ts";

const COUNT = setting("BENCH_DEVICES", 200);
const DARK = Math.max(1, Math.round(COUNT / 10));
const SILENT = Math.max(1, Math.round(COUNT / 40));
const STRANGE = SILENT;
const GOOD = COUNT - DARK - SILENT - STRANGE;

/** What a run came to. */
interface Run {
  readonly run: Accounted<unknown>;
  /** Devices that are applied after it. */
  readonly applied: number;
}

/** What an `up` came to. */
interface Up extends Run {
  readonly state: StoredState;
  /** Log-ins that all devices accepted. */
  readonly logIns: number;
}

async function main(): Promise<void> {
  const machine = readMachine();
  const loop = await inLab(async (fleet) => {
    const folder = writeConversations(fleet, "sent");
    const run = await account(() => runLoop(fleet, folder));
    return { run: tell("xargs -P 64 ssh", run), applied: appliedInLoop(fleet, folder).length };
  });
  const plain = await inLab((fleet) => runUp(fleet, "pulumi up", []));
  const wide = await inLab((fleet) => runUp(fleet, "pulumi up --parallel 64", ["--parallel", "64"]));
  const figures = (name: string, { run: { wallSeconds, cpuSeconds }, applied }: Run): Figure[] => [
    {
      ...{ name: `${name}: wall`, value: wallSeconds, unit: "s" },
      note: `${cpuSeconds.toFixed(1)} CPU s on the workstation's side`,
    },
    { name: `${name}: good devices not applied`, value: GOOD - applied, unit: "", note: `of ${GOOD}` },
  ];
  const ratio = (name: string, { run }: Up): Figure => ({
    ...{ name: `${name} / xargs ssh`, value: run.wallSeconds / loop.run.wallSeconds, unit: "x", note: "wall" },
  });
  printResult({
    benchmark: "first-up",
    method: `first up of ${COUNT} devices: ${DARK} unreachable, ${SILENT} silent, ${STRANGE} with another key; one run each`,
    machine,
    figures: [
      ...figures("xargs -P 64 ssh", loop),
      ...figures("pulumi up --parallel 64", wide),
      ...figures("pulumi up, default", plain),
      ratio("pulumi up --parallel 64", wide),
      ratio("pulumi up, default", plain),
      { name: "log-ins a good device", value: wide.logIns / GOOD, unit: "" },
      ...stateFigures(wide.state, COUNT),
    ],
  });
}

async function inLab<T>(work: (fleet: LabFleet) => Promise<T>): Promise<T> {
  const fleet = await startBenchFleet(COUNT);
  try {
    writeRegion(fleet, enrolledDevices(fleet));
    const { dark, silent, strange } = badDevices();
    for (const id of dark) await fleet.devices.setMode(id, "dark");
    for (const id of silent) await fleet.devices.setMode(id, "silent");
    for (const id of strange) await fleet.devices.changeHostKey(id);
    return await work(fleet);
  } finally {
    await fleet.stop();
  }
}

/** The bad ones, spread over the run. */
function badDevices() {
  const ids = deviceIds(COUNT);
  const bad = Array.from({ length: COUNT - GOOD }, (_, index) => ids[Math.floor((index * COUNT) / (COUNT - GOOD))]);
  const mixed = bad.filter((id) => id !== undefined);
  const step = Math.floor(mixed.length / SILENT);
  const silent = mixed.filter((_, index) => index % step === 0).slice(0, SILENT);
  const strange = mixed.filter((_, index) => index % step === 1).slice(0, STRANGE);
  return { silent, strange, dark: mixed.filter((id) => !silent.includes(id) && !strange.includes(id)) };
}

async function runUp(fleet: LabFleet, name: string, args: readonly string[]): Promise<Up> {
  const before = logIns(fleet.devices);
  const run = await account(() => fleet.pulumi(["up", "--yes", "--stack", REGION, ...args]));
  tell(name, run);
  if (run.result.code === 0) throw new Error("first-up: devices with another key did not fail the run");
  const { devices } = await fleet.outputs<RegionOutputs>(REGION);
  progress(`first-up: ${JSON.stringify(devices)}`);
  if (devices.failed !== STRANGE || devices.pending < DARK + SILENT) succeed(run.result, name);
  return { run, applied: devices.applied, state: readState(fleet), logIns: logIns(fleet.devices) - before };
}

function tell<T>(name: string, run: Accounted<T>): Accounted<T> {
  progress(`first-up: ${name}: ${run.wallSeconds.toFixed(1)} s, ${run.cpuSeconds.toFixed(1)} CPU s`);
  return run;
}

await main();
