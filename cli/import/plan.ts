/** What an import would write into the inventory: device entries by region, or every reason why not. Pure. */
import {
  type DeviceEntry,
  type Inventory,
  type Profile,
  type Region,
  resolveFleet,
} from "../../components/inventory/index.ts";
import { describeIssue, formatPath, formatProblem, nearestKey } from "../../components/inventory/problems.ts";
import { resolveDevice } from "../../components/inventory/profile.ts";
import { DeviceSchema, PublicKeySchema } from "../../components/inventory/schema.ts";
import type { SourceHost } from "./host.ts";
import { deviceIds } from "./identify.ts";
import type { KnownName } from "./known-hosts.ts";

/** What the operator says on the command line. */
export interface ImportOptions {
  /** Region of machines whose source names none. */
  readonly region: string | undefined;
  /** Model of machines whose source names none. Default: the fleet's only model. */
  readonly model: string | undefined;
  /** Log-in user where the source names none. */
  readonly user: string | undefined;
  /** SSH port where the source names none. */
  readonly port: number | undefined;
  /** Host key of a device or a jump host, `undefined` when nobody knows it. */
  readonly hostKey: (host: KnownName) => string | undefined;
}

/** A device entry to be written. */
export interface PlannedDevice {
  readonly region: string;
  readonly id: string;
  /** Fields by path, in the order in which they are written; `id`, `host` and `model` come first. */
  readonly fields: Readonly<Record<string, string | number>>;
  /** Goes into the region's lock; undefined: the device is not pinned yet. */
  readonly hostKey: string | undefined;
}

/** The plan. */
export interface ImportPlan {
  /** Servers before the machines that join them. */
  readonly devices: readonly PlannedDevice[];
  /** One line each; nothing may be written unless empty. */
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** @param hosts machines of one source, in its order */
export function planImport(hosts: readonly SourceHost[], inventory: Inventory, options: ImportOptions): ImportPlan {
  const problems: string[] = [];
  const notes: string[] = [];
  const onlyModel = Object.keys(inventory.models).length === 1 ? Object.keys(inventory.models)[0] : undefined;
  const placed = hosts.flatMap((host) =>
    place(host, { ...options, model: options.model ?? onlyModel }, inventory, problems),
  );
  const ids = new Map(
    [...Map.groupBy(placed, ({ region }) => region)].map(([region, own]) => [
      region,
      deviceIds(
        own.map(({ host }) => host.name),
        region,
      ),
    ]),
  );
  const taken = takenPlaces(inventory);
  const sites = new Set(hosts.flatMap(({ name, server }) => (server === undefined ? [] : [name, server])));
  const devices = placed.map(({ host, region, model }) => {
    const own = ids.get(region) ?? new Map<string, string>();
    const fields = fieldsOf(host, model, own, { options, problems, shared: sites.has(host.name) });
    check(host, region, fields, inventory, { taken, problems });
    const hostKey = host.hostKey ?? options.hostKey({ host: host.address, port: host.port ?? options.port });
    return { region, id: String(fields.id), fields, hostKey };
  });
  const renamed = placed.flatMap(({ host }, index) => {
    const id = devices[index]?.id;
    return id === undefined || id === host.name ? [] : [`${host.name} -> ${id}`];
  });
  if (renamed.length > 0) notes.push(`ids were made from the names: ${listSome(renamed)}`);
  const pinned = devices.filter(({ hostKey }, index) => hostKey !== placed[index]?.host.hostKey).length;
  if (pinned > 0) notes.push(`${pinned} host key(s) of devices were taken from known_hosts: enroll accepts no other`);
  if (sites.size > 0)
    notes.push("machines of one cluster got network.shape lan - write multi-site where routers stand between them");
  return { devices, problems, notes };
}

interface Placed {
  readonly host: SourceHost;
  readonly region: string;
  readonly model: string;
}

function place(
  host: SourceHost,
  { region: wanted, model: chosen }: Pick<ImportOptions, "region" | "model">,
  { models }: Inventory,
  problems: string[],
): Placed[] {
  const region = host.region ?? wanted;
  const model = host.model ?? chosen;
  const known = Object.keys(models);
  const refuse = (field: string, message: string): Placed[] => {
    problems.push(formatProblem(host.position, `${host.path}.${field}`, message));
    return [];
  };
  if (region === undefined) return refuse("region", "is in no region - use --region <name>");
  if (model === undefined) return refuse("model", `has no model - use --model with one of ${known.join(", ")}`);
  if (known.includes(model)) return [{ host, region, model }];
  const nearest = nearestKey(model, known);
  const fix = nearest === undefined ? `use one of ${known.join(", ")}, or add it` : `did you mean ${nearest}?`;
  return refuse("model", `${model} is not in models.yaml - ${fix}`);
}

function fieldsOf(
  host: SourceHost,
  model: string,
  ids: ReadonlyMap<string, string>,
  { options, problems, shared }: { options: ImportOptions; problems: string[]; shared: boolean },
): Record<string, string | number> {
  const { proxy, server } = host;
  const user = host.user ?? options.user;
  const port = host.port ?? options.port;
  const fields: Record<string, string | number | undefined> = {
    id: ids.get(host.name) ?? host.name,
    host: host.address,
    model,
    ...(server === undefined ? {} : { joins: ids.get(server) ?? server }),
    ...(shared ? { "network.shape": "lan" } : {}),
    ...host.fields,
    "ssh.user": user,
    "ssh.port": port,
    "ssh.proxy.host": proxy?.host,
    "ssh.proxy.port": proxy?.port,
    "ssh.proxy.user": proxy?.user,
    "ssh.proxy.hostKey": proxy && options.hostKey(proxy),
    ...(proxy === undefined ? pick(host.fields, /^ssh\.proxy\./) : {}),
  };
  if (user !== undefined && /[\s${}]/.test(user)) {
    problems.push(formatProblem(host.position, `${host.path}.user`, "is a template - write the user"));
    fields["ssh.user"] = undefined;
  }
  if (proxy !== undefined && fields["ssh.proxy.hostKey"] === undefined) {
    const fix = "log in to it once with ssh, then use --known-hosts ~/.ssh/known_hosts";
    problems.push(
      formatProblem(
        host.position,
        `${host.path} (jump host)`,
        `${proxy.host} has no known host key, and none is trusted unseen - ${fix}`,
      ),
    );
    return withoutUndefined({
      ...fields,
      "ssh.proxy.host": undefined,
      "ssh.proxy.port": undefined,
      "ssh.proxy.user": undefined,
    });
  }
  return withoutUndefined(fields);
}

function pick(fields: Readonly<Record<string, string | number>>, pattern: RegExp): Record<string, string | number> {
  return Object.fromEntries(Object.entries(fields).filter(([field]) => pattern.test(field)));
}

function withoutUndefined(fields: Record<string, string | number | undefined>): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(fields).filter((entry): entry is [string, string | number] => entry[1] !== undefined),
  );
}

