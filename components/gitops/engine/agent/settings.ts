/** What the agent of a device is made from, and what it may take: what connects the device's own Argo CD to the hub. Pure. */
import type { Profile } from "../../../inventory/types.ts";
import type { EngineMemory } from "../pod.ts";

/** Everything that the agent's objects depend on: devices that share it share one text. */
export interface AgentSettings {
  /** Image by digest, the principal's too. */
  readonly image: string;
  /** Where the principal is, see {@link agentOf}. */
  readonly address: string;
  readonly port: number;
  /** `gitops.agent.generation`: names the Secret of the certificate, which a running agent does not read again. */
  readonly generation: number;
}

/** `gitops.agent` as one device has it. */
export type Agent = Omit<NonNullable<Profile["gitops"]["agent"]>, "next">;

interface MovableDevice extends Pick<Profile, "ring"> {
  readonly gitops: Pick<Profile["gitops"], "agent">;
}

/**
 * The agent that a device is to run: `gitops.agent`, with release, address and port of its `next` once the device's ring is
 * one of those that are moved. Undefined: none is set up.
 */
export function agentOf({ ring, gitops: { agent } }: MovableDevice): Agent | undefined {
  if (agent === undefined) return undefined;
  const { next, ...first } = agent;
  if (next === undefined || !isMoved({ ring, gitops: { agent } })) return first;
  const { version, address, port } = next;
  return { ...first, version, address, port };
}

/** Whether release, address and port of a device's agent are those of `gitops.agent.next`. */
export function isMoved({ ring, gitops: { agent } }: MovableDevice): boolean {
  return agent?.next?.rings.includes(ring) === true;
}

/** Release of the agent that a device is to run while its region is moved to another one. Undefined: nothing is moved. */
export function movingRelease(profile: Pick<Profile, "ring" | "joins" | "gitops">): string | undefined {
  if (!runsAgent(profile) || profile.gitops.agent?.next === undefined) return undefined;
  return agentOf(profile)?.version;
}

/** As measured: resident 75 to 80 MiB, of that 19 its own. */
export const AGENT_MEMORY: EngineMemory = { requestMiB: 80, limitMiB: 192 };

/** Whether edge-fleet installs an agent beside Argo CD on the device. */
export function runsAgent({ joins, gitops }: Pick<Profile, "joins" | "gitops">): boolean {
  return joins === undefined && gitops.engine === "argocd-agent";
}

/** Secret with the certificate of a generation and the device's own key, which the device program makes. */
export function clientSecretName(generation: number): string {
  return `argocd-agent-client-tls-${generation}`;
}
