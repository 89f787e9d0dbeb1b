/**
 * Checks across the whole inventory: what no single file can show. Pure: inventory in, problem lines out.
 */

import { checkAgents } from "./agent-checks.ts";
import { LOCK_FIELDS } from "./lock-schema.ts";
import { formatProblem, nearestKey } from "./problems.ts";
import { resolveDevice } from "./profile.ts";
import { hubOf } from "./schema.ts";
import type { DeviceRecord, Inventory, Profile, Region } from "./types.ts";
import { checkWorkloads } from "./workload-checks.ts";

/** A value that only one device of the fleet may have, and why. */
const UNIQUE: readonly { field: string; of: (profile: Profile) => string | undefined; fix: string }[] = [
  { field: "id", of: (profile) => profile.id, fix: "give one of them another id" },
  {
    field: "host",
    of: (profile) =>
      `${profile.host.toLowerCase()} port ${profile.ssh.port} via ${profile.ssh.proxy?.host ?? "no jump host"}`,
    fix: "one address is one device: correct the host or remove one entry",
  },
  {
    field: "hostKey",
    of: (profile) => profile.hostKey,
    fix: "the devices share one SSH host key, so they were cloned from one image: make new host keys and enroll again",
  },
  {
    field: "identityKey",
    of: (profile) => profile.identityKey,
    fix: "the devices share one identity, so they were cloned from one image: erase it on one and enroll again",
  },
];

/** Every cross-file problem, one line each. */
export function checkInventory(inventory: Inventory): string[] {
  const problems = [...checkRings(inventory), ...checkModelLayers(inventory), ...checkHub(inventory)];
  const seen = new Map<string, DeviceRecord>();
  const profiles: Profile[] = [];
  for (const region of inventory.regions.values()) {
    for (const record of region.devices) {
      const referenceProblems = checkReferences(inventory, record);
      problems.push(...referenceProblems);
      if (referenceProblems.length > 0) continue;
      try {
        const profile = resolveDevice(inventory, region, record);
        profiles.push(profile);
        problems.push(...checkRing(inventory, profile, record), ...checkUnique(profile, record, seen));
      } catch (error) {
        problems.push(formatProblem(record.position, `${record.path} (${record.entry.id})`, (error as Error).message));
      }
    }
  }
  return [
    ...problems,
    ...checkServers(inventory),
    ...checkAgents(inventory, profiles),
    ...checkWorkloads(inventory, profiles),
  ];
}

/** What is no error: entries of a lock whose device the region does not have. One line each. */
export function inventoryWarnings({ regions }: Inventory): string[] {
  const homes = new Map([...regions.values()].flatMap(({ name, devices }) => devices.map((d) => [d.entry.id, name])));
  return [...regions.values()].flatMap(({ name, lock }) =>
    Object.keys(lock.devices)
      .filter((id) => homes.get(id) !== name)
      .map((id) => formatProblem(lock.locate(["devices", id]), `devices.${id}`, strayMessage(name, homes.get(id)))),
  );
}

function strayMessage(region: string, home: string | undefined): string {
  return home === undefined
    ? `the inventory has no such device - run edge-fleet enroll ${region}, which drops it`
    : `the device is of region ${home} - move the entry to ${home}.lock.yaml, or run edge-fleet enroll ${home} and remove it here`;
}

function checkHub({ fleet, regions, locate }: Inventory): string[] {
  const hub = hubOf(fleet);
  if (hub === undefined) return [];
  const region = regions.get(hub.stack);
  const message = `${hub.stack} is the name of the hub's stack - rename the region, or set hub.stack in fleet.yaml`;
  const shared = hub.server !== undefined && regions.size > 1 && !hub.server.url.includes("{region}");
  const fix = "write {region} where its name stands in the URL";
  return [
    ...(region === undefined ? [] : [formatProblem(region.locate(["region"]), "region", message)]),
    ...(shared
      ? [formatProblem(locate.fleet(["hub", "server", "url"]), "hub.server.url", `each region has its own - ${fix}`)]
      : []),
  ];
}

