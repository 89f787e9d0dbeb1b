/**
 * The lab fleet as benchmarks use it: loopback devices of one model without a hub, an inventory that a benchmark can
 * rewrite between two runs, and what each device would be sent. See test/lab/fleet.ts.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { parse, stringify } from "yaml";
import { type DeviceSpec, planDevice } from "../../components/device/plan.ts";
import { loadInventory, resolveRegion } from "../../components/inventory/index.ts";
import { renderRegionLock } from "../../components/inventory/lock.ts";
import { type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import { enterNamespaces } from "../lab/namespace.ts";
import type { CommandResult } from "../lab/run-command.ts";
import { ensureToolchain } from "../lab/toolchain/index.ts";
import { progress } from "./report.ts";

/** Path of the stack's state below the lab fleet's folder. */
const STATE_FILE = join("state", ".pulumi", "stacks", "edge-fleet", `${REGION}.json`);

/** A device of the region's files. */
export interface BenchDevice {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** Pinned key; absent: not enrolled. */
  readonly hostKey?: string;
}

/** Ids of fixed width, so that none is the start of another. */
export function deviceIds(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `shop-${String(index).padStart(4, "0")}`);
}

/** Starts a lab fleet with as many devices, inside the lab's namespaces. */
export async function startBenchFleet(count: number): Promise<LabFleet> {
  await enterNamespaces();
  const parts = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-command"] as const;
  const toolchain = await ensureToolchain(progress, parts);
  const devices = deviceIds(count).map((id) => ({ id, model: "iot-2g", ring: "broad" }) as const);
  return startLabFleet({ toolchain, devices, withHub: false, withProgram: true });
}

/** The lab's devices as enrolled ones. */
export function enrolledDevices({ devices }: LabFleet): BenchDevice[] {
  return devices.devices.map(({ id, host, port, hostKey }) => ({ id, host, port, hostKey }));
}

/** Replaces the devices of the region's files. */
export function writeRegion({ inventory }: LabFleet, devices: readonly BenchDevice[]): void {
  const entries = devices.map(({ id, host, port }) => ({ id, host, model: "iot-2g", ring: "broad", ssh: { port } }));
  const pins = devices.flatMap(({ id, hostKey }) => (hostKey === undefined ? [] : [[id, { hostKey }] as const]));
  writeFileSync(join(inventory, `${REGION}.yaml`), stringify({ region: REGION, devices: entries }));
  writeFileSync(join(inventory, `${REGION}.lock.yaml`), renderRegionLock(REGION, new Map(pins)));
}

/** Changes one K3s release for the whole fleet, which changes every device. */
export function setK3sVersion({ inventory }: LabFleet, version: string): void {
  const file = join(inventory, "fleet.yaml");
  writeFileSync(file, stringify({ ...parse(readFileSync(file, "utf8")), k3s: { version } }));
}

/** What the region's stack sends to each of its devices now. */
export function deviceSpecs({ inventory: directory }: LabFleet): DeviceSpec[] {
  const inventory = loadInventory(directory);
  return resolveRegion(inventory, REGION).map((profile) => planDevice(profile, inventory.artifacts));
}

/** The region's state on disk. */
export interface StoredState {
  /** Bytes of the checkpoint as JSON. */
  readonly bytes: number;
  /** Bytes of the file, compressed where `edge-fleet` wrote it. */
  readonly storedBytes: number;
  /** Type of each resource. */
  readonly types: readonly string[];
}

/** Reads the region's state, compressed or not. */
export function readState({ directory }: LabFleet): StoredState {
  const plain = join(directory, STATE_FILE);
  const compressed = `${plain}.zst`;
  const stored = readFileSync(existsSync(compressed) ? compressed : plain);
  const text = existsSync(compressed) ? zstdDecompressSync(stored) : stored;
  const state = JSON.parse(text.toString("utf8")) as {
    checkpoint: { latest: { resources: readonly { type: string }[] } };
  };
  const types = state.checkpoint.latest.resources.map(({ type }) => type);
  return { bytes: text.length, storedBytes: stored.length, types };
}

/**
 * Passes a result on.
 * @param codes exit codes that count as success
 * @throws Error with the end of the output for any other
 */
export function succeed(result: CommandResult, what: string, codes: readonly number[] = [0]): CommandResult {
  if (codes.includes(result.code)) return result;
  throw new Error(
    `bench: ${what} ended with ${result.code}:\n${result.stdout.slice(-3000)}\n${result.stderr.slice(-2000)}`,
  );
}

/** How many resources the CLI's summary counts, e.g. `+ 42 created`, `~ 3 to update`, `42 unchanged`. */
export function countResources({ stdout }: CommandResult, what: string): number {
  return Number(new RegExp(`^\\s+(?:\\S )?(\\d+) ${what}$`, "m").exec(stdout)?.[1] ?? 0);
}

/** A whole number from the environment. */
export function setting(name: string, otherwise: number): number {
  const value = Number(process.env[name] ?? otherwise);
  if (!Number.isInteger(value) || value < 1) throw new Error(`bench: ${name} is not a whole number above 0`);
  return value;
}
