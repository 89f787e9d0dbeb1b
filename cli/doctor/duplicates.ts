/**
 * What only shows when devices are compared: host names and machine ids that several devices have, in one run or in
 * what the inventory has pinned. Adds those findings to the outcomes.
 */
import type { Inventory } from "../../components/inventory/index.ts";
import { type DoctorOutcome, type ExaminedOutcome, examined, type Finding } from "./outcome.ts";

/** Adds `duplicate-host-name` and `duplicate-machine-id` to every device that they concern. */
export function compareDevices(outcomes: readonly DoctorOutcome[], inventory: Inventory): DoctorOutcome[] {
  const answered = outcomes.filter((outcome) => "findings" in outcome);
  const hostNames = ownersBy(answered.map(({ id, hostName }) => [id, hostName]));
  const ids = new Set(answered.map(({ id }) => id));
  const machineIds = ownersBy([
    ...answered.map(({ id, machineId }): [string, string] => [id, machineId]),
    ...pinnedMachineIds(inventory).filter(([id]) => !ids.has(id)),
  ]);
  return outcomes.map((outcome) => ("findings" in outcome ? compare(outcome, hostNames, machineIds) : outcome));
}

function compare(
  outcome: ExaminedOutcome,
  hostNames: ReadonlyMap<string, readonly string[]>,
  machineIds: ReadonlyMap<string, readonly string[]>,
): ExaminedOutcome {
  const { id, hostName, machineId, findings } = outcome;
  const sameMachine = others(machineIds.get(machineId), id);
  const sameName = others(hostNames.get(hostName), id);
  const found: Finding[] = [];
  if (sameMachine !== undefined)
    found.push({
      id: "duplicate-machine-id",
      severity: "error",
      text: `same machine id as ${sameMachine}: a cloned image, or two entries for one device - remove /etc/machine-id on the clone and run systemd-machine-id-setup`,
    });
  if (sameName !== undefined && !findings.some((finding) => finding.id === "host-name"))
    found.push({
      id: "duplicate-host-name",
      severity: "warning",
      text: `host name ${hostName} is also that of ${sameName} - hostnamectl set-hostname ${id}`,
    });
  return found.length === 0 ? outcome : examined(id, hostName, machineId, [...findings, ...found]);
}

function ownersBy(entries: readonly (readonly [id: string, value: string])[]): Map<string, string[]> {
  const owners = new Map<string, string[]>();
  for (const [id, value] of entries) {
    const known = owners.get(value);
    if (known !== undefined) known.push(id);
    else if (value !== "") owners.set(value, [id]);
  }
  return owners;
}

function pinnedMachineIds(inventory: Inventory): [string, string][] {
  return [...inventory.regions.values()].flatMap(({ devices }) =>
    devices.flatMap(({ entry }): [string, string][] =>
      entry.facts?.machineId === undefined ? [] : [[entry.id, entry.facts.machineId]],
    ),
  );
}

function others(owners: readonly string[] | undefined, id: string): string | undefined {
  const rest = (owners ?? []).filter((owner) => owner !== id);
  if (rest.length === 0) return undefined;
  return rest.length > 3 ? `${rest.slice(0, 3).join(", ")} and ${rest.length - 3} more` : rest.join(", ");
}
