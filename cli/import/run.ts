/**
 * The thin shell of `edge-fleet import`: reads the source, plans, rehearses, and writes unless told not to. Nothing is
 * written when anything is wrong.
 */
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { type Inventory, InventoryError, loadInventory, regionLockFile } from "../../components/inventory/index.ts";
import { summarizeProblems } from "../../components/inventory/problems.ts";
import { FileError, readTextFile } from "../../components/inventory/read.ts";
import { UsageError } from "../exit.ts";
import { rewriteFile } from "../inventory-edit/write.ts";
import { PACKAGE_FOLDER } from "../package.ts";
import { exportAnsible, notesOnOthers, withExported } from "./ansible-export.ts";
import { parseAnsibleIni } from "./ansible-ini.ts";
import { readAnsible } from "./ansible-model.ts";
import { parseAnsibleYaml } from "./ansible-yaml.ts";
import { parseCsvSource } from "./csv.ts";
import { lockEdits, type RegionEdit, regionEdits } from "./files.ts";
import type { SourceInventory } from "./host.ts";
import { parseK0sctl } from "./k0sctl.ts";
import { parseK3sup } from "./k3sup.ts";
import { knownKeys } from "./known-hosts.ts";
import { type ImportOptions, type ImportPlan, type PlannedDevice, planImport } from "./plan.ts";
import { rehearse } from "./stage.ts";

const SCHEMA = join(PACKAGE_FOLDER, "dist", "components", "inventory", "schema", "region.schema.json");

/** Formats that can be imported. */
export type SourceFormat = "k3sup" | "ansible" | "k0sctl" | "csv";

/** What an import is asked for. */
export interface ImportRequest extends Omit<ImportOptions, "hostKey"> {
  readonly format: SourceFormat;
  readonly file: string;
  /** k3sup: how many hosts are servers. */
  readonly servers: number | undefined;
  /** known_hosts file with the keys of devices and jump hosts. */
  readonly knownHosts: string | undefined;
  /** The inventory's folder. */
  readonly directory: string;
  readonly dryRun: boolean;
}

/** What became of it. */
export interface ImportResult extends Pick<SourceInventory, "leftOut" | "secrets"> {
  readonly devices: readonly PlannedDevice[];
  readonly notes: readonly string[];
  /** Files that were written, or would be. */
  readonly files: readonly string[];
  /** Regions that did not exist before. */
  readonly newRegions: readonly string[];
}

/**
 * @throws UsageError with every problem of the source or of the plan
 * @throws InventoryError when the inventory, as it is or as it would be, does not load
 */
export async function runImport(request: ImportRequest): Promise<ImportResult> {
  const { directory, file } = request;
  const inventory = loadInventory(directory);
  const source = await readSource(request);
  refuse(file, source.problems);
  const hosts = source.hosts.flatMap(({ address, port, proxy }) => {
    const own = { host: address, port: port ?? request.port };
    return proxy === undefined ? [own] : [own, proxy];
  });
  const hostKey = request.knownHosts === undefined ? () => undefined : await knownKeys(request.knownHosts, hosts);
  const plan = planImport(source.hosts, inventory, { ...request, hostKey });
  refuse(file, plan.problems);
  const edits = editsOf(plan, inventory);
  rehearseEdits(directory, edits);
  if (!request.dryRun) for (const { name, edit } of edits) rewriteFile(join(directory, name), edit);
  return {
    devices: plan.devices,
    leftOut: source.leftOut,
    secrets: source.secrets,
    notes: [...source.notes, ...plan.notes],
    files: edits.map(({ name }) => join(directory, name)),
    newRegions: [...new Set(plan.devices.map(({ region }) => region))].filter((name) => !inventory.regions.has(name)),
  };
}

/** Parses the source. @throws UsageError when the file cannot be read */
export async function readSource({
  format,
  file,
  servers,
}: Pick<ImportRequest, "format" | "file" | "servers">): Promise<SourceInventory> {
  const text = readSourceFile(file);
  switch (format) {
    case "k3sup":
      return parseK3sup(file, text, { servers });
    case "k0sctl":
      return parseK0sctl(file, text);
    case "csv":
      return parseCsvSource(file, text);
    case "ansible":
      return readAnsibleSource(file, text);
  }
}

async function readAnsibleSource(file: string, text: string): Promise<SourceInventory> {
  const own = /\.(ya?ml|json)$/.test(file) ? parseAnsibleYaml(file, text) : parseAnsibleIni(file, text);
  const beside = await exportAnsible(file);
  const exported = beside.text === undefined ? undefined : parseAnsibleYaml(file, beside.text);
  const groups = exported === undefined ? own.groups : withExported(file, own.groups, exported.groups);
  const read = readAnsible(groups);
  return {
    ...read,
    problems: [...own.problems, ...beside.problems, ...(exported?.problems ?? []), ...read.problems],
    notes: [...read.notes, ...beside.notes, ...(exported === undefined ? [] : notesOnOthers(file, own.groups))],
  };
}

function readSourceFile(file: string): string {
  try {
    return readTextFile(file);
  } catch (error) {
    throw error instanceof FileError ? new UsageError(error.message) : error;
  }
}

function refuse(file: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  const lines = summarizeProblems([...new Set(problems)]);
  throw new UsageError(`${file} is not imported, nothing was written:\n${lines.join("\n")}`);
}

function editsOf({ devices }: ImportPlan, { directory, regions }: Inventory): RegionEdit[] {
  const schemaPath = relative(directory, SCHEMA).replaceAll("\\", "/");
  return [...Map.groupBy(devices, ({ region }) => region)].flatMap(([region, own]) => {
    const file = regions.get(region)?.file;
    const text = file === undefined ? undefined : readTextFile(file);
    return [
      ...regionEdits(region, own, text, schemaPath),
      ...lockEdits(region, own, regionLockFile(directory, region)),
    ];
  });
}

function rehearseEdits(directory: string, edits: readonly RegionEdit[]): void {
  const texts = edits.map(({ name, edit }) => {
    const path = join(directory, name);
    return [name, edit(existsSync(path) ? readTextFile(path) : undefined)] as const;
  });
  try {
    rehearse(directory, new Map(texts), () => undefined);
  } catch (error) {
    if (!(error instanceof InventoryError)) throw error;
    throw new UsageError(`with the import, ${error.message}\nnothing was written`);
  }
}
