/**
 * Which stacks the names on a command line mean, in the order in which they run, the hub first, since regions register
 * on it. A name that means nothing ends the command before anything runs.
 */
import { hubOf, type Inventory } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { requireDevice } from "../require.ts";

/** A stack and what it is for. */
export interface StackChoice {
  /** As it was written, e.g. `tokyo` or `acme/edge-fleet/tokyo`; Pulumi takes both. */
  readonly stack: string;
  /** Its region; undefined for the hub. */
  readonly region: string | undefined;
  /** Ids of its devices to which the run is narrowed; empty: the whole stack. */
  readonly devices: readonly string[];
}

/** What the inventory has to say about stacks. */
type Fleet = Pick<Inventory, "directory" | "fleet" | "regions">;

/**
 * Chooses the stacks.
 * @param names of stacks; none: those of `devices`, or all where these are none too
 * @param devices ids to which the run is narrowed
 * @throws UsageError for an unknown stack or device, and for a stack that has none of the devices
 */
export function chooseStacks(inventory: Fleet, names: readonly string[], devices: readonly string[]): StackChoice[] {
  const hub = hubOf(inventory.fleet)?.stack;
  const known = [...(hub === undefined ? [] : [hub]), ...inventory.regions.keys()];
  const unknown = names.find((name) => !known.includes(plainName(name)));
  if (unknown !== undefined)
    throw new UsageError(
      `stack ${unknown} is neither the hub nor a region of ${inventory.directory} - use ${known.join(", ") || "edge-fleet init to make a region"}`,
    );
  const homes = devices.map((id) => requireDevice(inventory, id));
  const wanted = names.length > 0 ? names : devices.length > 0 ? homes : known;
  const choices = [...new Set(wanted)].map((stack): StackChoice => {
    const name = plainName(stack);
    const own = devices.filter((_, index) => homes[index] === name);
    if (devices.length > 0 && own.length === 0)
      throw new UsageError(`stack ${stack} has none of the devices ${devices.join(", ")} - leave it out`);
    return { stack, region: name === hub ? undefined : name, devices: own };
  });
  const orphan = devices.find((_, index) => !choices.some(({ region }) => region === homes[index]));
  if (orphan !== undefined)
    throw new UsageError(`device ${orphan} is of region ${requireDevice(inventory, orphan)} - name that stack too`);
  return choices.sort((a, b) => Number(a.region !== undefined) - Number(b.region !== undefined));
}

/** The stack's own name: Pulumi writes `<organization>/<project>/<stack>`. */
function plainName(stack: string): string {
  return stack.split("/").at(-1) ?? stack;
}
