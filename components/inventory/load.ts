/**
 * The inventory from its folder: reads every file, validates it, and checks what only shows across files. Returns a
 * complete {@link Inventory} or throws one {@link InventoryError} that lists every problem.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import { checkInventory } from "./checks.ts";
import { type Elsewhere, lockedElsewhere, parseDevicesCsv, parseYamlFile, type YamlFile } from "./files.ts";
import { RegionLockSchema } from "./lock-schema.ts";
import { type FieldPath, formatProblem, InventoryError } from "./problems.ts";
import { FileError, readTextFile } from "./read.ts";
import { ArtifactsLockSchema, FleetSchema, ModelsSchema, type RegionFile, RegionSchema } from "./schema.ts";
import type { DeviceRecord, Inventory, Region, RegionLock } from "./types.ts";

/** Files of the inventory folder that are not regions. `Pulumi.<stack>.yaml` files belong to Pulumi. */
const RESERVED = ["fleet.yaml", "models.yaml"];

/** Ends the name of a file that a command writes. */
const LOCK_ENDING = ".lock.yaml";
const ARTIFACTS_LOCK = `artifacts${LOCK_ENDING}`;

/**
 * Reads and validates the inventory.
 * @param directory folder with fleet.yaml, models.yaml, artifacts.lock.yaml, and for each region `<region>.yaml` and
 * `<region>.lock.yaml`
 * @throws InventoryError with every problem found in any file
 */
export function loadInventory(directory: string): Inventory {
  const problems: string[] = [];
  const fleet = loadYaml(directory, "fleet.yaml", FleetSchema, problems);
  const models = loadYaml(directory, "models.yaml", ModelsSchema, problems);
  const lockExists = existsSync(join(directory, ARTIFACTS_LOCK));
  const artifacts = lockExists ? loadYaml(directory, ARTIFACTS_LOCK, ArtifactsLockSchema, problems) : undefined;
  const regions = regionFiles(directory).map((name) => loadRegion(directory, name, problems));
  problems.push(...misnamedFiles(directory));
  if (fleet?.value !== undefined && models?.value !== undefined) {
    const inventory = {
      directory,
      fleet: fleet.value,
      models: models.value,
      regions: assembleRegions(regions),
      artifacts: artifacts?.value ?? {},
      locate: { fleet: fleet.position, models: models.position },
    };
    problems.push(...checkInventory(inventory));
    if (problems.length === 0) return inventory;
  }
  throw new InventoryError(sortProblems(problems));
}

/** Names of the region files in the folder, in name order. */
export function regionFiles(directory: string): string[] {
  return fileNames(directory)
    .filter((name) => name.endsWith(".yaml") && !RESERVED.includes(name))
    .filter((name) => !name.endsWith(LOCK_ENDING) && !name.startsWith("Pulumi."))
    .sort();
}

/** Path of a region's lock. */
export function regionLockFile(directory: string, region: string): string {
  return join(directory, `${region}${LOCK_ENDING}`);
}

/** A path that is no folder has no files; that its fleet.yaml cannot be read says enough. */
function fileNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** Files that would be part of the inventory under another name, and locks without their region. */
function misnamedFiles(directory: string): string[] {
  const names = fileNames(directory).filter((name) => !name.startsWith("Pulumi."));
  const report = (name: string, message: string) =>
    formatProblem({ file: join(directory, name), line: 1, column: 1 }, "(file)", message);
  const endings = names
    .filter((name) => /\.yml$/i.test(name))
    .map((name) => report(name, `is not read - rename it to ${name.replace(/\.yml$/i, ".yaml")}`));
  const orphans = names
    .filter((name) => name.endsWith(LOCK_ENDING) && name !== ARTIFACTS_LOCK)
    .filter((name) => !names.includes(regionOf(name)))
    .map((name) => report(name, `there is no ${regionOf(name)} - restore it, or remove this file too`));
  return [...endings, ...orphans];
}

function regionOf(lock: string): string {
  return lock.replace(LOCK_ENDING, ".yaml");
}

function loadYaml<S extends z.ZodType>(
  directory: string,
  name: string,
  schema: S,
  problems: string[],
  elsewhere?: Elsewhere,
): YamlFile<z.input<S>> | undefined {
  const file = join(directory, name);
  if (!existsSync(file)) {
    const position = { file, line: 1, column: 1 };
    problems.push(formatProblem(position, "(file)", "does not exist - create it or point --inventory to its folder"));
    return undefined;
  }
  const text = readText(file, problems);
  return text === undefined ? undefined : parseYamlFile(file, text, schema, problems, elsewhere);
}

