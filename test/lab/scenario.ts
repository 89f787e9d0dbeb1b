/**
 * What the engine tests share: runs of `pulumi` from their arguments to what the engine's own events say was done to
 * each resource, and what devices say of themselves when asked past SSH.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isMap, isSeq, type YAMLMap } from "yaml";
import type { DeviceLab } from "./devices/types.ts";
import { type LabFleet, REGION, type RunOptions } from "./fleet.ts";
import { enterNamespaces, insideNamespaces } from "./namespace.ts";
import type { CommandResult } from "./run-command.ts";
import { ensureToolchain, type PartName, type Toolchain } from "./toolchain/index.ts";

/** Gets the toolchain, then continues the current test file inside the lab's namespaces, where no network is. Call first. @param parts default: all */
export async function enterLab(parts?: readonly PartName[]): Promise<Toolchain> {
  if (!insideNamespaces()) await ensureToolchain((line) => process.stderr.write(`${line}\n`), parts);
  await enterNamespaces();
  return ensureToolchain(() => {}, parts);
}

/** A run of the engine as its events tell it. */
export interface EngineRun extends CommandResult {
  /** What the engine did or tried, by resource name: `same`, `create`, `update`, `delete`, ... */
  readonly operations: ReadonlyMap<string, string>;
  /** All that it printed. */
  readonly text: string;
}

/** Plain `pulumi up` without a preview, as in CI, and its event log read back. */
export function up(
  fleet: LabFleet,
  stack = REGION,
  options: RunOptions = {},
  args: readonly string[] = [],
): Promise<EngineRun> {
  return upAfterPreview(fleet, stack, options, ["--skip-preview", ...args]);
}

/** Plain `pulumi up`, as a user types it: what its preview refuses does not begin, and its operations are in the log too. */
export function upAfterPreview(
  fleet: LabFleet,
  stack = REGION,
  options: RunOptions = {},
  args: readonly string[] = [],
): Promise<EngineRun> {
  return runEngine(fleet, ["up", "--yes", "--stack", stack, ...args], options);
}

/** Plain `pulumi preview`. */
export function preview(
  fleet: LabFleet,
  stack = REGION,
  options: RunOptions = {},
  args: readonly string[] = [],
): Promise<EngineRun> {
  return runEngine(fleet, ["preview", "--stack", stack, ...args], options);
}

async function runEngine(fleet: LabFleet, args: readonly string[], options: RunOptions): Promise<EngineRun> {
  const log = join(fleet.directory, "events.jsonl");
  rmSync(log, { force: true });
  // Only makes the flag known.
  const env = { ...options.env, PULUMI_DEBUG_COMMANDS: "true" };
  const result = await fleet.pulumi([...args, "--event-log", log], { ...options, env });
  // A run that never reached the engine, e.g. because the stack is locked, leaves no log.
  const operations = result.code === 0 || existsSync(log) ? readOperations(log) : new Map<string, string>();
  return { ...result, operations, text: `${result.stdout}\n${result.stderr}` };
}

interface EngineEvent {
  readonly resourcePreEvent?: { readonly metadata: { readonly op: string; readonly urn: string } };
}

function readOperations(log: string): Map<string, string> {
  const operations = new Map<string, string>();
  for (const line of readFileSync(log, "utf8").split("\n")) {
    if (line === "") continue;
    const step = (JSON.parse(line) as EngineEvent).resourcePreEvent?.metadata;
    if (step !== undefined) operations.set(step.urn.split("::").at(-1) ?? "", step.op);
  }
  return operations;
}

/** Ids of the devices that the stack holds. */
export async function registered(fleet: LabFleet): Promise<string[]> {
  const { resources } = await exportStack(fleet);
  return resources.flatMap(({ urn }) => /local:Command::([^:]*)$/.exec(urn)?.[1] ?? []).sort();
}

/** Changes the entries of some devices in the inventory; what `change` returns `false` for is deleted. */
export function editDevices(fleet: LabFleet, ids: readonly string[], change: (entry: YAMLMap) => unknown): void {
  fleet.edit(`${REGION}.yaml`, (region) => {
    const list = region.get("devices");
    assert.ok(isSeq(list));
    const named = list.items.filter((item): item is YAMLMap => isMap(item) && ids.includes(String(item.get("id"))));
    assert.equal(named.length, ids.length);
    const deleted = named.filter((entry) => change(entry) === false);
    list.items = list.items.filter((item) => !deleted.includes(item as YAMLMap));
  });
}

/** Takes a device's pins out of the region's lock. */
export function unpin(fleet: LabFleet, id: string): void {
  fleet.edit(`${REGION}.lock.yaml`, (lock) => assert.ok(lock.deleteIn(["devices", id])));
}

/** Names of the resources to which a run did something: everything but `same`, and but reads of other stacks. */
export function touched({ operations }: EngineRun): string[] {
  return [...operations].flatMap(([name, operation]) => (["same", "read"].includes(operation) ? [] : [name])).sort();
}

