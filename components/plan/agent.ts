/**
 * What a device with an agent needs beside the agent's objects: the certificate over its own key, and what stands
 * against one. Pure, but for the clock that certificates are checked by.
 *
 * The device program puts the key beside the certificate (program/engine.sh), so it never leaves the device.
 */
import { AUTHORITY_SECRET } from "../gitops/engine/agent/parameters.ts";
import { type Agent, agentOf, clientSecretName, runsAgent } from "../gitops/engine/agent/settings.ts";
import { engineMeta } from "../gitops/engine/argocd/object.ts";
import { formatObjects } from "../gitops/yaml.ts";
import { type FleetAuthority, openFleetAuthority } from "../identity/authority.ts";
import { issueDeviceCertificate, renewalDue } from "../identity/device.ts";
import type { Profile } from "../inventory/types.ts";
import type { DeviceFile } from "./distributions/distribution-plan.ts";
import { error, type Finding, warning } from "./distributions/finding.ts";

/** Where the device program finds the Secret of the certificate, which lacks the key alone. */
const CLIENT_SECRET = "/var/lib/edge-fleet/agent/client-tls.yaml";

/** The agent of a device that runs one, complete. */
export type CompleteAgent = { readonly [K in keyof Agent]-?: NonNullable<Agent[K]> };

/** @throws Error naming the device, the setting and the fix */
export function requireAgent(profile: Pick<Profile, "id" | "ring" | "gitops">): CompleteAgent {
  const { version, address, port, generation } = agentOf(profile) ?? {};
  if (version !== undefined && address !== undefined && port !== undefined && generation !== undefined)
    return { version, address, port, generation };
  const field = address === undefined ? "address" : "generation";
  throw new Error(`device ${profile.id}: gitops.agent.${field}: ${MISSING[field]}`);
}

const MISSING = {
  address: "is missing - write the name at which devices reach the principal of their region on the hub",
  generation: "is missing - write the year of today, from which the certificates of devices and hub are",
} as const;

/** What stands against the agent of a device. @param now the clock, for certificates that are to be renewed. Default: now */
export function checkAgent(profile: Profile, now = new Date()): Finding[] {
  if (!runsAgent(profile)) return [];
  const { address, generation } = agentOf(profile) ?? {};
  return [
    ...(address === undefined ? [error("gitops.agent.address", MISSING.address)] : []),
    ...(generation === undefined
      ? [error("gitops.agent.generation", MISSING.generation)]
      : checkGeneration(generation, now)),
  ];
}

function checkGeneration(generation: number, now: Date): Finding[] {
  const year = now.getUTCFullYear();
  const setting = "gitops.agent.generation";
  if (generation > year + 1)
    return [
      error(setting, `certificates of ${generation} are not valid yet, and the hub would refuse them - write ${year}`),
    ];
  if (now < renewalDue(generation)) return [];
  return [
    warning(
      setting,
      `certificates of ${generation} are to be renewed: a device that is off for two years still has one year then - write ${year}`,
    ),
  ];
}

/**
 * Renders the files: what the agent trusts, as a manifest, and the Secret of its certificate without the key.
 * @param folder of the manifests
 * @param key of the fleet's authority
 * @throws Error naming the device or the configuration key, and the fix
 */
export function agentFiles(profile: Profile, folder: string, key: string | undefined): DeviceFile[] {
  const { generation } = requireAgent(profile);
  const { id, hostKey, identityKey } = profile;
  const authority = authorityOf(key);
  const trust = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: engineMeta(AUTHORITY_SECRET),
    type: "Opaque",
    stringData: { "ca.crt": authority.certificate },
  };
  const trusted = {
    path: `${folder}/edge-fleet-hub-trust.yaml`,
    mode: "0600",
    content: formatObjects([], [trust]),
    live: true,
  };
  // One that is not enrolled is not dialled either.
  if (identityKey === undefined && hostKey === undefined) return [trusted];
  if (identityKey === undefined)
    throw new Error(
      `device ${id}: its identity is not pinned - run edge-fleet enroll ${profile.region} --device ${id}`,
    );
  const certificate = issueDeviceCertificate(authority, { id, identityKey }, generation);
  return [trusted, { path: CLIENT_SECRET, mode: "0600", content: clientSecret(certificate, generation), live: true }];
}

/** The Secret as the device program takes it: without the key. */
function clientSecret(certificate: string, generation: number): string {
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: engineMeta(clientSecretName(generation)),
    type: "kubernetes.io/tls",
    // The last field: the device program adds a line below it.
    data: { "tls.crt": Buffer.from(certificate).toString("base64") },
  };
  return formatObjects([], [secret]);
}

let opened: { readonly key: string | undefined; readonly authority: FleetAuthority } | undefined;

/** All devices of a run have the same. */
function authorityOf(key: string | undefined): FleetAuthority {
  if (opened === undefined || opened.key !== key) opened = { key, authority: openFleetAuthority(key) };
  return opened.authority;
}
