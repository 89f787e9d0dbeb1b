/** Devices that a CSV file lists for a new fleet, by region. Regions may be a column of the file. Pure. */
import type { SourceHost } from "../import/host.ts";
import { deviceIds } from "../import/identify.ts";
import type { DeviceRow } from "./devices.ts";

/** Regions that the file names, in the order of their first device. */
export function regionsOf(hosts: readonly SourceHost[]): string[] {
  return [...new Set(hosts.flatMap(({ region }) => (region === undefined ? [] : [region])))];
}

/**
 * @param regions of the fleet, in order; a machine without one belongs to the only region
 * @param model of machines whose row names none
 * @param problems receives one line per machine that cannot be placed
 */
export function listedDevices(
  hosts: readonly SourceHost[],
  regions: readonly string[],
  model: string,
  problems: string[],
): Map<string, DeviceRow[]> {
  const only = regions.length === 1 ? regions[0] : undefined;
  const placed = hosts.flatMap((host) => {
    const region = host.region ?? only;
    if (region !== undefined && regions.includes(region)) return [{ host, region }];
    const { file, line, column } = host.position;
    const what = region === undefined ? "names no region and the fleet has several" : `${region} is no --region`;
    problems.push(`${file}:${line}:${column} ${host.path}.region: ${what} - use one of ${regions.join(", ")}`);
    return [];
  });
  return new Map(
    regions.map((region) => {
      const own = placed.filter((each) => each.region === region).map(({ host }) => host);
      const ids = deviceIds(
        own.map(({ name }) => name),
        region,
      );
      return [region, own.map((host) => rowOf(host, ids, model))];
    }),
  );
}

function rowOf(host: SourceHost, ids: ReadonlyMap<string, string>, model: string): DeviceRow {
  const { name, address, server, user, port, fields } = host;
  return {
    id: ids.get(name) ?? name,
    host: address,
    model: host.model ?? model,
    ...(server === undefined ? {} : { joins: ids.get(server) ?? server }),
    ...fields,
    ...(user === undefined ? {} : { "ssh.user": user }),
    ...(port === undefined ? {} : { "ssh.port": port }),
  };
}