/** Asks a device past SSH. @throws AssertionError when the command fails there */
export async function ask(lab: DeviceLab, id: string, command: string): Promise<string> {
  const { code, stdout, stderr } = await lab.exec(id, command);
  assert.equal(code, 0, `${id}: ${command}: ${stderr}`);
  return stdout.trim();
}

/** What a device is now. */
export interface DeviceState {
  /** Hash of the state that it holds as applied. */
  readonly hash: string;
  /** Release of the binary. */
  readonly version: string;
  /** Process id of the server: another one means that it was restarted. */
  readonly pid: string;
  /** Answer of `/readyz`. */
  readonly ready: string;
  /** What a transaction in progress or cut off would leave: the lock and the stage. */
  readonly leftovers: string;
}

const LOOK = `head -n 1 /var/lib/edge-fleet/applied
k3s --version | sed -n '1s/k3s version \\([^ ]*\\).*/\\1/p'
systemctl show -p MainPID --value k3s
k3s kubectl get --raw=/readyz || :
ls -d /var/lib/edge-fleet/lock /var/lib/edge-fleet/stage 2>/dev/null | paste -s -d ,`;

/** Looks at one device. */
export async function deviceState(lab: DeviceLab, id: string): Promise<DeviceState> {
  const [hash = "", version = "", pid = "", ready = "", leftovers = ""] = (await ask(lab, id, LOOK)).split("\n");
  return { hash, version, pid, ready, leftovers };
}

/** Looks at several devices. */
export async function deviceStates(lab: DeviceLab, ids: readonly string[]): Promise<Record<string, DeviceState>> {
  return Object.fromEntries(await Promise.all(ids.map(async (id) => [id, await deviceState(lab, id)] as const)));
}

/** Log-ins that all devices have accepted so far. */
export function logIns(lab: DeviceLab): number {
  return readFileSync(lab.logPath, "utf8").split("Accepted publickey").length - 1;
}

/** The stack as `pulumi stack export` gives it, secrets encrypted. */
export interface StackExport {
  readonly text: string;
  readonly resources: readonly {
    readonly urn: string;
    readonly type: string;
    readonly inputs?: object;
    /** The engine refuses to delete it. */
    readonly protect?: boolean;
  }[];
}

/** Exports a stack. */
export async function exportStack(fleet: LabFleet, stack = REGION): Promise<StackExport> {
  const { code, stdout, stderr } = await fleet.pulumi(["stack", "export", "--stack", stack]);
  assert.equal(code, 0, stderr);
  const { deployment } = JSON.parse(stdout) as { deployment: { resources?: StackExport["resources"] } };
  return { text: stdout, resources: deployment.resources ?? [] };
}

/** Changes the state of a stack by `pulumi stack export` and `pulumi stack import`, as a person would. */
export async function editState(
  fleet: LabFleet,
  change: (resources: StateResource[]) => void,
  stack = REGION,
): Promise<void> {
  const state = JSON.parse((await exportStack(fleet, stack)).text) as { deployment: { resources: StateResource[] } };
  change(state.deployment.resources);
  const imported = await fleet.pulumi(["stack", "import", "--stack", stack], { input: JSON.stringify(state) });
  assert.equal(imported.code, 0, imported.stderr);
}

/** A resource as the state's file has it. */
export interface StateResource {
  readonly urn: string;
  readonly type: string;
  /** Absent where there are none. */
  outputs?: Record<string, unknown>;
}

/**
 * Signals the one `pulumi` that this process runs: SIGINT as a terminal's Ctrl-C, to those of its process group; SIGKILL to
 * all that it has started, whose groups are their own, as the end of the workstation.
 */
export function signalRun(signal: "SIGINT" | "SIGKILL"): void {
  const processes = execFileSync("ps", ["-e", "-o", "pid=,ppid=,pgid=,comm="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  const found = processes.filter(([, parent, , name]) => Number(parent) === process.pid && name === "pulumi");
  assert.equal(found.length, 1, "one pulumi runs");
  const group = found[0]?.[2];
  for (const [pid] of found) found.push(...processes.filter(([, parent]) => parent === pid));
  for (const [pid, , own] of found) if (signal === "SIGKILL" || own === group) kill(Number(pid), signal);
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Waits for a moment in the middle of a run. @param seconds default: 90 @throws AssertionError when it has not come by then */
export async function until(what: string, condition: () => Promise<boolean>, seconds = 90): Promise<void> {
  for (const deadline = Date.now() + seconds * 1000; !(await condition()); await sleep(100))
    assert.ok(Date.now() < deadline, `${what}: not within ${seconds} s`);
}

/** Whether a device waits for its health gate: its apply has changed everything and is not done. */
export async function isGated(lab: DeviceLab, id: string): Promise<boolean> {
  const journal = await ask(lab, id, "cat /var/lib/edge-fleet/journal 2>/dev/null || :");
  return /^gate\t/m.test(journal) && !/^end\t/m.test(journal);
}
