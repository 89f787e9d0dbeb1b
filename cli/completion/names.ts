/**
 * Names in the inventory's files for a shell that is waiting: read quickly, without checking anything, and none where a
 * file cannot be read.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Files of the inventory folder that are no region. */
const OTHERS = /^(fleet|models|Pulumi\..*|.*\.lock)\.yaml$/;

/** `- id: x`, `{ id: x`, or `id:` on a line of its own. */
const ID = /(?:^|[{,]|-)[ \t]*id:[ \t]*["']?([A-Za-z0-9][A-Za-z0-9._-]*)/gm;

/** Names of the regions. */
export function regionNames(directory: string): string[] {
  return list(directory)
    .filter((name) => name.endsWith(".yaml") && !OTHERS.test(name))
    .map((name) => name.slice(0, -".yaml".length))
    .sort();
}

/** Ids of the devices. */
export function deviceNames(directory: string): string[] {
  return regionNames(directory)
    .flatMap((region) => {
      const text = read(join(directory, `${region}.yaml`));
      const csv = /^devicesFrom:[ \t]*["']?([^"'#\s]+)/m.exec(text)?.[1];
      return [...idsOf(text), ...(csv === undefined ? [] : csvIds(read(join(directory, csv))))];
    })
    .sort();
}

/** Names of the rings. */
export function ringNames(directory: string): string[] {
  const [, inline, block] =
    /^rings:[ \t]*(?:\[([^\]]*)\]|((?:\n[ \t]*-[^\n]*)+))/m.exec(read(join(directory, "fleet.yaml"))) ?? [];
  return [...(inline ?? block ?? "").matchAll(/[a-z0-9][a-z0-9-]*/g)].map(([name]) => name);
}

/** The hub's stack. */
export function hubName(directory: string): string[] {
  const text = read(join(directory, "fleet.yaml"));
  if (/^hub:[ \t]*none\b/m.test(text)) return [];
  return [
    /^hub:(?:[ \t]*\{[^}\n]*|(?:\n[ \t]+[^\n]*)*?[\n \t])\bstack:[ \t]*["']?([A-Za-z0-9._-]+)/m.exec(text)?.[1] ??
      "hub",
  ];
}

function idsOf(text: string): string[] {
  return [...text.matchAll(ID)].map(([, id = ""]) => id);
}

/** A device's id needs no quotes. */
function csvIds(text: string): string[] {
  const [header = "", ...lines] = text.split(/\r?\n/);
  const column = header.split(",").findIndex((name) => name.trim().replaceAll('"', "") === "id");
  return column < 0 ? [] : lines.flatMap((line) => line.split(",")[column]?.trim().replaceAll('"', "") || []);
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
