/**
 * Benchmark: an apply that finds its device unchanged, over SSH, against one `ssh true` to the same device: wall time,
 * processes started and bytes sent. The two run in turn, BENCH_REPEATS (default 20) times, and medians count. Processes are
 * counted by the ids that the lab's own PID namespace gives out: nothing else runs in it, and client, SSH server and the
 * command are in both counts, so their difference is what the apply itself starts.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DeviceSpec } from "../../components/device/plan.ts";
import { knownHostsLine, sshArguments } from "../lab/devices/client.ts";
import { type LabFleet, REGION } from "../lab/fleet.ts";
import { deviceSpecs, enrolledDevices, setting, startBenchFleet, succeed, writeRegion } from "./bench-fleet.ts";
import { readMachine } from "./machine.ts";
import { type Figure, median, printResult } from "./report.ts";

const REPEATS = setting("BENCH_REPEATS", 20);

/** One SSH command. */
interface Sample {
  readonly milliseconds: number;
  readonly processes: number;
  /** Bytes on the connection, as OpenSSH counts them. */
  readonly sent: number;
  readonly received: number;
  readonly stdout: string;
}

async function main(): Promise<void> {
  const fleet = await startBenchFleet(1);
  const machine = readMachine();
  try {
    writeRegion(fleet, enrolledDevices(fleet));
    succeed(await fleet.edgeFleet(["up", REGION, "--yes"]), "first up");
    const [spec] = deviceSpecs(fleet);
    if (spec === undefined) throw new Error("apply-no-op: the region has no device");
    const ssh = connectWith(fleet);
    const applies: Sample[] = [];
    const trues: Sample[] = [];
    for (let repeat = 0; repeat < REPEATS; repeat += 1) {
      trues.push(ssh("true", ""));
      applies.push(checkUnchanged(ssh(spec.create, spec.stdin)));
    }
    const method = `${REPEATS} applies of an unchanged device and as many ssh true in turn, medians`;
    printResult({ benchmark: "apply-no-op", method, machine, figures: figuresOf(spec, applies, trues) });
  } finally {
    await fleet.stop();
  }
}

/** How to run one command on the first device with the OpenSSH client. */
function connectWith(fleet: LabFleet): (command: string, stdin: string) => Sample {
  const [device] = fleet.devices.devices;
  if (device === undefined) throw new Error("apply-no-op: the lab has no device");
  const knownHosts = join(fleet.directory, "known_hosts");
  writeFileSync(knownHosts, knownHostsLine(device));
  const env = { ...process.env, SSH_AUTH_SOCK: fleet.devices.agentSocket };
  return (command, input) => {
    const before = lastProcessId();
    const started = performance.now();
    const args = ["-v", ...sshArguments(device, knownHosts, command)];
    const { status, stdout, stderr } = spawnSync("ssh", args, { env, input, encoding: "utf8" });
    const milliseconds = performance.now() - started;
    if (status !== 0) throw new Error(`apply-no-op: ssh ended with ${status}:\n${stderr.slice(-2000)}`);
    const [, sent, received] = /^Transferred: sent (\d+), received (\d+) bytes/m.exec(stderr) ?? [];
    return {
      milliseconds,
      processes: lastProcessId() - before,
      sent: Number(sent),
      received: Number(received),
      stdout,
    };
  };
}

/** The id that was given out last in this process's PID namespace, see proc_loadavg(5). */
function lastProcessId(): number {
  return Number(readFileSync("/proc/loadavg", "utf8").trim().split(" ").at(-1));
}

function checkUnchanged(sample: Sample): Sample {
  if (!sample.stdout.includes('"result":"unchanged"'))
    throw new Error(`apply-no-op: the device answered ${sample.stdout}`);
  return sample;
}

function figuresOf({ create, stdin }: DeviceSpec, applies: readonly Sample[], trues: readonly Sample[]): Figure[] {
  const of = (samples: readonly Sample[], field: Exclude<keyof Sample, "stdout">) =>
    median(samples.map((sample) => sample[field]));
  const apply = of(applies, "milliseconds");
  const base = of(trues, "milliseconds");
  return [
    { name: "unchanged apply: wall", value: apply, unit: "ms" },
    { name: "ssh true: wall", value: base, unit: "ms" },
    {
      name: "unchanged apply / ssh true",
      value: apply / base,
      unit: "x",
      note: `${(apply - base).toFixed(0)} ms more`,
    },
    {
      name: "unchanged apply: processes",
      value: of(applies, "processes"),
      unit: "",
      note: "client, SSH server and command",
    },
    { name: "ssh true: processes", value: of(trues, "processes"), unit: "", note: "client, SSH server and command" },
    { name: "started by the apply", value: of(applies, "processes") - of(trues, "processes"), unit: "" },
    {
      name: "payload: command and stdin",
      value: create.length + stdin.length,
      unit: "B",
      note: `${create.length} + ${stdin.length}`,
    },
    { name: "sent in all", value: of(applies, "sent"), unit: "B", note: `${of(trues, "sent")} for ssh true` },
    {
      name: "received in all",
      value: of(applies, "received"),
      unit: "B",
      note: `${of(trues, "received")} for ssh true`,
    },
  ];
}

await main();
