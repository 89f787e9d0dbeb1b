/**
 * The plan of a device as text, which the engine keeps, compares and shows: one setting a line, sorted, so that a change
 * reads `- labels.tier: gold` / `+ labels.tier: silver` in `pulumi preview --diff`. Holds no secret and no address: a
 * device that moved to another address has not changed. Pure.
 */
import { createHash } from "node:crypto";
import { agentOf, runsAgent } from "../gitops/engine/agent/settings.ts";
import { runsArgoCd } from "../gitops/engine/argocd/settings.ts";
import { holdsToWindows, runsFlux } from "../gitops/engine/flux/settings.ts";
import { secretsSourceOf } from "../gitops/engine/secrets.ts";
import { windowSetting } from "../gitops/windows.ts";
import type { Profile } from "../inventory/index.ts";
import type { DeviceFile } from "./distributions/distribution-plan.ts";
import type { Payload } from "./payload.ts";

/** One line of a plan. */
export interface PlanLine {
  /** Keys that lead to a setting in the inventory, e.g. `["k3s", "version"]`; of other lines the line's one name. */
  readonly path: readonly string[];
  readonly value: string;
}

/** Settings of a profile that reach the device, beside those of its distribution. */
const SETTINGS = [
  ...[
    "architecture",
    "artifacts",
    "backup",
    "distribution",
    "gitops",
    "init",
    "joins",
    "kubelet",
    "labels",
    "memoryMiB",
  ],
  ...["network", "readiness", "registries", "replace", "rollback", "security", "taints", "time", "wasm"],
] as const satisfies readonly (keyof Profile)[];

/** Characters of a digest that are shown: enough to tell two files apart. */
const SHOWN_DIGEST = 12;

/**
 * The text of a device that is to be what its payload says.
 * @param program SHA-256 of the device program of this release
 */
export function planText(profile: Profile, payload: Payload, program: string): string {
  const settings = settingLines(profile).map(({ path, value }) => `${path.join(".")}: ${value}`);
  const artifacts = payload.artifacts.map(
    ({ kind, name, sha256 }) => `artifact ${kind} ${name}: ${sha256.slice(0, SHOWN_DIGEST)}`,
  );
  const lines = [
    ...settings,
    ...artifacts,
    ...payload.files.map(fileLine),
    `payload: ${payloadDigest(payload)}`,
    `program: ${program}`,
    `region: ${profile.region}`,
    `release: ${payload.version}`,
  ];
  return [`device: ${profile.id}`, ...lines.sort(), ""].join("\n");
}

/**
 * The text of a device that is to leave the fleet.
 * @param program as in {@link planText}
 */
export function removalText({ id, decommission }: Pick<Profile, "id" | "decommission">, program: string): string {
  return `device: ${id}\nprogram: ${program}\nremove: ${decommission}\n`;
}

/** SHA-256 of a payload's body, under which the dial finds it. */
export function payloadDigest({ body }: Pick<Payload, "body">): string {
  return createHash("sha256").update(body).digest("hex");
}

/** Lines of a plan by their names. */
export function planLines(text: string): Map<string, string> {
  return new Map(
    text.split("\n").flatMap((line) => {
      const end = line.indexOf(": ");
      return end < 0 ? [] : [[line.slice(0, end), line.slice(end + 2)] as const];
    }),
  );
}

/** Every setting of a profile that reaches the device, one line each. */
export function settingLines(profile: Profile): PlanLine[] {
  const { engine, sealedSecrets, externalSecrets, access, argocd, flux } = profile.gitops;
  const secrets = secretsSourceOf(profile);
  const pulling = {
    engine,
    ...(runsArgoCd(profile) ? { argocd, access } : {}),
    ...(runsFlux(profile) ? { flux, access } : {}),
    ...(runsAgent(profile) ? { agent: agentOf(profile) } : {}),
    ...(secrets === "sealed-secrets" ? { secrets, sealedSecrets } : {}),
    ...(secrets === "external-secrets" ? { secrets, externalSecrets } : {}),
  };
  const own = {
    ...Object.fromEntries(SETTINGS.map((key) => [key, profile[key]])),
    gitops: pulling,
    maintenance: holdsToWindows(profile) ? windowSetting(profile.maintenance, profile.time.zone) : "",
    [profile.distribution]: profile[profile.distribution],
  };
  return Object.entries(own).flatMap(([key, value]) => flatten([key], value));
}

function flatten(path: readonly string[], value: unknown): PlanLine[] {
  if (value === undefined || value === "") return [];
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return Object.entries(value).flatMap(([key, child]) => flatten([...path, key], child));
  return [{ path, value: shown(value) }];
}

/** A list on one line; a text of several lines, such as a certificate, by its digest. */
function shown(value: unknown): string {
  const text = Array.isArray(value) ? value.map(String).join(", ") : String(value);
  return text.includes("\n")
    ? `sha256 ${createHash("sha256").update(text).digest("hex").slice(0, SHOWN_DIGEST)}`
    : text;
}

function fileLine({ path, mode, content, secret }: DeviceFile): string {
  const digest = createHash("sha256").update(content).digest("hex").slice(0, SHOWN_DIGEST);
  return `file ${path}: ${mode} ${secret === true ? "secret" : digest}`;
}