function readText(file: string, problems: string[]): string | undefined {
  try {
    return readTextFile(file);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    problems.push(error.message);
    return undefined;
  }
}

interface LoadedRegion {
  readonly file: string;
  readonly yaml: YamlFile<RegionFile> | undefined;
  readonly devices: readonly DeviceRecord[];
  readonly lock: RegionLock;
}

function loadRegion(directory: string, name: string, problems: string[]): LoadedRegion {
  const file = join(directory, name);
  const region = name.replace(/\.yaml$/, "");
  const elsewhere: Elsewhere = ([list, index, ...path]) =>
    list === "devices" && typeof index === "number" ? lockedElsewhere(region, path) : undefined;
  const yaml = loadYaml(directory, name, RegionSchema, problems, elsewhere);
  const lock = loadLock(directory, region, problems);
  const value = yaml?.value;
  if (yaml === undefined || value === undefined) return { file, yaml, devices: [], lock };
  if (value.region !== region) {
    const message = `is ${value.region} in a file named ${name} - rename one of them: the stack, the file and the region share one name`;
    problems.push(formatProblem(yaml.position(["region"]), "region", message));
  }
  const inline = (value.devices ?? []).map((entry, index) => ({
    entry,
    position: yaml.position(["devices", index, "id"]),
    path: `devices[${index}]`,
    locate: (path: FieldPath) => yaml.position(["devices", index, ...path]),
  }));
  const devices = [...inline, ...loadCsv(directory, value, yaml, problems)];
  return { file, yaml, devices: devices.map((record) => withLock(record, lock)), lock };
}

function loadLock(directory: string, region: string, problems: string[]): RegionLock {
  const file = regionLockFile(directory, region);
  const yaml = existsSync(file)
    ? loadYaml(directory, `${region}${LOCK_ENDING}`, RegionLockSchema, problems)
    : undefined;
  const start = { file, line: 1, column: 1 };
  const { devices = {}, revoked = {}, sealing = [] } = yaml?.value ?? {};
  return { file, devices, revoked, sealing, locate: yaml?.position ?? (() => start) };
}

/** The device with its part of the lock; those fields stand there, not in its entry. */
function withLock(record: DeviceRecord, lock: RegionLock): DeviceRecord {
  const { id } = record.entry;
  if (!Object.hasOwn(lock.devices, id)) return record;
  const locked = lock.devices[id];
  const locate = (path: FieldPath) =>
    path.length > 0 && Object.hasOwn(locked ?? {}, String(path[0]))
      ? lock.locate(["devices", id, ...path])
      : record.locate(path);
  return { ...record, entry: { ...record.entry, ...locked }, locate };
}

function loadCsv(
  directory: string,
  region: RegionFile,
  yaml: YamlFile<RegionFile>,
  problems: string[],
): DeviceRecord[] {
  if (region.devicesFrom === undefined) return [];
  const file = join(directory, region.devicesFrom);
  if (!existsSync(file)) {
    const message = `${file} does not exist - create it or remove the field`;
    problems.push(formatProblem(yaml.position(["devicesFrom"]), "devicesFrom", message));
    return [];
  }
  const text = readText(file, problems);
  return text === undefined ? [] : parseDevicesCsv(file, text, region.region, problems);
}

function assembleRegions(loaded: readonly LoadedRegion[]): Inventory["regions"] {
  const regions = new Map<string, Region>();
  for (const { file, yaml, devices, lock } of loaded) {
    if (yaml?.value === undefined) continue;
    const { region: name, state = "present", devices: _inline, devicesFrom: _csv, ...settings } = yaml.value;
    regions.set(name, { name, state, settings, file, devices, lock, locate: yaml.position });
  }
  return regions;
}

function sortProblems(problems: readonly string[]): string[] {
  const place = (problem: string) => /^(.*?):(\d+):(\d+) /.exec(problem)?.slice(1) ?? ["", "0", "0"];
  return [...new Set(problems)].sort((a, b) => {
    const [fileA = "", lineA, columnA] = place(a);
    const [fileB = "", lineB, columnB] = place(b);
    return fileA.localeCompare(fileB) || Number(lineA) - Number(lineB) || Number(columnA) - Number(columnB);
  });
}
