/**
 * Benchmark: an apply that finds its device unchanged, over SSH, against one `ssh true` to the same device: wall time,
 * processes started and bytes sent. The two run in turn, BENCH_REPEATS (default 20) times, and medians count. Then
 * BENCH_CHANGES (default 4) applies, each with another setting than the one before. Processes are
 * counted by the ids that the lab's own PID namespace gives out: nothing else runs in it, and client, SSH server and the
 * command are in both counts, so their difference is what the apply itself starts.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DeviceSpec } from "../../components/device/plan.ts";
import { knownHostsLine, sshArguments } from "../lab/devices/client.ts";
import { type LabFleet, REGION } from "../lab/fleet.ts";
import { runCommand } from "../lab/run-command.ts";
import { deviceSpecs, enrolledDevices, setting, startBenchFleet, succeed, writeRegion } from "./bench-fleet.ts";
import { readMachine } from "./machine.ts";
import { type Figure, median, printResult } from "./report.ts";

const REPEATS = setting("BENCH_REPEATS", 20);
const CHANGES = setting("BENCH_CHANGES", 4);

/** One SSH command. */
interface Sample {
  readonly milliseconds: number;
  readonly processes: number;
  /** Bytes on the connection, as OpenSSH counts them. */
  readonly sent: number;
  readonly received: number;
  readonly stdout: string;
}

/** What an apply hands over to the connection. */
interface Sent {
  /** Bytes of command and stdin. */
  readonly handedOver: number;
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
      trues.push(await ssh("true", ""));
      applies.push(expectResult(await ssh(spec.create, spec.stdin), "unchanged"));
    }
    const changes: (Sample & Sent)[] = [];
    for (let index = 0; index < CHANGES; index += 1) changes.push(await applyChange(fleet, ssh, index));
    const method = `${REPEATS} applies of an unchanged device and as many ssh true in turn, ${CHANGES} with another setting, medians`;
    const figures = [...figuresOf(spec, applies, trues), ...changeFigures(changes)];
    printResult({ benchmark: "apply-no-op", method, machine, figures });
  } finally {
    await fleet.stop();
  }
}

/** Runs one command on the first device with the OpenSSH client. The lab's servers run in this process: it must not block. */
type Ssh = (command: string, stdin: string) => Promise<Sample>;

function connectWith(fleet: LabFleet): Ssh {
  const [device] = fleet.devices.devices;
  if (device === undefined) throw new Error("apply-no-op: the lab has no device");
  const knownHosts = join(fleet.directory, "known_hosts");
  writeFileSync(knownHosts, knownHostsLine(device));
  const options = { cwd: fleet.directory, env: { SSH_AUTH_SOCK: fleet.devices.agentSocket } };
  return async (command, input) => {
    const before = lastProcessId();
    const args = ["-v", ...sshArguments(device, knownHosts, command)];
    const { code, stdout, stderr, milliseconds } = await runCommand("ssh", args, { ...options, input });
    if (code !== 0) throw new Error(`apply-no-op: ssh ended with ${code}:\n${stderr.slice(-2000)}`);
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

/** @throws Error when the device answered another result */
function expectResult(sample: Sample, result: "unchanged" | "applied"): Sample {
  if (!sample.stdout.includes(`"result":"${result}"`))
    throw new Error(`apply-no-op: the device answered ${sample.stdout}`);
  return sample;
}

/** One apply with another Flannel backend than before, which restarts K3s. */
async function applyChange(fleet: LabFleet, ssh: Ssh, index: number): Promise<Sample & Sent> {
  fleet.edit("fleet.yaml", (file) => file.setIn(["k3s", "flannelBackend"], index % 2 === 0 ? "vxlan" : "host-gw"));
  const [spec] = deviceSpecs(fleet);
  if (spec === undefined) throw new Error("apply-no-op: the region has no device");
  return {
    ...expectResult(await ssh(spec.create, spec.stdin), "applied"),
    handedOver: spec.create.length + spec.stdin.length,
  };
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

function changeFigures(changes: readonly (Sample & Sent)[]): Figure[] {
  const of = (field: "milliseconds" | "processes" | "sent" | "received" | "handedOver") =>
    median(changes.map((change) => change[field]));
  return [
    {
      name: "changed apply: wall",
      value: of("milliseconds"),
      unit: "ms",
      note: "with the restart of a stand-in for K3s",
    },
    { name: "changed apply: processes", value: of("processes"), unit: "", note: "client, SSH server and command" },
    { name: "changed apply: command and stdin", value: of("handedOver"), unit: "B" },
    { name: "changed apply: sent in all", value: of("sent"), unit: "B" },
    { name: "changed apply: received in all", value: of("received"), unit: "B" },
  ];
}

await main();
