/**
 * Where a command learns the health of devices, by its options. A status file tells of all; else the hub tells of
 * devices with an agent, and the others are asked themselves, over SSH.
 */
import { readFileSync } from "node:fs";
import { InvalidArgumentError, Option } from "commander";
import { controlPlaneNamespace, type TreeDevice } from "../../components/gitops/index.ts";
import { type Inventory, type Profile, resolveFleet } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { askDevices } from "./dial.ts";
import type { DeviceStatus } from "./health.ts";
import { listApplications } from "./hub.ts";
import { type Memory, readMemory, remember, statusOfKnown, writeMemory } from "./memory.ts";
import { parseDuration } from "./rules.ts";
import { type DeviceStatuses, parseStatusFile, statusesFromApplications } from "./status.ts";

/** Options of a command that asks for health. */
export interface StatusOptions {
  /** Path of a status file. Absent: the hub or the devices are asked, or nobody. */
  readonly status?: string;
  /** Path of the kubeconfig of the hub. Absent: it is not asked. */
  readonly kubeconfig?: string;
  /** Ask the devices without an agent now. Absent: their last answers count, by their age. */
  readonly dial?: true;
  /** Milliseconds. */
  readonly maxStatusAge: number;
}

/** `--status`, `--kubeconfig` and `--max-status-age`. */
export function statusOptions(): Option[] {
  return [
    new Option("--status <file>", "JSON of device id -> {connected, healthy, revision, observedAt, since}").conflicts([
      "kubeconfig",
      "dial",
    ]),
    new Option("--kubeconfig <file>", "kubeconfig of the hub: its Applications tell the health of agent devices"),
    new Option("--max-status-age <duration>", "a status older than this says nothing")
      .default(parseDuration("30m"), "30m")
      .argParser((text: string) => {
        try {
          return parseDuration(text);
        } catch (error) {
          throw new InvalidArgumentError(`${(error as Error).message}.`);
        }
      }),
  ];
}

/** `--dial`, of commands that do not ask devices by themselves. */
export function dialOption(): Option {
  return new Option("--dial", "ask the devices without an agent over SSH, instead of showing their last answers");
}

/** Whose health is asked for. */
export interface StatusQuestion {
  readonly inventory: Inventory;
  /** Devices that are asked about. */
  readonly devices: readonly Pick<TreeDevice, "id">[];
  /** Name of the workload whose Applications count. Undefined: that of the overlays. */
  readonly workload: string | undefined;
}

/**
 * Reads the status of devices.
 * @returns undefined without a source
 * @throws UsageError when the source cannot be read
 */
export async function readStatuses(
  options: StatusOptions,
  { inventory, devices, workload }: StatusQuestion,
): Promise<DeviceStatuses | undefined> {
  if (options.status !== undefined) return parseStatusFile(options.status, readStatusFile(options.status));
  const wanted = new Set(devices.map(({ id }) => id));
  const profiles = resolveFleet(inventory).filter(({ id }) => wanted.has(id));
  const { agents = [], own = [] } = Object.groupBy(profiles, sourceOf);
  const dials = options.dial === true && own.length > 0;
  const asksHub = options.kubeconfig !== undefined && agents.length > 0;
  const told = statusesOf(own, dials ? await ask(own) : readMemory(), workload);
  if (!dials && !asksHub && told.size === 0) return undefined;
  const hub = asksHub
    ? await askHub(options, agents, workload)
    : notAsked(agents, "the hub tells of it, and was not asked - use --kubeconfig <file>");
  return new Map([...hub, ...told]);
}

function sourceOf({ gitops: { engine } }: Profile): "agents" | "own" {
  return engine === "argocd-agent" ? "agents" : "own";
}

/** What they answer, beside what was known before: one that is silent now is known by its last answer. */
async function ask(profiles: readonly Profile[]): Promise<Memory> {
  const asked = await askDevices(profiles);
  const memory = remember(readMemory(), asked);
  if (profiles.some(({ hostKey }) => hostKey !== undefined)) writeMemory(memory);
  return memory;
}

function statusesOf(
  profiles: readonly Profile[],
  memory: Memory,
  workload: string | undefined,
): Map<string, DeviceStatus> {
  const statuses = new Map<string, DeviceStatus>();
  for (const profile of profiles) {
    const known = memory.get(profile.id);
    const { engine, argocd, flux } = profile.gitops;
    const { reconcileMinutes } = engine === "flux" ? flux : argocd;
    const comparesEveryMs = engine === "none" ? undefined : reconcileMinutes * 60_000;
    const status = known === undefined ? undefined : statusOfKnown(known, { workload, comparesEveryMs });
    if (status !== undefined) statuses.set(profile.id, status);
  }
  return statuses;
}

async function askHub(
  { kubeconfig = "", maxStatusAge }: StatusOptions,
  agents: readonly Profile[],
  workload: string | undefined,
): Promise<Map<string, DeviceStatus>> {
  const regions = [...new Set(agents.map(({ region }) => region))].sort();
  const applications = await listApplications(kubeconfig, regions.map(controlPlaneNamespace));
  return statusesFromApplications(applications, workload, maxStatusAge, Date.now());
}

function notAsked(profiles: readonly Profile[], why: string): Map<string, DeviceStatus> {
  const observedAt = new Date().toISOString();
  const status = { connected: false, healthy: false, observedAt, problems: [`no answer: ${why}`] };
  return new Map(profiles.map(({ id }) => [id, status]));
}

function readStatusFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message} - use the output of edge-fleet status --json`);
  }
}
