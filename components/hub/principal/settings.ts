/**
 * What a region's principal is made from, and what it may take: the hub's end of the connections that the agents of the
 * region's devices make. Pure.
 */
import { MAX_AGENT_DEVICES } from "../../gitops/applicationset.ts";

/**
 * Upstream's name: that of the principals' account and policies, of the container, and of the label `app.kubernetes.io/name`
 * of everything that is a principal's.
 */
export const PRINCIPAL = "argocd-agent-principal";

/** Name of the objects of one release, and the end of others' names: `argocd-agent-principal-v0-10-0`. */
export function principalName(version: string, name = PRINCIPAL): string {
  return `${name}-${version.replaceAll(".", "-")}`;
}

/** How agents reach a principal: `hub.principal` of fleet.yaml. */
export interface PrincipalExposure {
  readonly service: "LoadBalancer" | "NodePort" | "ClusterIP";
  readonly annotations: Readonly<Record<string, string>>;
  /** Addresses from which agents connect; empty: any. */
  readonly sourceRanges: readonly string[];
}

/** Everything that the objects of a region's principals depend on. */
export interface PrincipalSettings {
  /** Namespace of the region's control plane. */
  readonly namespace: string;
  readonly exposure: PrincipalExposure;
  /** Namespace whose pods may read their metrics. Absent: nobody may. */
  readonly scraper?: string | undefined;
  /** Devices with an agent in the region. */
  readonly agents: number;
  /** One principal each. */
  readonly releases: readonly PrincipalRelease[];
}

/** A principal of a region: what it does not share with one of another release. */
export interface PrincipalRelease {
  /** Release of argocd-agent: agents of another one are refused. */
  readonly version: string;
  /** Image by digest. */
  readonly image: string;
  /** Port on which devices reach it: the Service's, with a NodePort that of the nodes. */
  readonly port: number;
  /** Certificate of the server, PEM: another one is another pod, since a running principal does not read it again. */
  readonly certificate: string;
}

/** Ports on which a principal listens: defaults of its binary (argocd-agent acb60cd1, cmd/argocd-agent/principal.go). */
export const PRINCIPAL_PORTS = { agents: 8443, metrics: 8000, healthz: 8003 } as const;

/** Memory in MiB: as measured, 77 at rest and 0.27 an agent; while all connect at once 216 with 300 of them. */
export const MEMORY = { requestMiB: 192, limitMiB: 512 } as const;

/**
 * Refuses a region that one principal would take too long for.
 * @param region its name
 * @throws Error with the number of regions to make of it
 */
export function requireAgentCount(region: string, agents: number): void {
  if (agents <= MAX_AGENT_DEVICES) return;
  const parts = Math.ceil(agents / MAX_AGENT_DEVICES);
  throw new Error(
    `region ${region} has ${agents} devices with gitops.engine argocd-agent, and a principal takes ${MAX_AGENT_DEVICES}: at its ` +
      `start it lists all Applications once for each - make ${parts} regions of it, of ${Math.ceil(agents / parts)} devices each, or ` +
      "set gitops.engine to argocd for some",
  );
}
