/**
 * What the hub, the devices themselves or a status file say of devices, beside what each ring should run; and why nobody
 * says anything.
 */
import { kubeconfigPaths } from "../../components/hub/kubeconfig.ts";
import { hubOf, type Profile } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { openContext, type RolloutContext, type RolloutOptions, readRing } from "../rollout/context.ts";
import { readMemory } from "../rollout/memory.ts";
import { readStatuses, type StatusOptions } from "../rollout/status-source.ts";
import type { HealthReading } from "./model.ts";

/** What is known, or why nothing is. */
export interface HealthAnswer {
  /** Undefined: nothing is known. */
  readonly health: HealthReading | undefined;
  /** Why, where somebody was asked; undefined where all was told. */
  readonly problem: string | undefined;
}

/**
 * Asks. Without `--kubeconfig`, `--dial` and `--status` the hub is asked where $KUBECONFIG names one file, and the last
 * answers of devices are read; the silence of both is no error.
 * @throws UsageError when what was named on the command line cannot be used
 */
export async function readHealth(
  options: StatusOptions & RolloutOptions,
  profiles: readonly Profile[],
): Promise<HealthAnswer> {
  const named = options.status !== undefined || options.kubeconfig !== undefined || options.dial === true;
  const hub = named ? {} : hubFromEnvironment();
  if (!named && hub.kubeconfig === undefined && readMemory().size === 0)
    return { health: undefined, problem: undefined };
  try {
    const context = await openContext(options);
    const { inventory } = context;
    const devices = profiles.filter(({ state, joins }) => state === "present" && joins === undefined);
    const source = { ...options, ...(hubOf(inventory.fleet) === undefined ? {} : hub) };
    const statuses = await readStatuses(source, { inventory, devices, workload: options.workload });
    if (statuses === undefined && !named) return { health: undefined, problem: undefined };
    const rings = await ringsOf(context);
    const deploying = new Set(context.devices.map(({ id }) => id));
    const known = { statuses: statuses ?? new Map(), deploying, rings, maxAgeMs: options.maxStatusAge };
    return { health: { ...known, now: Date.now() }, problem: undefined };
  } catch (error) {
    if (named && error instanceof UsageError) throw error;
    return { health: undefined, problem: (error as Error).message };
  }
}

function hubFromEnvironment(): Pick<StatusOptions, "kubeconfig"> {
  if ((process.env.KUBECONFIG ?? "") === "") return {};
  const [kubeconfig, ...others] = kubeconfigPaths();
  return kubeconfig === undefined || others.length > 0 ? {} : { kubeconfig };
}

async function ringsOf(context: RolloutContext): Promise<HealthReading["rings"]> {
  const rings = new Map<string, { revision: string; promotedAt: number }>();
  for (const ring of context.rings) {
    const { current } = await readRing(context, ring);
    if (current !== undefined) rings.set(ring, { revision: current.revision, promotedAt: current.since });
  }
  return rings;
}
