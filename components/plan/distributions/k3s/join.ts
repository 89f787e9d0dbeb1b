/**
 * Whether two devices can be one cluster: the agent's profile beside that of its server. What is absent of the server's
 * profile is not checked. Pure.
 */
import type { Profile } from "../../../inventory/types.ts";
import type { RenderContext } from "../distribution-plan.ts";
import { error, type Finding } from "../finding.ts";
import { minorOf } from "../release.ts";
import { flannelBackend } from "./network.ts";

/** What stands against `joins` of a device; empty where it joins nobody. */
export function checkJoin(agent: Profile, server: RenderContext["server"]): Finding[] {
  if (agent.joins === undefined) return [];
  if (server === undefined) {
    return [error("joins", `${agent.joins} is not known here - use the id of a device of region ${agent.region}`)];
  }
  const findings = [...checkShape(agent, server), ...checkServer(agent, server)];
  if (server.k3s === undefined) return findings;
  const { k3s, network = agent.network } = server;
  const wanted = Object.entries(sharedSettings({ k3s, network }));
  const own = sharedSettings(agent);
  for (const [name, value] of wanted) {
    if (own[name] === value) continue;
    findings.push(
      error(`k3s.${name}`, `is ${own[name]}, but ${agent.joins} has ${value} - set it once, in the region`),
    );
  }
  if (minorOf(agent.k3s.version) > minorOf(k3s.version)) {
    findings.push(
      error(
        "k3s.version",
        `${agent.k3s.version} is newer than the ${k3s.version} of ${agent.joins}, and an agent may not be ahead of its server - upgrade ${agent.joins} first`,
      ),
    );
  }
  return findings;
}

/** Settings that K3s takes from the server and an agent cannot differ in. https://docs.k3s.io/cli/server */
function sharedSettings({ k3s, network }: Pick<Profile, "k3s" | "network">): Record<string, string> {
  const { clusterCidr, serviceCidr } = k3s;
  return { flannelBackend: flannelBackend({ k3s, network }), clusterCidr, serviceCidr };
}

function checkShape(agent: Profile, server: NonNullable<RenderContext["server"]>): Finding[] {
  if (agent.network.shape === "single") {
    return [error("network.shape", `is single, but the device joins ${agent.joins} - use lan or multi-site for both`)];
  }
  const shape = server.network?.shape ?? agent.network.shape;
  if (shape === agent.network.shape) return [];
  return [
    error("network.shape", `is ${agent.network.shape}, but ${agent.joins} has ${shape} - use one shape for both`),
  ];
}

function checkServer(agent: Profile, server: NonNullable<RenderContext["server"]>): Finding[] {
  const findings: Finding[] = [];
  if (server.id === agent.id) findings.push(error("joins", "is the device itself - remove the field"));
  if (server.joins !== undefined) {
    findings.push(error("joins", `${agent.joins} is an agent itself - use the id of its server, ${server.joins}`));
  }
  if (server.region !== undefined && server.region !== agent.region) {
    findings.push(error("joins", `${agent.joins} is of region ${server.region} - use a device of ${agent.region}`));
  }
  if (server.distribution !== undefined && server.distribution !== agent.distribution) {
    findings.push(
      error(
        "distribution",
        `is ${agent.distribution}, but ${agent.joins} runs ${server.distribution} - use one for both`,
      ),
    );
  }
  return findings;
}
