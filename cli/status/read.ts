/**
 * What is known of devices at this moment, out of the stacks and, where they answer, of the hub and the devices. Reads
 * only.
 */
import { type Inventory, type Profile, resolveFleet } from "../../components/inventory/index.ts";
import { selectDevices } from "../doctor/targets.ts";
import { UsageError } from "../exit.ts";
import type { RolloutOptions } from "../rollout/context.ts";
import type { StatusOptions } from "../rollout/status-source.ts";
import { readHealth } from "./health.ts";
import { type StatusRow, statusRows } from "./model.ts";
import { readStacks, type StackReading } from "./stacks.ts";

/** What is asked for. */
export interface StatusQuestion {
  readonly inventory: Inventory;
  /** A region or a device. Undefined: the fleet. */
  readonly target: string | undefined;
  /** Only devices of this ring. Undefined: of all. */
  readonly ring: string | undefined;
  /** Where health is asked for. */
  readonly health: StatusOptions & RolloutOptions;
}

/** What was found. */
export interface StatusAnswer {
  readonly rows: readonly StatusRow[];
  readonly profiles: readonly Profile[];
  readonly stacks: ReadonlyMap<string, StackReading>;
  /** Whether all devices of their regions are among the rows. */
  readonly whole: boolean;
  /** Whether somebody told of health. */
  readonly withHealth: boolean;
  /** What could not be read, a line each. */
  readonly problems: readonly string[];
}

/**
 * Reads.
 * @throws UsageError for a target or a ring that is not there
 * @throws Error when nothing at all could be read
 */
export async function readStatus(question: StatusQuestion): Promise<StatusAnswer> {
  const { inventory, target, ring } = question;
  const profiles = chooseProfiles(inventory, target, ring);
  const whole = ring === undefined && (target === undefined || inventory.regions.has(target));
  const regions = [...new Set(profiles.map(({ region }) => region))];
  const [stacks, { health, problem }] = await Promise.all([readStacks(regions), readHealth(question.health, profiles)]);
  const unread = [...stacks].flatMap(([region, reading]) =>
    reading.problem ? [{ region, error: reading.problem }] : [],
  );
  const [first] = unread;
  if (first !== undefined && unread.length === stacks.size && health === undefined) throw first.error;
  const rows = statusRows({ profiles, stacks, health, withStrangers: whole });
  const problems = [
    ...unread.map(({ region, error }) => `stack ${region} cannot be read: ${error.message}`),
    ...(problem === undefined ? [] : [`health is not told: ${problem}`]),
  ];
  return { rows, profiles, stacks, whole, withHealth: health !== undefined, problems };
}

function chooseProfiles(
  inventory: Inventory,
  target: string | undefined,
  ring: string | undefined,
): readonly Profile[] {
  const { rings } = inventory.fleet;
  if (ring !== undefined && !rings.includes(ring))
    throw new UsageError(`ring ${ring} is not one of the fleet's - use one of ${rings.join(", ")}`);
  const profiles = target === undefined ? resolveFleet(inventory) : selectDevices(inventory, [target]);
  return ring === undefined ? profiles : profiles.filter((profile) => profile.ring === ring);
}
