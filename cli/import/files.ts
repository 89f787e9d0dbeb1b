/**
 * Planned devices into the text of their region's files. A region that exists keeps the way it lists its devices; a new
 * one lists up to {@link MAX_INLINE} in its YAML file and more in a CSV file beside it. Pure.
 */
import { basename } from "node:path";
import { isMap, parseDocument } from "yaml";
import { formatYaml } from "../../components/gitops/yaml.ts";
import { appendCsv, appendYaml } from "../inventory-edit/append.ts";
import { editRegionLock } from "../inventory-edit/lock.ts";
import { nestFields, type PlannedDevice } from "./plan.ts";

/** Most devices that a new region lists inline. */
export const MAX_INLINE = 25;

/** One file to be written. */
export interface RegionEdit {
  /** Name in the inventory's folder. */
  readonly name: string;
  /** The present text to the new one; `undefined` stands for no file. Throws when the file cannot be edited. */
  readonly edit: (text: string | undefined) => string;
}

/**
 * The files that a region's new devices go into.
 * @param text of `<region>.yaml`; `undefined` when there is none
 * @param schemaPath path of region.schema.json as an editor finds it from the file
 */
export function regionEdits(
  region: string,
  devices: readonly PlannedDevice[],
  text: string | undefined,
  schemaPath: string,
): RegionEdit[] {
  const rows = devices.map(({ fields }) => fields);
  if (text === undefined) return newRegion(region, rows, schemaPath);
  const csv = csvOf(text);
  if (csv !== undefined) return [{ name: csv, edit: (before) => appendCsv(before ?? "", rows) }];
  return [{ name: `${region}.yaml`, edit: (before) => appendYaml(before ?? "", rows.map(nestFields)) }];
}

/**
 * The lock of a region whose new devices bring their host keys; nothing where none does. An entry of the same id that is
 * left of a device that is gone is replaced.
 * @param file path of the lock, for messages
 */
export function lockEdits(region: string, devices: readonly PlannedDevice[], file: string): RegionEdit[] {
  const keys = devices.flatMap(({ id, hostKey }) => (hostKey === undefined ? [] : [{ id, pinned: { hostKey } }]));
  if (keys.length === 0) return [];
  const ids = keys.map(({ id }) => id);
  const edit = (before: string | undefined): string => {
    const cleared = editRegionLock({ file, region }, before, [], ids).text;
    const pins = keys.map((key) => ({ ...key, before: undefined }));
    return editRegionLock({ file, region }, cleared, pins).text;
  };
  return [{ name: basename(file), edit }];
}

function csvOf(text: string): string | undefined {
  const { contents } = parseDocument(text);
  const found = isMap(contents) ? contents.get("devicesFrom") : undefined;
  return typeof found === "string" ? found : undefined;
}

type Fields = Readonly<Record<string, string | number>>;

/** Fields of a device that stay with it even where all devices agree. */
const OWN = /^(id|host|model|joins|ring|labels\..*|values\..*|network\.nodeIp)$/;

function newRegion(region: string, rows: readonly Fields[], schemaPath: string): RegionEdit[] {
  const [first = {}] = rows;
  const shared = Object.entries(first).filter(
    ([field, value]) => rows.length > 1 && !OWN.test(field) && rows.every((row) => row[field] === value),
  );
  const hoisted = new Set(shared.map(([field]) => field));
  const own = rows.map((row) => Object.fromEntries(Object.entries(row).filter(([field]) => !hoisted.has(field))));
  const inline = rows.length <= MAX_INLINE;
  const head = {
    region,
    ...(inline ? {} : { devicesFrom: `${region}.csv` }),
    ...nestFields(Object.fromEntries(shared)),
  };
  const comment = [
    `yaml-language-server: $schema=${schemaPath}`,
    `\`edge-fleet enroll ${region}\` pins the devices' keys in ${region}.lock.yaml.`,
  ];
  const yaml = formatYaml(comment, head);
  const edits: RegionEdit[] = [
    { name: `${region}.yaml`, edit: () => (inline ? appendYaml(yaml, own.map(nestFields)) : yaml) },
  ];
  if (!inline) edits.push({ name: `${region}.csv`, edit: (before) => appendCsv(before ?? "", own) });
  return edits;
}
