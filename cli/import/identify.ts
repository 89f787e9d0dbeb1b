/**
 * Device ids from the names of another tool: lower-case DNS labels, the first label of a domain name where that is
 * enough to tell the machines apart, the region and the address where the name is an address, with or without a port.
 */
import { isIP } from "node:net";

/**
 * @param names in the order of the source; may repeat
 * @param region begins the id of a machine that is named by its address
 * @returns the id of each name; two names may come out the same, which is for the caller to refuse
 */
export function deviceIds(names: readonly string[], region: string): Map<string, string> {
  const unique = [...new Set(names)];
  const short = new Map(unique.map((name) => [name, shortId(name, region)]));
  const uses = new Map<string, number>();
  for (const id of short.values()) uses.set(id, (uses.get(id) ?? 0) + 1);
  return new Map(
    [...short].map(([name, id]) => [name, (uses.get(id) ?? 0) > 1 && isIP(name) === 0 ? toLabel(name) : id]),
  );
}

function shortId(name: string, region: string): string {
  if (isIP(name) !== 0 || isIP(name.replace(/:\d+$/, "")) !== 0) return toLabel(`${region}-${name}`);
  return toLabel(name.split(".")[0] ?? name);
}

function toLabel(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .replace(/^-+|-+$/g, "");
}
