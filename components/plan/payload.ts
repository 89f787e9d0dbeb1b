/**
 * What one SSH command sends to a device: the payload, data only, which the device program (`program.ts`) reads and
 * turns the device into. Pure: no clock, no network.
 */
import { createHash } from "node:crypto";
import { holdsToWindows } from "../gitops/engine/flux/settings.ts";
import { windowSetting } from "../gitops/windows.ts";
import type { ArtifactsLock } from "../inventory/schema.ts";
import type { Profile } from "../inventory/types.ts";
import { type ResolvedArtifact, resolveArtifacts } from "./artifact.ts";
import { backupFiles, backupUrl } from "./backup.ts";
import type { DeviceFile, DistributionPlan, RenderContext } from "./distributions/distribution-plan.ts";
import { distributionOf, renderDistribution } from "./distributions/index.ts";
import { engineFiles } from "./engine-files.ts";
import { neededKib, preflightSetting } from "./preflight.ts";
import { sealingFiles } from "./sealing.ts";

/** What one device is to become, in the line format of `program/payload.sh`; nothing of it is evaluated on the device. */
export interface Payload {
  /** The payload without its secret files and its last line: {@link payloadText} makes it whole. */
  readonly body: string;
  /** The files that hold a password or a token, in the same format; empty where there are none. */
  readonly secretFiles: string;
  /**
   * SHA-256 over everything that defines the device's desired state: files, modes, artifacts, labels, taints, readiness
   * targets. How it gets there (URL, delivery, timeouts) is left out, since it must not restart a device; so is the text
   * of secret files, since the hash is no secret. A changed password is found by comparing the files.
   */
  readonly hash: string;
  /** Everything that the device installs. */
  readonly artifacts: readonly ResolvedArtifact[];
  /** Files with their contents, without those of secret ones. */
  readonly files: readonly DeviceFile[];
  /** Release of the distribution, e.g. `v1.36.2+k3s1`. */
  readonly version: string;
  /** What works but is worth a look, see `DistributionPlan.warnings`. */
  readonly warnings: readonly string[];
}

/** Characters of a setting's value; `program/settings.sh` refuses others. */
const VALUE = /^[A-Za-z0-9_./:@%+,= -]*$/;

/**
 * Renders the payload of one device.
 * @param context the server that an agent joins, and the secrets. Default: none
 * @throws Error naming device, setting and fix, see {@link renderDistribution} and {@link resolveArtifacts}
 */
export function renderPayload(profile: Profile, lock: ArtifactsLock, context: RenderContext = {}): Payload {
  const distribution = renderDistribution(profile, context);
  const pulled = engineFiles(profile, context);
  const sealing = sealingFiles(profile, distributionOf(profile).manifests, context.secrets);
  const files = [...distribution.files, ...backupFiles(profile, context.secrets), ...pulled, ...sealing];
  const plan = { ...distribution, files };
  const artifacts = resolveArtifacts(profile, lock);
  plan.files.forEach(checkFile);
  const hash = desiredStateHash(profile, plan, artifacts);
  const settings = Object.entries(settingsOf(profile, plan, artifacts, hash)).filter(([, value]) => value !== "");
  const [secret, plain] = [true, false].map((wanted) => plan.files.filter((file) => (file.secret === true) === wanted));
  const lines = [
    "edge-fleet 1",
    ...settings.map(([name, value]) => settingLine(profile.id, name, value)),
    ...artifacts.map(artifactLine),
    ...(plain ?? []).map(fileLines),
  ];
  return {
    body: joinLines(lines),
    secretFiles: joinLines((secret ?? []).map(fileLines)),
    hash,
    artifacts,
    files: plan.files.map((file) => (file.secret === true ? { ...file, content: "" } : file)),
    version: plan.version,
    warnings: plan.warnings ?? [],
  };
}

/** The payload as the device reads it. */
export function payloadText({ body, secretFiles }: Pick<Payload, "body" | "secretFiles">): string {
  return `${body}${secretFiles}end\n`;
}

function joinLines(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

function settingsOf(
  profile: Profile,
  plan: DistributionPlan,
  artifacts: readonly ResolvedArtifact[],
  hash: string,
): Record<string, string> {
  return {
    DEVICE: profile.id,
    REGION: profile.region,
    HASH: hash,
    DISTRIBUTION: profile.distribution,
    INIT: profile.init === "openrc" ? profile.init : "",
    VERSION: plan.version,
    ARCH: profile.architecture,
    MEMORY_MIB: String(profile.memoryMiB),
    ENGINE: profile.joins === undefined ? profile.gitops.engine : "none",
    SERVICE: plan.service,
    UNIT: plan.unit,
    KUBECTL: plan.kubectl,
    WINDOWS: holdsToWindows(profile) ? windowSetting(profile.maintenance, profile.time.zone) : "",
    DEPLOYMENTS: plan.deployments.join(" "),
    LABELS: plan.labels.join(" "),
    TAINTS: (plan.taints ?? []).join(" "),
    AGENTS: (plan.agents ?? []).join(" "),
    WASM: profile.wasm.join(" "),
    REPLACE: profile.replace ? "1" : "",
    LIMIT_KIB: String(profile.artifacts.maxKiBPerSecond ?? ""),
    NEED_KIB: String(neededKib(artifacts)),
    PREFLIGHT: preflightSetting(profile),
    READY_SECONDS: String(profile.readiness.timeoutSeconds),
    ROLLBACK_SECONDS: String(profile.rollback.afterSeconds),
    BACKUP_HOURS: String(profile.backup.everyHours),
    BACKUP_KEEP: String(profile.backup.keep),
    BACKUP_URL: backupUrl(profile),
  };
}

function desiredStateHash(profile: Profile, plan: DistributionPlan, artifacts: readonly ResolvedArtifact[]): string {
  const { version, service, deployments, labels, taints } = plan;
  const { id, architecture, distribution, wasm } = profile;
  const files = plan.files.map((file) => (file.secret === true ? { ...file, content: "" } : file));
  const installed = artifacts.map(({ kind, sha256, installPath, mode }) => ({ kind, sha256, installPath, mode }));
  return sha256(
    JSON.stringify({
      ...{ id, architecture, distribution, version, service, deployments, labels, taints, wasm },
      files,
      installed,
    }),
  );
}

function checkFile(file: DeviceFile): void {
  if (!/^(\/[A-Za-z0-9._@+-]+)+$/.test(file.path) || !/^0[0-7]{3}$/.test(file.mode) || !file.content.endsWith("\n")) {
    throw new Error(
      `device file ${file.path}: needs an absolute path without blanks, a mode like 0600, a last newline`,
    );
  }
}

function settingLine(id: string, name: string, value: string): string {
  if (!VALUE.test(value)) {
    throw new Error(
      `device ${id}: ${name} has a character that cannot be sent to a device: ${JSON.stringify(value)} - use letters, digits and ._/:@%+,=-`,
    );
  }
  return `set ${name} ${value}`;
}

function fileLines({ path, mode, content, live }: DeviceFile): string {
  const lines = content.slice(0, -1).split("\n");
  return [`file ${mode} ${live ? "live" : "restart"} ${path} ${lines.length}`, ...lines].join("\n");
}

/** A URL only where the device fetches: what is pushed comes from the store. */
function artifactLine({ kind, sha256, size = 0, mode = "0600", installPath = "-", url, delivery }: ResolvedArtifact) {
  return `artifact ${kind} ${sha256} ${size} ${mode} ${installPath} ${delivery === "push" ? "-" : url}`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
