/** Checks `gitops.agent.next` against the rest of a device's settings and of the fleet, each problem at its place. Pure. */
import { describePlaced, placeProblems } from "./place.ts";
import { hubOf } from "./schema.ts";
import type { Inventory, Profile } from "./types.ts";

/** Every problem, one line for all devices that share its place. @param profiles those of all devices */
export function checkAgents(inventory: Inventory, profiles: readonly Profile[]): string[] {
  const problems = profiles.flatMap((profile) =>
    checkNext(inventory, profile).map(({ field, message }) => ({
      profile,
      setting: ["gitops", "agent", "next", field],
      message,
    })),
  );
  return describePlaced(placeProblems(inventory, problems));
}

interface Problem {
  readonly field: "version" | "address" | "port" | "rings";
  readonly message: string;
}

function checkNext({ fleet }: Inventory, { gitops: { agent } }: Profile): Problem[] {
  const { next } = agent ?? {};
  if (agent === undefined || next === undefined) return [];
  const unknown = next.rings.filter((ring) => !fleet.rings.includes(ring));
  const samePort = next.port === agent.port;
  const nodePort = hubOf(fleet)?.principal.service === "NodePort";
  const problems: readonly (Problem & { readonly found: boolean })[] = [
    {
      found: next.version === agent.version,
      field: "version",
      message: `is ${next.version}, as gitops.agent.version - write another release, or delete next`,
    },
    {
      found: samePort && !nodePort && next.address.toLowerCase() === agent.address?.toLowerCase(),
      field: "address",
      message: `${next.address} and port ${next.port} are those of the first principal - write another address or another port`,
    },
    {
      found: samePort && nodePort,
      field: "port",
      message: `${next.port} is the first principal's on every node - write another one`,
    },
    {
      found: unknown.length > 0,
      field: "rings",
      message: `${unknown.join(", ")} is no ring of the fleet - use ${fleet.rings.join(", ")}`,
    },
  ];
  return problems.filter(({ found }) => found);
}