/** A machine cannot be taken away from under those that are part of its cluster. */
function checkServers({ regions }: Inventory): string[] {
  const wanted = (region: Region, { entry }: DeviceRecord) =>
    region.state !== "removed" && (entry.state ?? "present") === "present";
  const all = [...regions.values()].flatMap((region) => region.devices.map((record) => ({ region, record })));
  const agents = Map.groupBy(
    all.filter(({ region, record }) => record.entry.joins !== undefined && wanted(region, record)),
    ({ record }) => record.entry.joins,
  );
  return all.flatMap(({ region, record }) => {
    const [first, ...others] = wanted(region, record) ? [] : (agents.get(record.entry.id) ?? []);
    if (first === undefined) return [];
    const { id } = record.entry;
    const join = others.length === 0 ? "joins" : `and ${others.length} more join`;
    const message = `is removed, but ${first.record.entry.id} ${join} its cluster - remove those too, or let them join another`;
    return [formatProblem(record.locate(["state"]), `${record.path}.state (${id})`, message)];
  });
}

function checkRings({ fleet: { rings }, locate }: Inventory): string[] {
  return rings.flatMap((ring, index) =>
    rings.indexOf(ring) === index
      ? []
      : [formatProblem(locate.fleet(["rings", index]), `rings[${index}]`, `${ring} is listed twice - remove one`)],
  );
}

function checkModelLayers(inventory: Inventory): string[] {
  return Object.entries(inventory.models).flatMap(([name, model]) =>
    model.ring === undefined || inventory.fleet.rings.includes(model.ring)
      ? []
      : [formatProblem(inventory.locate.models([name, "ring"]), `${name}.ring`, ringMessage(inventory, model.ring))],
  );
}

function checkReferences(inventory: Inventory, record: DeviceRecord): string[] {
  const { model, id } = record.entry;
  if (Object.hasOwn(inventory.models, model)) return [];
  const known = Object.keys(inventory.models);
  const nearest = nearestKey(model, known);
  const fix = nearest === undefined ? `use one of ${known.join(", ")}` : `did you mean ${nearest}?`;
  return [formatProblem(record.position, `${record.path}.model (${id})`, `${model} is not in models.yaml - ${fix}`)];
}

function checkRing(inventory: Inventory, profile: Profile, record: DeviceRecord): string[] {
  if (inventory.fleet.rings.includes(profile.ring)) return [];
  const path = `${record.path}.ring (${profile.id})`;
  return [formatProblem(record.position, path, ringMessage(inventory, profile.ring))];
}

function ringMessage(inventory: Inventory, ring: string): string {
  return `${ring} is not a ring of the fleet - use one of ${inventory.fleet.rings.join(", ")}`;
}

/** Another device may have the place of one that is removed: it is then not erased, see `planRuns`. */
function checkUnique(profile: Profile, record: DeviceRecord, seen: Map<string, DeviceRecord>): string[] {
  const problems: string[] = [];
  for (const { field, of, fix } of UNIQUE) {
    const value = of(profile);
    if (value === undefined || (field !== "id" && profile.state === "removed")) continue;
    const key = `${field} ${value}`;
    const first = seen.get(key);
    if (first === undefined) {
      seen.set(key, record);
      continue;
    }
    const { file, line, column } = first.position;
    const other = `device ${first.entry.id} at ${file}:${line}:${column}`;
    const pinned = LOCK_FIELDS.includes(field);
    const path = pinned ? `devices.${profile.id}.${field}` : `${record.path}.${field} (${profile.id})`;
    const position = pinned ? record.locate([field]) : record.position;
    problems.push(formatProblem(position, path, `is the same as that of ${other} - ${fix}`));
  }
  return problems;
}
