/** How far regions are that are moved to another release of argocd-agent (`gitops.agent.next`). Pure. */
import { movingRelease } from "../../components/gitops/engine/agent/settings.ts";
import type { Profile } from "../../components/inventory/index.ts";
import type { StatusRow } from "./model.ts";
import type { StackReading } from "./stacks.ts";

/** The agent of a device whose region is moved. */
export interface MovingAgent {
  /** Release that the inventory wants. */
  readonly wanted: string;
  /** Release that its last run left it with. Null: that run did not leave it applied, or there was none since the move began. */
  readonly applied: string | null;
}

/** @returns undefined for a device of a region that is not moved, or without an agent */
export function movingAgent(profile: Profile, stack: StackReading | undefined): MovingAgent | undefined {
  const wanted = profile.state === "present" ? movingRelease(profile) : undefined;
  return wanted === undefined ? undefined : { wanted, applied: stack?.agents.get(profile.id) ?? null };
}

const isApplied = ({ wanted, applied }: MovingAgent): boolean => applied === wanted;

/** A line of counts, `argocd-agent: v0.10.0 12 wanted, 12 applied; v0.11.0 88 wanted, 85 applied`; empty where nothing is moved. */
export function formatAgents(rows: readonly StatusRow[]): string {
  const agents = rows.flatMap(({ agent }) => agent ?? []);
  if (agents.length === 0) return "";
  const counts = [...Map.groupBy(agents, ({ wanted }) => wanted)]
    .sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))
    .map(([release, own]) => `${release} ${own.length} wanted, ${own.filter(isApplied).length} applied`);
  return `argocd-agent: ${counts.join("; ")}`;
}

/**
 * What ends the move of the first region of which every device is on the next release; empty where there is none.
 * @param rows every device of their regions
 * @param hubStack name of the hub's stack
 */
export function endOfMove(rows: readonly StatusRow[], profiles: readonly Profile[], hubStack: string): string {
  const regions = Map.groupBy(profiles.filter(movingRelease), ({ region }) => region);
  for (const [region, [profile]] of regions) {
    const { version, next } = profile?.gitops.agent ?? {};
    if (next === undefined) continue;
    const agents = rows.flatMap((row) => (row.region === region ? (row.agent ?? []) : []));
    if (agents.length === 0 || agents.some(({ applied }) => applied !== next.version)) continue;
    return (
      `Next: every agent of ${region} is on ${next.version}: in gitops.agent write ${placeOf(next)}, delete next, ` +
      `then pulumi up --stack ${hubStack}, which takes the principal of ${version} away`
    );
  }
  return "";
}

function placeOf({ version, address, port }: NonNullable<NonNullable<Profile["gitops"]["agent"]>["next"]>): string {
  return `version ${version}, address ${address} and port ${port}`;
}
