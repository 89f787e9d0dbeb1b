/**
 * Checks across the whole inventory: what no single file can show. Pure: inventory in, problem lines out.
 */
import { formatProblem, nearestKey } from "./problems.ts";
import { resolveDevice } from "./profile.ts";
import type { DeviceRecord, Inventory, Profile } from "./types.ts";

/** A value that only one device of the fleet may have, and why. */
const UNIQUE: readonly { field: string; of: (profile: Profile) => string | undefined; mend: string }[] = [
  { field: "id", of: (profile) => profile.id, mend: "give one of them another id" },
  {
    field: "host",
    of: (profile) =>
      `${profile.host.toLowerCase()} port ${profile.ssh.port} via ${profile.ssh.proxy?.host ?? "no jump host"}`,
    mend: "one address is one device: correct the host or remove one entry",
  },
  {
    field: "hostKey",
    of: (profile) => profile.hostKey,
    mend: "the devices share one SSH host key, so they were cloned from one image: make new host keys and enroll again",
  },
  {
    field: "identityKey",
    of: (profile) => profile.identityKey,
    mend: "the devices share one identity, so they were cloned from one image: erase it on one and enroll again",
  },
];

/** Every cross-file problem, one line each. */
export function checkInventory(inventory: Inventory): string[] {
  const problems = [...checkRings(inventory), ...checkModelLayers(inventory)];
  const seen = new Map<string, DeviceRecord>();
  for (const region of inventory.regions.values()) {
    for (const record of region.devices) {
      const referenceProblems = checkReferences(inventory, record);
      problems.push(...referenceProblems);
      if (referenceProblems.length > 0) continue;
      try {
        const profile = resolveDevice(inventory, region, record);
        problems.push(...checkRing(inventory, profile, record), ...checkUnique(profile, record, seen));
      } catch (error) {
        problems.push(formatProblem(record.position, `${record.path} (${record.entry.id})`, (error as Error).message));
      }
    }
  }
  return problems;
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
  const mend = nearest === undefined ? `use one of ${known.join(", ")}` : `did you mean ${nearest}?`;
  return [formatProblem(record.position, `${record.path}.model (${id})`, `${model} is not in models.yaml - ${mend}`)];
}

function checkRing(inventory: Inventory, profile: Profile, record: DeviceRecord): string[] {
  if (inventory.fleet.rings.includes(profile.ring)) return [];
  const path = `${record.path}.ring (${profile.id})`;
  return [formatProblem(record.position, path, ringMessage(inventory, profile.ring))];
}

function ringMessage(inventory: Inventory, ring: string): string {
  return `${ring} is not a ring of the fleet - use one of ${inventory.fleet.rings.join(", ")}`;
}

function checkUnique(profile: Profile, record: DeviceRecord, seen: Map<string, DeviceRecord>): string[] {
  const problems: string[] = [];
  for (const { field, of, mend } of UNIQUE) {
    const value = of(profile);
    if (value === undefined) continue;
    const key = `${field} ${value}`;
    const first = seen.get(key);
    if (first === undefined) {
      seen.set(key, record);
      continue;
    }
    const { file, line, column } = first.position;
    const other = `device ${first.entry.id} at ${file}:${line}:${column}`;
    problems.push(
      formatProblem(
        record.position,
        `${record.path}.${field} (${profile.id})`,
        `is the same as that of ${other} - ${mend}`,
      ),
    );
  }
  return problems;
}
