/**
 * Benchmark: one dial, as the provider starts it, against one `ssh true` to the same device: processor time on the
 * workstation's side, wall time, bytes on the wire and log-ins; for a device that is new, one that is unchanged
 * (BENCH_REPEATS, default 20, in turn with `ssh true`) and one with another setting than before (BENCH_CHANGES, default 4).
 * Medians count. Bytes are those that OpenSSH counts; what a device downloads is in none of the figures.
 */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDialFolder, writeDialFiles } from "../../components/device/folder.ts";
import { deviceProgram } from "../../components/device/program.ts";
import { targetOf } from "../../components/device/ssh.ts";
import { DIAL_ENVIRONMENT } from "../../components/device/state.ts";
import { type LabFleet, REGION } from "../lab/fleet.ts";
import { runCommand } from "../lab/run-command.ts";
import { logIns } from "../lab/scenario.ts";
import { enrolledDevices, setLabel, setting, startBenchFleet, wantedDevices, writeRegion } from "./bench-fleet.ts";
import { readMachine } from "./machine.ts";
import { account } from "./processor-time.ts";
import { type Figure, median, printResult } from "./report.ts";

const REPEATS = setting("BENCH_REPEATS", 20);
const CHANGES = setting("BENCH_CHANGES", 4);

/** One connection. */
interface Sample {
  readonly milliseconds: number;
  readonly cpuMilliseconds: number;
  readonly sent: number;
  readonly received: number;
  readonly logIns: number;
}

/** Connects with the shell command and stdin that are told. @throws Error unless stdout holds what is expected */
type Connect = (shell: string, input: string, expected: string) => Promise<Sample>;

async function main(): Promise<void> {
  const fleet = await startBenchFleet(1);
  const machine = readMachine();
  try {
    writeRegion(fleet, enrolledDevices(fleet));
    process.chdir(fleet.path("."));
    const connect = connectWith(fleet);
    setLabel(fleet, "gold");
    const first = [await dial(fleet, connect, "applied")];
    const [{ profile } = fail()] = wantedDevices(fleet);
    const truth = `exec ssh -F .edge-fleet/${REGION}/hosts/${profile.id} -- ${profile.id} true`;
    const unchanged: Sample[] = [];
    const trues: Sample[] = [];
    for (let repeat = 0; repeat < REPEATS; repeat += 1) {
      trues.push(await connect(truth, "", ""));
      unchanged.push(await dial(fleet, connect, "unchanged"));
    }
    const changed: Sample[] = [];
    for (let index = 0; index < CHANGES; index += 1) {
      setLabel(fleet, `tier-${index}`);
      changed.push(await dial(fleet, connect, "applied"));
    }
    const method = `one new device, ${REPEATS} dials of it unchanged and as many ssh true in turn, ${CHANGES} with another label, medians`;
    printResult({ benchmark: "dial", method, machine, figures: figuresOf({ first, unchanged, changed, trues }) });
  } finally {
    await fleet.stop();
  }
}

/** One dial with files and plan as a run would write them. */
function dial(fleet: LabFleet, connect: Connect, result: "applied" | "unchanged"): Promise<Sample> {
  const [{ profile, plan } = fail()] = wantedDevices(fleet);
  const folders = openDialFolder(REGION, deviceProgram());
  writeDialFiles(folders, { target: targetOf(profile), held: undefined, payload: plan.payload });
  return connect(`exec sh .edge-fleet/${REGION}/dial.sh`, plan.text, `"result":"${result}"`);
}

/** The OpenSSH client is wrapped by a script of its name, so that it counts bytes. */
function connectWith(fleet: LabFleet): Connect {
  const folder = join(fleet.directory, "counting");
  const log = join(folder, "log");
  mkdirSync(folder);
  writeFileSync(join(folder, "ssh"), `#!/bin/sh\nexec /usr/bin/ssh -v -E "${log}" "$@"\n`);
  chmodSync(join(folder, "ssh"), 0o755);
  const PATH = `${folder}:${fleet.env.PATH}`;
  const [{ id } = fail()] = fleet.devices.devices;
  const env = { ...fleet.env, PATH, [DIAL_ENVIRONMENT.device]: id, [DIAL_ENVIRONMENT.attempt]: "1" };
  return async (shell, input, expected) => {
    rmSync(log, { force: true });
    const before = logIns(fleet.devices);
    const run = () => runCommand("sh", ["-c", shell], { cwd: fleet.path("."), env, input });
    const { result, cpuSeconds, wallSeconds } = await account(run);
    if (result.code !== 0 || !result.stdout.includes(expected))
      throw new Error(`dial: it ended with ${result.code}: ${result.stdout}${result.stderr}`);
    const [, sent, received] = /^Transferred: sent (\d+), received (\d+) bytes/m.exec(readFileSync(log, "utf8")) ?? [];
    return {
      ...{ milliseconds: 1000 * wallSeconds, cpuMilliseconds: 1000 * cpuSeconds },
      ...{ sent: Number(sent), received: Number(received), logIns: logIns(fleet.devices) - before },
    };
  };
}

function figuresOf(
  samples: Readonly<Record<"first" | "unchanged" | "changed" | "trues", readonly Sample[]>>,
): Figure[] {
  const of = (kind: keyof typeof samples, field: keyof Sample) => median(samples[kind].map((sample) => sample[field]));
  const titles = { trues: "ssh true", first: "first apply", unchanged: "unchanged", changed: "another label" } as const;
  const kinds = ["trues", "first", "unchanged", "changed"] as const;
  return kinds.flatMap((kind): Figure[] => [
    { name: `${titles[kind]}: wall`, value: of(kind, "milliseconds"), unit: "ms" },
    { name: `${titles[kind]}: CPU on the workstation`, value: of(kind, "cpuMilliseconds"), unit: "ms" },
    { name: `${titles[kind]}: sent`, value: of(kind, "sent"), unit: "B" },
    { name: `${titles[kind]}: received`, value: of(kind, "received"), unit: "B" },
    { name: `${titles[kind]}: log-ins`, value: of(kind, "logIns"), unit: "" },
  ]);
}

function fail(): never {
  throw new Error("dial: the lab has no device");
}

await main();
