/**
 * An inventory of any size for the benchmark of resolving and emitting, with devices inline in YAML or in CSV files
 * beside the regions. All devices are enrolled (host key, identity key), each with a label and a ring of its own, as an
 * inventory looks after its first months.
 */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { renderRegionLock } from "../../components/inventory/lock.ts";
import type { LockedDevice } from "../../components/inventory/lock-schema.ts";

/** Size of the fleet. */
export interface FleetSize {
  readonly devices: number;
  readonly regions: number;
  readonly models: number;
}

/** How devices are written. */
export type DeviceFormat = "yaml" | "csv";

const K3S_VERSION = "v1.36.2+k3s1";
const RINGS = ["canary", "early", "broad"] as const;
const CSV_FIELDS = ["id", "host", "model", "ring", "labels.site"] as const;

type DeviceRow = Readonly<Record<(typeof CSV_FIELDS)[number], string>>;

/** Writes the inventory into a folder, which it creates. */
export function writeFleetInventory(directory: string, size: FleetSize, format: DeviceFormat): void {
  mkdirSync(directory, { recursive: true });
  const write = (name: string, content: string) => writeFileSync(join(directory, name), content);
  write("fleet.yaml", stringify(fleetFile()));
  write("models.yaml", stringify(Object.fromEntries(modelNames(size).map((name, index) => [name, model(index)]))));
  write("artifacts.lock.yaml", stringify(lockFile()));
  for (let region = 0; region < size.regions; region += 1) {
    const name = regionName(region);
    const rows = deviceRows(region, size);
    const settings = {
      region: name,
      labels: { country: `c${region}` },
      artifacts: { mirror: "https://mirror.example.com/edge" },
    };
    write(`${name}.lock.yaml`, renderRegionLock(name, new Map(rows.map(({ id }) => [id, pins(id)]))));
    if (format === "csv") {
      write(`${name}.yaml`, stringify({ ...settings, devicesFrom: `${name}.csv` }));
      write(
        `${name}.csv`,
        `${[CSV_FIELDS, ...rows.map((row) => CSV_FIELDS.map((field) => row[field]))].map((cells) => cells.join(",")).join("\n")}\n`,
      );
    } else write(`${name}.yaml`, stringify({ ...settings, devices: rows.map(yamlDevice) }));
  }
}

/** Name of a region by its position. */
export function regionName(index: number): string {
  return `region-${String(index + 1).padStart(2, "0")}`;
}

function fleetFile() {
  return {
    fleet: "benchmark",
    git: { url: "https://git.example.com/edge/fleet.git" },
    rings: RINGS,
    hub: { argocd: { version: "v3.2.0" } },
    k3s: { version: K3S_VERSION },
    labels: { tier: "edge" },
  };
}

function modelNames({ models }: FleetSize): string[] {
  return Array.from({ length: models }, (_, index) => `model-${index + 1}`);
}

function model(index: number) {
  const small = index % 4 === 3;
  return {
    architecture: index % 2 === 0 ? "arm64" : "amd64",
    memory: small ? "2Gi" : "4Gi",
    ...(small ? { gitops: { engine: "flux" } } : {}),
  };
}

function lockFile() {
  const binary = (architecture: string) => ({
    url: `https://github.com/k3s-io/k3s/releases/download/${encodeURIComponent(K3S_VERSION)}/k3s-${architecture}`,
    sha256: sha256(architecture).toString("hex"),
    size: 75_000_000,
  });
  return { k3s: { [K3S_VERSION]: { amd64: binary("amd64"), arm64: binary("arm64") } } };
}

function deviceRows(region: number, size: FleetSize): DeviceRow[] {
  const names = modelNames(size);
  const rows: DeviceRow[] = [];
  for (let index = region; index < size.devices; index += size.regions) {
    const position = Math.floor(index / size.regions);
    const id = `${regionName(region)}-shop-${String(position).padStart(4, "0")}`;
    rows.push({
      id,
      host: `${id}.edge.example.com`,
      model: names[position % names.length] ?? "",
      ring: RINGS[position % 50 === 0 ? 0 : position % 10 === 0 ? 1 : 2],
      "labels.site": `site-${position}`,
    });
  }
  return rows;
}

function pins(id: string): LockedDevice {
  return {
    hostKey: publicKey("ssh-ed25519", 32, `${id} host`),
    identityKey: publicKey("ecdsa-sha2-nistp256", 84, `${id} identity`),
  };
}

function yamlDevice({ "labels.site": site, ...row }: DeviceRow) {
  return { ...row, labels: { site } };
}

/** A key of the right form and length; its bytes are a hash, so no private half exists. */
function publicKey(type: string, length: number, seed: string): string {
  const bytes = Buffer.concat([0, 1, 2].map((block) => sha256(`${seed} ${block}`))).subarray(0, length);
  const field = (content: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, content.length]), content]);
  return `${type} ${Buffer.concat([field(Buffer.from(type)), field(bytes)]).toString("base64")}`;
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
