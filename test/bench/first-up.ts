/**
 * Benchmark: enrolment and first `up` of BENCH_DEVICES (default 300) loopback devices, a tenth of them dark since they were
 * enrolled, against `xargs -P 64 ssh` with the same packed scripts on as many fresh devices as are reachable, and against
 * an `up` without the dark ones. Three labs run one after the other, so that each set of devices is fresh and nothing of an
 * earlier set still runs. Devices and client share the machine's processors: the walls tell how the ways compare, not how
 * long a region of real devices takes.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "../../cli/exit.ts";
import { knownHostsLine } from "../lab/devices/client.ts";
import { type LabFleet, REGION } from "../lab/fleet.ts";
import { type CommandResult, runCommand } from "../lab/run-command.ts";
import {
  deviceIds,
  deviceSpecs,
  enrolledDevices,
  readState,
  setting,
  startBenchFleet,
  succeed,
  writeRegion,
} from "./bench-fleet.ts";
import { type Machine, readMachine } from "./machine.ts";
import { type Accounted, account } from "./processor-time.ts";
import { type Figure, printResult, progress } from "./report.ts";

const COUNT = setting("BENCH_DEVICES", 300);
const DARK = Math.max(1, Math.round(COUNT / 10));
const REACHABLE = COUNT - DARK;

/** Outcomes of an `up` by device. */
interface Outputs {
  readonly devices: Readonly<Record<string, string>>;
  readonly pending: Readonly<Record<string, string>>;
  readonly failed: Readonly<Record<string, string>>;
}

/** What an `up` came to. */
interface Up {
  readonly run: Accounted<CommandResult>;
  readonly failed: number;
  readonly connections: number;
  readonly logins: number;
  readonly state: ReturnType<typeof readState>;
}

async function main(): Promise<void> {
  const machine = readMachine();
  const loop = await inLab(REACHABLE, async (fleet) => {
    writeRegion(fleet, enrolledDevices(fleet));
    return runLoop(fleet);
  });
  const reachable = await inLab(REACHABLE, async (fleet) => {
    writeRegion(fleet, enrolledDevices(fleet));
    return runUp(fleet, 0);
  });
  const mixed = await inLab(COUNT, async (fleet) => {
    const enrolment = await account(() => fleet.edgeFleet(["enroll", REGION, "--yes"]));
    succeed(enrolment.result, "enroll");
    progress(`first-up: ${COUNT} enrolled: ${enrolment.wallSeconds.toFixed(1)} s`);
    await Promise.all(darkIds().map((id) => fleet.devices.setMode(id, "dark")));
    return { enrolment, up: await runUp(fleet, DARK) };
  });
  report(machine, loop, reachable, mixed);
}

