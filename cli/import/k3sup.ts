/**
 * The hosts file of `k3sup plan`: a JSON list of `{hostname, ip}`, to machines. User, port and roles are flags there, so
 * they are arguments here. https://github.com/alexellis/k3sup (cmd/plan.go)
 */
import { z } from "zod";
import { formatProblem } from "../../components/inventory/problems.ts";
import { bareHost, type SourceHost, type SourceInventory } from "./host.ts";
import { generalPath, LeftOutList, leafPaths } from "./left-out.ts";
import { parseSource } from "./source.ts";

const PlanSchema = z
  .array(z.looseObject({ hostname: z.string().min(1), ip: z.string().min(1) }))
  .min(1, "has no host - give the file that `k3sup plan` reads");

/** What is given on k3sup's command line. */
export interface K3supFlags {
  /** How many hosts, from the top, are servers; the others join the first. Default: all. */
  readonly servers: number | undefined;
}

/** @param file name for messages */
export function parseK3sup(file: string, text: string, flags: K3supFlags): SourceInventory {
  const { value, problems, position, keyPosition } = parseSource(file, text, PlanSchema);
  if (value === undefined) return { hosts: [], problems, leftOut: [], secrets: [], notes: [] };
  const servers = flags.servers ?? value.length;
  const left = new LeftOutList();
  for (const path of leafPaths(value)) {
    const name = String(path[1]);
    if (path.length === 2 && (name === "hostname" || name === "ip")) continue;
    left.add(
      String(path.at(-1)),
      generalPath(path),
      keyPosition(path),
      "k3sup does not use it, and edge-fleet neither",
    );
  }
  if (servers > value.length)
    return {
      hosts: [],
      problems: [
        formatProblem(
          position([]),
          "(list)",
          `has ${value.length} hosts and --servers asks for ${servers} - use fewer`,
        ),
      ],
      leftOut: [],
      secrets: [],
      notes: [],
    };
  const hosts = value.map(({ hostname, ip }, index): SourceHost => {
    const host = bareHost(hostname, ip, position([index, "hostname"]), `[${index}]`);
    return index < servers ? host : { ...host, server: value[0]?.hostname };
  });
  const notes = [
    "k3sup's flags --user, --ssh-port and --ssh-key are in no file: use --user and --port here, and load the key with ssh-add",
  ];
  if (flags.servers === undefined && value.length > 1)
    notes.push(
      `each of the ${value.length} hosts becomes a cluster of its own; with --servers <n>, as for k3sup plan, the others join the first`,
    );
  return { hosts, problems: [], leftOut: left.fields, secrets: left.secrets, notes };
}
