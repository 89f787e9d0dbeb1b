/**
 * The lab fleet as benchmarks use it: loopback devices of one model without a hub, an inventory that a benchmark can
 * rewrite between two runs, and what is wanted of each device. See test/lab/fleet.ts.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { parse, stringify } from "yaml";
import { loadInventory, type Profile } from "../../components/inventory/index.ts";
import { renderRegionLock } from "../../components/inventory/lock.ts";
import { type DevicePlan, isRefusal } from "../../components/plan/device.ts";
import { prepareRegion } from "../../components/region/prepare.ts";
import { type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import { enterNamespaces } from "../lab/namespace.ts";
import type { CommandResult } from "../lab/run-command.ts";
import { ensureToolchain } from "../lab/toolchain/index.ts";
import { progress } from "./report.ts";

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

/**
 * Starts a lab fleet with as many devices, inside the lab's namespaces.
 * @param withProgram whether the device program is installed already. Default: no, as on new devices
 */
export async function startBenchFleet(count: number, withProgram = false): Promise<LabFleet> {
  await enterNamespaces();
  const parts = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-command"] as const;
  const toolchain = await ensureToolchain(progress, parts);
  const devices = deviceIds(count).map((id) => ({ id, model: "iot-2g", ring: "broad" }) as const);
  const options = { devices, withHub: false, withProgram, readinessTimeoutSeconds: 300 };
  const started = performance.now();
  const fleet = await startLabFleet({ toolchain, ...options });
  progress(`lab of ${count}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return fleet;
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

/** Changes a label of the whole fleet, which changes every device and restarts none. */
export function setLabel({ inventory }: LabFleet, value: string): void {
  const file = join(inventory, "fleet.yaml");
  writeFileSync(file, stringify({ ...parse(readFileSync(file, "utf8")), labels: { tier: value } }));
}

/** A device and what a run wants of it. */
export interface WantedDevice {
  readonly profile: Profile;
  readonly plan: DevicePlan & { readonly payload: NonNullable<DevicePlan["payload"]> };
}

/**
 * What the region's stack wants of each of its devices now, in id order.
 * @throws Error when one is refused or is to be removed
 */
export function wantedDevices({ inventory }: LabFleet): WantedDevice[] {
  const { profiles, plans } = prepareRegion(loadInventory(inventory), REGION, {});
  const byId = new Map(profiles.map((profile) => [profile.id, profile]));
  return plans.map((plan) => {
    const profile = byId.get(plan.id);
    if (profile === undefined || isRefusal(plan) || plan.payload === undefined)
      throw new Error(`bench: ${plan.id} has no plan: ${isRefusal(plan) ? plan.refused : "it is removed"}`);
    return { profile, plan: { ...plan, payload: plan.payload } };
  });
}

/** The region's state on disk. */
export interface StoredState {
  /** Bytes of the checkpoint as JSON. */
  readonly bytes: number;
  /** Bytes with PULUMI_DIY_BACKEND_GZIP. */
  readonly gzipped: number;
  /** Bytes with PULUMI_DIY_BACKEND_ZSTD. */
  readonly zstandard: number;
  /** Type of each resource. */
  readonly types: readonly string[];
}

/** Reads the region's state, which plain `pulumi` stores as JSON and `edge-fleet` compressed. */
export function readState({ directory }: LabFleet): StoredState {
  const plain = join(directory, "state/.pulumi/stacks/edge-fleet", `${REGION}.json`);
  const stored = existsSync(plain) ? readFileSync(plain) : zstdDecompressSync(readFileSync(`${plain}.zst`));
  const state = JSON.parse(stored.toString("utf8")) as {
    checkpoint: { latest: { resources: readonly { type: string }[] } };
  };
  const types = state.checkpoint.latest.resources.map(({ type }) => type);
  const compressed = { gzipped: gzipSync(stored).length, zstandard: zstdCompressSync(stored).length };
  return { bytes: stored.length, ...compressed, types };
}

/** Figures of a state that has as many devices. */
export function stateFigures({ bytes, gzipped, zstandard }: StoredState, devices: number) {
  const figure = (how: string, size: number) =>
    ({ name: `state a device, ${how}`, value: Math.round(size / devices), unit: "B" }) as const;
  return [figure("as JSON", bytes), figure("gzipped", gzipped), figure("with zstd", zstandard)];
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