/** Ids and addresses in use, and by whom. */
type TakenPlaces = Map<string, string>;

function takenPlaces(inventory: Inventory): TakenPlaces {
  const positions = new Map(
    [...inventory.regions.values()].flatMap(({ devices }) =>
      devices.map(({ entry, position: { file, line, column } }) => [entry.id, `${file}:${line}:${column}`] as const),
    ),
  );
  return new Map(
    resolveFleet(inventory).flatMap((profile) =>
      placesOf(profile).map((key) => [key, `device ${profile.id} at ${positions.get(profile.id)}`] as const),
    ),
  );
}

/** The same rule as the inventory's own check: one id, one address behind one jump host. */
function placesOf({ id, host, ssh }: Profile): [id: string, host: string] {
  return [`id ${id}`, `host ${host.toLowerCase()} port ${ssh.port} via ${ssh.proxy?.host ?? "no jump host"}`];
}

function check(
  host: SourceHost,
  region: string,
  fields: Readonly<Record<string, string | number>>,
  inventory: Inventory,
  { taken, problems }: { taken: TakenPlaces; problems: string[] },
): void {
  const report = (field: string, message: string) =>
    problems.push(formatProblem(host.position, `${host.path}.${field}`, message));
  if (host.hostKey !== undefined)
    for (const { message } of PublicKeySchema.safeParse(host.hostKey).error?.issues ?? []) report("hostKey", message);
  const entry = nestFields(fields);
  const result = DeviceSchema.safeParse(entry, { reportInput: true });
  if (!result.success) {
    for (const issue of result.error.issues)
      for (const { path, message } of describeIssue(issue, () => [])) report(formatPath(path), message);
    return;
  }
  const profile = profileOf(entry as DeviceEntry, region, inventory, host);
  if (profile === undefined) return;
  for (const [index, key] of placesOf(profile).entries()) {
    const other = taken.get(key);
    const field = index === 0 ? "id" : "host";
    if (other !== undefined)
      report(field, `${index === 0 ? profile.id : profile.host} is already that of ${other} - remove one of them`);
    const { file, line, column } = host.position;
    taken.set(key, `${host.name} at ${file}:${line}:${column}`);
  }
}

/** Settings that are missing show when the whole inventory is checked; without them there is no profile to compare. */
function profileOf(entry: DeviceEntry, region: string, inventory: Inventory, host: SourceHost): Profile | undefined {
  const { position, path } = host;
  const locate = () => position;
  const lock = { file: "", devices: {}, revoked: {}, sealing: [], locate };
  const fresh: Region = { name: region, state: "present", settings: {}, file: "", devices: [], lock, locate };
  const known = inventory.regions.get(region) ?? fresh;
  try {
    return resolveDevice(inventory, known, { entry, position, path, locate });
  } catch {
    return undefined;
  }
}

/** `{ssh: {user: …}}` for `{"ssh.user": …}`. Keys of labels and values keep their dots. */
export function nestFields(fields: Readonly<Record<string, string | number>>): object {
  const entry: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(fields)) {
    const [, map, key] = /^(labels|values)\.(.+)$/.exec(path) ?? [];
    const parts = map === undefined || key === undefined ? path.split(".") : [map, key];
    let target = entry;
    for (const part of parts.slice(0, -1)) {
      target[part] ??= {};
      target = target[part] as Record<string, unknown>;
    }
    target[parts.at(-1) ?? path] = value;
  }
  return entry;
}

/** The first five of a list, and how many more. */
export function listSome(items: readonly string[]): string {
  const more = items.length - 5;
  return items.slice(0, 5).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
