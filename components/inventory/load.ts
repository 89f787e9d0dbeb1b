/**
 * The inventory from its folder: reads every file, validates it, and checks what only shows across files. Returns a
 * complete {@link Inventory} or throws one {@link InventoryError} that lists every problem.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkInventory } from "./checks.ts";
import { parseDevicesCsv, parseYamlFile, type YamlFile } from "./files.ts";
import { type FieldPath, formatProblem, InventoryError } from "./problems.ts";
import { ArtifactsLockSchema, FleetSchema, ModelsSchema, type RegionFile, RegionSchema } from "./schema.ts";
import type { DeviceRecord, Inventory, Region } from "./types.ts";

/** Files of the inventory folder that are not regions. `Pulumi.<stack>.yaml` files belong to Pulumi. */
const RESERVED = ["fleet.yaml", "models.yaml", "artifacts.lock.yaml"];

/**
 * Reads and validates the inventory.
 * @param directory folder with fleet.yaml, models.yaml, artifacts.lock.yaml and one `<region>.yaml` per region
 * @throws InventoryError with every problem found in any file
 */
export function loadInventory(directory: string): Inventory {
  const problems: string[] = [];
  const fleet = loadYaml(directory, "fleet.yaml", FleetSchema, problems);
  const models = loadYaml(directory, "models.yaml", ModelsSchema, problems);
  const lockExists = existsSync(join(directory, "artifacts.lock.yaml"));
  const artifacts = lockExists ? loadYaml(directory, "artifacts.lock.yaml", ArtifactsLockSchema, problems) : undefined;
  const regions = regionFiles(directory).map((name) => loadRegion(directory, name, problems));
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
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith(".yaml") && !RESERVED.includes(name) && !name.startsWith("Pulumi."))
    .sort();
}

function loadYaml<S extends Parameters<typeof parseYamlFile>[2]>(
  directory: string,
  name: string,
  schema: S,
  problems: string[],
): ReturnType<typeof parseYamlFile<S>> | undefined {
  const file = join(directory, name);
  if (!existsSync(file)) {
    problems.push(
      formatProblem(
        { file, line: 1, column: 1 },
        "(file)",
        "does not exist - create it or point --inventory to its folder",
      ),
    );
    return undefined;
  }
  return parseYamlFile(file, readFileSync(file, "utf8"), schema, problems);
}

interface LoadedRegion {
  readonly file: string;
  readonly yaml: YamlFile<RegionFile> | undefined;
  readonly devices: readonly DeviceRecord[];
}

function loadRegion(directory: string, name: string, problems: string[]): LoadedRegion {
  const file = join(directory, name);
  const yaml = loadYaml(directory, name, RegionSchema, problems);
  const value = yaml?.value;
  if (yaml === undefined || value === undefined) return { file, yaml, devices: [] };
  if (`${value.region}.yaml` !== name) {
    const message = `is ${value.region} in a file named ${name} - rename one of them: the stack, the file and the region share one name`;
    problems.push(formatProblem(yaml.position(["region"]), "region", message));
  }
  const inline = (value.devices ?? []).map((entry, index) => ({
    entry,
    position: yaml.position(["devices", index, "id"]),
    path: `devices[${index}]`,
    locate: (path: FieldPath) => yaml.position(["devices", index, ...path]),
  }));
  return { file, yaml, devices: [...inline, ...loadCsv(directory, value, yaml, problems)] };
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
    problems.push(
      formatProblem(
        yaml.position(["devicesFrom"]),
        "devicesFrom",
        `${file} does not exist - create it or remove the field`,
      ),
    );
    return [];
  }
  return parseDevicesCsv(file, readFileSync(file, "utf8"), problems);
}

function assembleRegions(loaded: readonly LoadedRegion[]): Inventory["regions"] {
  const regions = new Map<string, Region>();
  for (const { file, yaml, devices } of loaded) {
    if (yaml?.value === undefined) continue;
    const { region: name, devices: _inline, devicesFrom: _csv, ...settings } = yaml.value;
    regions.set(name, { name, settings, file, devices, locate: yaml.position });
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
