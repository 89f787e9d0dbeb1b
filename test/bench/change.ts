/**
 * Benchmark: what a changed device costs on the workstation: `pulumi up` of a label that changes BENCH_DEVICES (default 100)
 * applied loopback devices, less an `up` in which nothing changes, against `xargs -P 64 ssh` with the same bytes for
 * another label. Processor time of the devices is not counted, see processor-time.ts.
 */
import { type LabFleet, REGION } from "../lab/fleet.ts";
import type { CommandResult } from "../lab/run-command.ts";
import {
  countResources,
  enrolledDevices,
  setLabel,
  setting,
  startBenchFleet,
  succeed,
  writeRegion,
} from "./bench-fleet.ts";
import { appliedInLoop, runLoop, writeConversations } from "./conversation.ts";
import { readMachine } from "./machine.ts";
import { type Accounted, account } from "./processor-time.ts";
import { type Figure, printResult, progress } from "./report.ts";

const COUNT = setting("BENCH_DEVICES", 100);
const ROUNDS = 2;

/** Processor seconds. */
interface Round {
  readonly change: number;
  readonly nothing: number;
  readonly loop: number;
}

async function main(): Promise<void> {
  const fleet = await startBenchFleet(COUNT);
  const machine = readMachine();
  try {
    writeRegion(fleet, enrolledDevices(fleet));
    await up(fleet, "first up", "created");
    const rounds: Round[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      setLabel(fleet, `loop-${round}`);
      const folder = writeConversations(fleet, "installed");
      const loop = await account(() => runLoop(fleet, folder));
      const applied = appliedInLoop(fleet, folder).length;
      if (applied !== COUNT) throw new Error(`change: the loop applied ${applied} of ${COUNT}`);
      setLabel(fleet, `up-${round}`);
      const change = await up(fleet, "up of a change", "updated");
      const nothing = await up(fleet, "up of nothing", "unchanged");
      rounds.push({ change: change.cpuSeconds, nothing: nothing.cpuSeconds, loop: loop.cpuSeconds });
      progress(`change: round ${round}: ${JSON.stringify(rounds.at(-1))} CPU s`);
    }
    const lowest = (field: keyof Round) => Math.min(...rounds.map((round) => round[field]));
    const each = (seconds: number) => (1000 * seconds) / COUNT;
    const [device, ssh] = [each(lowest("change") - lowest("nothing")), each(lowest("loop"))];
    const figures: Figure[] = [
      { name: "up of a change", value: lowest("change"), unit: "s" },
      { name: "up of nothing", value: lowest("nothing"), unit: "s" },
      { name: "a changed device", value: device, unit: "ms", note: "the difference of both, by devices" },
      { name: "ssh with the same bytes", value: ssh, unit: "ms", note: "xargs -P 64" },
      { name: "added by engine, provider and dial", value: device - ssh, unit: "ms" },
    ];
    const method = `CPU on the workstation for ${COUNT} devices, lower of ${ROUNDS} runs`;
    printResult({ benchmark: "change", method, machine, figures });
  } finally {
    await fleet.stop();
  }
}

async function up(fleet: LabFleet, name: string, what: string): Promise<Accounted<CommandResult>> {
  const run = await account(() =>
    fleet.pulumi(["up", "--yes", "--skip-preview", "--parallel", "64", "--stack", REGION]),
  );
  const counted = countResources(succeed(run.result, name), what);
  if (counted < COUNT) throw new Error(`change: ${name}: ${counted} ${what}:\n${run.result.stdout.slice(-3000)}`);
  return run;
}

await main();
