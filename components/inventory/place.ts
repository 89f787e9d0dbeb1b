/**
 * Says what was found against settings of devices at the layer where each setting is written, one line for all devices
 * that share it. Pure; who found it is no matter of the inventory.
 */
import { formatPath, formatProblem } from "./problems.ts";
import type { DeviceRecord, Inventory, Layer, Position, Profile, Region } from "./types.ts";

/** Something against one setting of one device. */
export interface SettingProblem {
  readonly profile: Profile;
  /** Keys that lead to the setting in its layer, e.g. `["k3s", "version"]`. */
  readonly setting: readonly string[];
  /** `<what is wrong> - <fix>` */
  readonly message: string;
}

/** The same with the place of the setting. */
export interface PlacedProblem extends SettingProblem {
  readonly layer: Layer;
  readonly position: Position;
  /** Path in the file, for messages: `devices[12].network.shape (tokyo-0012)` or `rpi4-4g.k3s.version`. */
  readonly path: string;
}

/** Fields of a device's entry that no other layer has. */
const ENTRY_FIELDS = ["id", "host", "model", "joins", "hostKey", "identityKey"];

/** Fields of a model that no other layer has. */
const MODEL_FIELDS = ["memory", "architecture"];

/** Layers from the lowest to the highest. */
const LAYERS: readonly Layer[] = ["default", "fleet", "model", "region", "device"];

/**
 * Places each problem at its setting in the layer that has set it. What no layer has set is the device's to set, and is
 * placed at its entry.
 * @param problems of devices of this inventory
 */
export function placeProblems(inventory: Inventory, problems: readonly SettingProblem[]): PlacedProblem[] {
  const homes = new Map<string, { region: Region; record: DeviceRecord }>();
  for (const region of inventory.regions.values())
    for (const record of region.devices) homes.set(record.entry.id, { region, record });
  return problems.flatMap((problem) => {
    const home = homes.get(problem.profile.id);
    return home === undefined ? [] : [place(inventory, home.region, home.record, problem)];
  });
}

/** One line for a placed problem: `stacks/models.yaml:3:14 rpi4-4g.k3s.version: <what> - <fix>`. */
export function formatPlaced({ position, path, message }: PlacedProblem): string {
  return formatProblem(position, path, message);
}

/**
 * One line for what stands in one place, with the devices that it concerns, in the order of the files. What is a default
 * stands in the entry of every device; there the first one is shown.
 */
export function describePlaced(problems: readonly PlacedProblem[]): string[] {
  const groups = new Map<string, PlacedProblem[]>();
  for (const problem of problems) {
    const { layer, setting, message } = problem;
    const key = layer === "default" ? `${setting.join(".")}: ${message}` : formatPlaced(problem);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [problem]);
    else group.push(problem);
  }
  return [...groups.values()]
    .flatMap(([first, ...others]) => (first === undefined ? [] : [{ first, others }]))
    .sort((a, b) => comparePositions(a.first.position, b.first.position))
    .map(({ first, others }) => `${formatPlaced(first)}${concerned(first, others)}`);
}

function place(inventory: Inventory, region: Region, record: DeviceRecord, problem: SettingProblem): PlacedProblem {
  const { profile, setting } = problem;
  const layer = layerOf(profile, setting);
  const own = formatPath(setting);
  switch (layer) {
    case "fleet":
      return { ...problem, layer, position: inventory.locate.fleet(setting), path: own };
    case "model": {
      const position = inventory.locate.models([profile.model, ...setting]);
      return { ...problem, layer, position, path: `${profile.model}.${own}` };
    }
    case "region":
      return { ...problem, layer, position: region.locate(setting), path: own };
    default:
      return { ...problem, layer, position: record.locate(setting), path: `${record.path}.${own} (${profile.id})` };
  }
}

/** A setting that is missing in a map whose keys are names, e.g. a registry's user, is of the layer that has the map. */
function layerOf({ origins }: Profile, setting: readonly string[]): Layer {
  const [field = ""] = setting;
  if (ENTRY_FIELDS.includes(field)) return "device";
  if (MODEL_FIELDS.includes(field)) return "model";
  const path = setting.join(".");
  const named = setting.length > 2 ? setting.slice(0, -1).join(".") : path;
  const below = (prefix: string) =>
    LAYERS.findLast((layer) =>
      Object.entries(origins).some(([leaf, origin]) => origin === layer && leaf.startsWith(`${prefix}.`)),
    );
  return origins[path] ?? below(path) ?? below(named) ?? "default";
}

function comparePositions(a: Position, b: Position): number {
  return a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column;
}

function concerned({ layer, profile }: PlacedProblem, others: readonly PlacedProblem[]): string {
  const ids = new Set(others.map((other) => other.profile.id));
  ids.delete(profile.id);
  const more = ids.size === 0 ? "" : `and ${ids.size} more ${ids.size === 1 ? "device" : "devices"}`;
  if (layer === "device" || layer === "default") return more === "" ? "" : ` (${more})`;
  return more === "" ? ` (device ${profile.id})` : ` (device ${profile.id} ${more})`;
}
