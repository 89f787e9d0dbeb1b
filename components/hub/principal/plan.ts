/** Which principals a region's control plane has, and with which settings and Secrets. Pure. */
import { controlPlaneNamespace } from "../../gitops/labels.ts";
import type { FleetAuthority } from "../../identity/authority.ts";
import { issuePrincipalCertificate } from "../../identity/principal.ts";
import type { ArtifactsLock, Profile } from "../../inventory/index.ts";
import { authoritySecret, type PrincipalSecret, serverSecret } from "./index.ts";
import {
  type PrincipalExposure,
  type PrincipalRelease,
  type PrincipalSettings,
  requireAgentCount,
} from "./settings.ts";

/** The principals of a region that are to run. */
export interface PrincipalPlan {
  readonly settings: PrincipalSettings;
  /** What follows from the fleet's authority. */
  readonly secrets: readonly PrincipalSecret[];
}

/** What the principals of a hub are planned from. */
export interface PrincipalInput {
  readonly exposure: PrincipalExposure;
  /** See {@link PrincipalSettings.scraper}. Absent: nobody reads its metrics. */
  readonly scraper?: string | undefined;
  readonly artifacts: ArtifactsLock;
  /** The fleet's authority; it is asked for only where a region has agents. */
  readonly authority: () => FleetAuthority;
}

/** Devices of a region that have an agent. A machine that joins another one's cluster has none. */
export function agentProfiles(profiles: readonly Profile[]): Profile[] {
  return profiles.filter(
    ({ state, joins, gitops }) => state === "present" && joins === undefined && gitops.engine === "argocd-agent",
  );
}

/**
 * Plans the principals of a region.
 * @param profiles devices of the region
 * @returns undefined where no device has an agent
 * @throws Error naming the region, the setting and the fix: more agents than a principal takes, devices that do not agree
 * on their principal, a setting or an image that is missing
 */
export function planPrincipals(
  region: string,
  profiles: readonly Profile[],
  { exposure, scraper, artifacts, authority }: PrincipalInput,
): PrincipalPlan | undefined {
  const devices = agentProfiles(profiles);
  if (devices.length === 0) return undefined;
  requireAgentCount(region, devices.length);
  const namespace = controlPlaneNamespace(region);
  const generation = Math.max(...devices.map(({ id, gitops }) => required(id, "generation", gitops.agent?.generation)));
  const opened = authority();
  const principals = dialledPrincipals(region, devices).map(({ version, port, addresses }) => {
    const image = requireImage(region, version, artifacts);
    const server = issuePrincipalCertificate(opened, { region, addresses }, generation);
    return {
      release: { version, image, port, certificate: server.certificate },
      secret: serverSecret(namespace, version, server),
    };
  });
  return {
    settings: {
      ...{ namespace, exposure, scraper, agents: devices.length },
      releases: principals.map(({ release }) => release),
    },
    secrets: [authoritySecret(namespace, opened.certificate), ...principals.map(({ secret }) => secret)],
  };
}

/** A principal as devices dial it. */
interface DialledPrincipal extends Pick<PrincipalRelease, "version" | "port"> {
  /** Sorted. */
  readonly addresses: readonly string[];
}

/** The region's own, and that of the release that it is moved to: any device may be on either. */
function dialledPrincipals(region: string, devices: readonly Profile[]): DialledPrincipal[] {
  const first = devices.map(({ id, gitops: { agent } }) => {
    return { version: agent?.version, port: agent?.port, address: required(id, "address", agent?.address) };
  });
  const next = devices.flatMap(({ gitops }) => gitops.agent?.next ?? []);
  const settings = { "gitops.agent": first, "gitops.agent.next": next };
  return Object.entries(settings).flatMap(([setting, agents]) =>
    agents.length === 0 ? [] : [agreedPrincipal(region, setting, agents)],
  );
}

/** @param agents what each device has of the setting */
function agreedPrincipal(
  region: string,
  setting: string,
  agents: readonly {
    readonly version: string | undefined;
    readonly port: number | undefined;
    readonly address: string;
  }[],
): DialledPrincipal {
  const versions = agents.map(({ version }) => version);
  const ports = agents.map(({ port }) => port);
  return {
    version: one(region, `${setting}.version`, versions),
    port: one(region, `${setting}.port`, ports),
    addresses: [...new Set(agents.map(({ address }) => address))].sort(),
  };
}

/** Agents of another release than their principal's dial it eight times a second. */
function one<T extends string | number>(region: string, setting: string, values: readonly (T | undefined)[]): T {
  const distinct = [...new Set(values)];
  const [value] = distinct;
  if (distinct.length === 1 && value !== undefined) return value;
  const found = distinct.map((each) => each ?? "none").join(", ");
  throw new Error(
    `${setting}: devices of region ${region} have ${found}, and one principal - write it in the region's file, or in fleet.yaml`,
  );
}

function requireImage(region: string, version: string, { argocdAgent }: ArtifactsLock): string {
  const image = argocdAgent?.[version]?.image;
  if (image === undefined)
    throw new Error(
      `artifacts.lock.yaml: argocdAgent.${version}.image is missing, region ${region} needs it - run edge-fleet lock`,
    );
  return image;
}

function required<T>(id: string, field: string, value: T | undefined): T {
  if (value === undefined)
    throw new Error(
      `gitops.agent.${field}: is missing for device ${id} - write it in the region's file, or in fleet.yaml`,
    );
  return value;
}