async function inLab<T>(count: number, work: (fleet: LabFleet) => Promise<T>): Promise<T> {
  const started = performance.now();
  const fleet = await startBenchFleet(count);
  progress(`first-up: lab of ${count}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  try {
    return await work(fleet);
  } finally {
    await fleet.stop();
  }
}

/** Every tenth device, so that they are spread over the run. */
function darkIds(): string[] {
  const step = COUNT / DARK;
  const ids = deviceIds(COUNT);
  return Array.from({ length: DARK }, (_, index) => ids[Math.floor(index * step)] ?? "");
}

async function runUp(fleet: LabFleet, dark: number): Promise<Up> {
  fleet.devices.resetConnections();
  const loginsBefore = countLogins(fleet);
  const run = await account(() => fleet.edgeFleet(["up", REGION, "--yes"]));
  succeed(run.result, "first up", [dark === 0 ? EXIT.ok : EXIT.pending]);
  const { devices, pending, failed } = await fleet.outputs<Outputs>(REGION);
  const [applied, waiting] = [Object.keys(devices).length, Object.keys(pending).length];
  if (applied !== REACHABLE || waiting !== dark) throw new Error(`first-up: ${applied} applied, ${waiting} pending`);
  progress(`first-up: up of ${REACHABLE} and ${dark} dark: ${run.wallSeconds.toFixed(1)} s`);
  return {
    run,
    failed: Object.keys(failed).length,
    connections: fleet.devices.devices.reduce((sum, { id }) => sum + fleet.devices.connections(id), 0) / REACHABLE,
    logins: (countLogins(fleet) - loginsBefore) / REACHABLE,
    state: readState(fleet),
  };
}

/** Log-ins that the SSH servers have accepted so far. */
function countLogins({ devices }: LabFleet): number {
  return readFileSync(devices.logPath, "utf8")
    .split("\n")
    .filter((line) => line.includes("Accepted publickey")).length;
}

/** One line of `xargs` is one device: id, host and port. */
const LOOP = `cd "$1" && xargs -P 64 -L 1 sh -c 'exec ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes \
-o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile=known_hosts -p "$2" "root@$1" "$(cat create)" \
<"stdin/$0" >"answer/$0"' <devices`;

/** Runs the packed scripts with a shell loop. */
async function runLoop(fleet: LabFleet): Promise<Accounted<CommandResult>> {
  const specs = deviceSpecs(fleet);
  const folder = join(fleet.directory, "loop");
  for (const name of ["stdin", "answer"]) mkdirSync(join(folder, name), { recursive: true });
  const write = (name: string, content: string) => writeFileSync(join(folder, name), content);
  write("known_hosts", fleet.devices.devices.map(knownHostsLine).join(""));
  write("devices", specs.map(({ id, connection: { host, port } }) => `${id} ${host} ${port}\n`).join(""));
  write("create", specs[0]?.create ?? "");
  for (const { id, stdin } of specs) write(`stdin/${id}`, stdin);
  const env = { SSH_AUTH_SOCK: fleet.devices.agentSocket };
  const loop = await account(() => runCommand("sh", ["-c", LOOP, "sh", folder], { cwd: folder, env }));
  succeed(loop.result, "xargs ssh");
  const applied = specs.filter(({ id }) =>
    readFileSync(join(folder, "answer", id), "utf8").includes('"applied"'),
  ).length;
  if (applied !== REACHABLE) throw new Error(`first-up: the loop applied ${applied} of ${REACHABLE}`);
  progress(`first-up: xargs ssh to ${REACHABLE}: ${loop.wallSeconds.toFixed(1)} s`);
  return loop;
}

function report(
  machine: Machine,
  loop: Accounted<CommandResult>,
  reachable: Up,
  { enrolment, up }: { readonly enrolment: Accounted<CommandResult>; readonly up: Up },
): void {
  const wall = (name: string, { wallSeconds, cpuSeconds }: Accounted<unknown>): Figure => ({
    ...{
      name: `${name}: wall`,
      value: wallSeconds,
      unit: "s",
      note: `${cpuSeconds.toFixed(1)} CPU s on the controller's side`,
    },
  });
  const loops = `same create and stdin on ${REACHABLE} fresh devices`;
  const { types, bytes, storedBytes } = reachable.state;
  const own = types.filter((type) => ["edge-fleet:index:Device", "command:remote:Command"].includes(type)).length;
  const added = up.run.wallSeconds - reachable.run.wallSeconds;
  printResult({
    benchmark: "first-up",
    method: `first up of ${COUNT} devices, ${DARK} of them dark, 64 at a time, one run each`,
    machine,
    figures: [
      wall(`enroll ${COUNT}`, enrolment),
      wall(`up of ${REACHABLE} reachable and ${DARK} dark`, up.run),
      wall(`up of ${REACHABLE} reachable`, reachable.run),
      wall(`xargs -P 64 ssh to ${REACHABLE}`, loop),
      { name: "up with dark ones / xargs ssh", value: up.run.wallSeconds / loop.wallSeconds, unit: "x", note: loops },
      {
        name: "up without dark ones / xargs ssh",
        value: reachable.run.wallSeconds / loop.wallSeconds,
        unit: "x",
        note: loops,
      },
      {
        name: `added by ${DARK} dark devices`,
        value: added,
        unit: "s",
        note: "difference of two runs, noise included",
      },
      { name: "failed devices", value: up.failed + reachable.failed, unit: "" },
      { name: "TCP connections per reachable device", value: up.connections, unit: "", note: "the probe's included" },
      { name: "SSH log-ins per reachable device", value: up.logins, unit: "" },
      {
        name: "resources per device",
        value: own / REACHABLE,
        unit: "",
        note: `${types.length - own} more in the stack`,
      },
      { name: "state per device, as JSON", value: Math.round(bytes / REACHABLE), unit: "B" },
      { name: "state per device, as stored", value: Math.round(storedBytes / REACHABLE), unit: "B" },
    ],
  });
}

await main();
