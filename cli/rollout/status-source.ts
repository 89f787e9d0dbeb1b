/**
 * Where a command learns the health of devices: from its options to a status by device. A status file tells of all; else
 * the hub tells of devices with an agent, and the others are asked themselves, over SSH.
 */
import { readFileSync } from "node:fs";
import { InvalidArgumentError, Option } from "commander";
import { controlPlaneNamespace, type TreeDevice } from "../../components/gitops/index.ts";
import { type Inventory, type Profile, resolveProfile } from "../../components/inventory/index.ts";
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
  readonly devices: readonly TreeDevice[];
  /** Name of the workload whose Applications count. Undefined: that of the overlays. */
  readonly workload: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** How often engines compare what runs with Git, in milliseconds: as edge-fleet sets Argo CD and Flux. */
const COMPARES_EVERY_MS = 10 * 60_000;

/**
 * Reads the status of devices.
 * @returns undefined without a source
 * @throws UsageError when the source cannot be read
 */
export async function readStatuses(
  options: StatusOptions,
  question: StatusQuestion,
): Promise<DeviceStatuses | undefined> {
  if (options.status !== undefined) return parseStatusFile(options.status, readStatusFile(options.status));
  const { devices } = question;
  const agents = devices.filter(({ engine }) => engine === "argocd-agent");
  const others = devices.filter(({ engine }) => engine !== "argocd-agent");
  const asksHub = agents.length > 0 && options.kubeconfig !== undefined;
  const memory = options.dial && others.length > 0 ? await ask(question.inventory, others) : readMemory();
  const known = statusesOf(others, memory, question.workload);
  if (!asksHub && known.size === 0 && !(options.dial && others.length > 0)) return undefined;
  const hub = asksHub ? await askHub(options, agents, question) : notAsked(agents, question.now);
  return new Map([...hub, ...known]);
}

async function ask(inventory: Inventory, devices: readonly TreeDevice[]): Promise<Memory> {
  const profiles: Profile[] = devices.map(({ id }) => resolveProfile(inventory, id));
  const asked = await askDevices(profiles);
  // Of what it reads again: another command may have asked others meanwhile.
  const memory = remember(readMemory(), asked);
  if (profiles.some(({ hostKey }) => hostKey !== undefined)) writeMemory(memory);
  return memory;
}

function statusesOf(
  devices: readonly TreeDevice[],
  memory: Memory,
  workload: string | undefined,
): Map<string, DeviceStatus> {
  const statuses = new Map<string, DeviceStatus>();
  for (const { id } of devices) {
    const known = memory.get(id);
    const status =
      known === undefined ? undefined : statusOfKnown(known, { workload, comparesEveryMs: COMPARES_EVERY_MS });
    if (status !== undefined) statuses.set(id, status);
  }
  return statuses;
}

async function askHub(
  { kubeconfig = "", maxStatusAge }: StatusOptions,
  agents: readonly TreeDevice[],
  { workload, now }: StatusQuestion,
): Promise<Map<string, DeviceStatus>> {
  const regions = [...new Set(agents.map(({ region }) => region))].sort();
  const applications = await listApplications(kubeconfig, regions.map(controlPlaneNamespace));
  return statusesFromApplications(applications, workload, maxStatusAge, now);
}

function notAsked(agents: readonly TreeDevice[], now: number): Map<string, DeviceStatus> {
  const problems = ["no answer: the hub tells of it, and was not asked - use --kubeconfig <file>"];
  const status = { connected: false, healthy: false, observedAt: new Date(now).toISOString(), problems };
  return new Map(agents.map(({ id }) => [id, status]));
}

function readStatusFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message} - use the output of edge-fleet status --json`);
  }
}
