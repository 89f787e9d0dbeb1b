/** Whether a region's control plane has a principal, and with which settings and Secrets. Pure. */
import { controlPlaneNamespace } from "../../gitops/labels.ts";
import type { FleetAuthority } from "../../identity/authority.ts";
import { issuePrincipalCertificate } from "../../identity/principal.ts";
import type { ArtifactsLock, Profile } from "../../inventory/index.ts";
import { type PrincipalSecrets, principalSecrets } from "./index.ts";
import { type PrincipalExposure, type PrincipalSettings, requireAgentCount } from "./settings.ts";

/** A principal that is to run. */
export interface PrincipalPlan {
  readonly settings: PrincipalSettings;
  readonly secrets: PrincipalSecrets;
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
 * Plans the principal of a region.
 * @param profiles devices of the region
 * @returns undefined where no device has an agent
 * @throws Error naming the region, the setting and the fix: more agents than a principal takes, devices that do not agree
 * on their principal, a setting or an image that is missing
 */
export function planPrincipal(
  region: string,
  profiles: readonly Profile[],
  { exposure, scraper, artifacts, authority }: PrincipalInput,
): PrincipalPlan | undefined {
  const devices = agentProfiles(profiles);
  if (devices.length === 0) return undefined;
  requireAgentCount(region, devices.length);
  const version = one(
    region,
    "version",
    devices.map(({ gitops }) => gitops.agent?.version),
  );
  const port = one(
    region,
    "port",
    devices.map(({ gitops }) => gitops.agent?.port),
  );
  const addresses = [
    ...new Set(devices.map(({ id, gitops }) => required(id, "address", gitops.agent?.address))),
  ].sort();
  const generation = Math.max(...devices.map(({ id, gitops }) => required(id, "generation", gitops.agent?.generation)));
  const image = artifacts.argocdAgent?.[version]?.image;
  if (image === undefined)
    throw new Error(
      `artifacts.lock.yaml: argocdAgent.${version}.image is missing, region ${region} needs it - run edge-fleet lock`,
    );
  const namespace = controlPlaneNamespace(region);
  const opened = authority();
  const server = issuePrincipalCertificate(opened, { region, addresses }, generation);
  const { certificate } = server;
  return {
    settings: { namespace, image, port, exposure, scraper, agents: devices.length, certificate },
    secrets: principalSecrets(namespace, opened.certificate, server),
  };
}

/** A region has one principal, and agents of another version than its own dial it eight times a second. */
function one<T extends string | number>(region: string, field: string, values: readonly (T | undefined)[]): T {
  const distinct = [...new Set(values)];
  const [value] = distinct;
  if (distinct.length === 1 && value !== undefined) return value;
  const found = distinct.map((each) => each ?? "none").join(", ");
  throw new Error(
    `gitops.agent.${field}: devices of region ${region} have ${found}, and one principal - write it in the region's file, or in fleet.yaml`,
  );
}

function required<T>(id: string, field: string, value: T | undefined): T {
  if (value === undefined)
    throw new Error(
      `gitops.agent.${field}: is missing for device ${id} - write it in the region's file, or in fleet.yaml`,
    );
  return value;
}
