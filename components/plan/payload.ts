/**
 * From a profile to what one SSH command sends to the device: the payload, data only, which the device program
 * (`program.ts`) reads and turns the device into; and the parsed answer. Pure: no clock, no network.
 */
import { createHash } from "node:crypto";
import { type DeviceProgram, deviceProgram, PROGRAM_PATH, packText } from "../device/program.ts";
import type { ArtifactsLock } from "../inventory/schema.ts";
import type { Profile } from "../inventory/types.ts";
import { pushedArtifacts, type ResolvedArtifact, resolveArtifacts } from "./artifact.ts";
import { backupFiles, backupUrl } from "./backup.ts";
import type { DeviceFile, DistributionPlan, RenderContext } from "./distributions/distribution-plan.ts";
import { renderDistribution } from "./distributions/index.ts";
import { neededKib, preflightSetting } from "./preflight.ts";

/** What one device is to become. */
export interface Payload {
  /** Line format of `program/payload.sh`; nothing of it is evaluated on the device. */
  readonly text: string;
  /**
   * SHA-256 over everything that defines the device's desired state: files, modes, artifacts, labels, taints, readiness
   * targets. How it gets there (URL, delivery, timeouts) is left out, since it must not restart a device; so is the text
   * of secret files, since the hash is no secret. A changed password is found by comparing the files.
   */
  readonly hash: string;
  /** Seconds that the device may take to become ready. */
  readonly readySeconds: number;
  /** What `edge-fleet push` has to bring before, see {@link pushedArtifacts}. */
  readonly pushed: string;
  /** True where a file holds a password or a token: the text must then be kept as a secret. */
  readonly secret: boolean;
}

/** A payload as a remote command. */
export interface PackedPayload {
  /** Short sh text, the same for every device of a region: checks the installed program and runs it. */
  readonly create: string;
  /** Base64 of the gzipped payload. */
  readonly stdin: string;
}

/** What the device answered. */
export interface ApplyResult {
  readonly device: string;
  /**
   * `rolled-back`: the new state failed and the previous one runs again, or nothing is left of a first install.
   * `removed`: the device was taken out of the fleet and holds nothing of it any more.
   */
  readonly result: "applied" | "unchanged" | "rolled-back" | "failed" | "removed";
  /** {@link Payload.hash} of the run. */
  readonly hash: string;
  readonly version: string;
  /** Empty where all went well; else a short id, the finding and the mend. */
  readonly reason: string;
}

/** Characters of a setting's value; `program/settings.sh` refuses others. */
const VALUE = /^[A-Za-z0-9_./:@%+,= -]*$/;

/**
 * Renders the payload of one device.
 * @param context the server that an agent joins, and the secrets. Default: none
 * @throws Error naming device, setting and mend, see {@link renderDistribution} and {@link resolveArtifacts}
 */
export function renderPayload(profile: Profile, lock: ArtifactsLock, context: RenderContext = {}): Payload {
  const distribution = renderDistribution(profile, context);
  const plan = { ...distribution, files: [...distribution.files, ...backupFiles(profile, context.secrets)] };
  const artifacts = resolveArtifacts(profile, lock);
  plan.files.forEach(checkFile);
  const hash = desiredStateHash(profile, plan, artifacts);
  const settings = Object.entries(settingsOf(profile, plan, artifacts, hash)).filter(([, value]) => value !== "");
  const text = [
    "edge-fleet 1",
    ...settings.map(([name, value]) => settingLine(profile.id, name, value)),
    ...plan.files.map(fileLines),
    ...artifacts.map(artifactLine),
    "end\n",
  ].join("\n");
  const secret = plan.files.some((file) => file.secret === true);
  return { text, hash, readySeconds: profile.readiness.timeoutSeconds, pushed: pushedArtifacts(artifacts), secret };
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
    SERVICE: plan.service,
    UNIT: plan.unit,
    KUBECTL: plan.kubectl,
    DEPLOYMENTS: plan.deployments.join(" "),
    LABELS: plan.labels.join(" "),
    TAINTS: (plan.taints ?? []).join(" "),
    AGENTS: (plan.agents ?? []).join(" "),
    WASM: profile.wasm.join(" "),
    REPLACE: profile.replace ? "1" : "",
    LIMIT_KIB: String(profile.artifacts.maxKiBPerSecond ?? ""),
    NEED_KIB: String(neededKib(artifacts)),
    PREFLIGHT: preflightSetting(profile),
    MANAGED_REBOOT: profile.preflight.allowReboot ? "1" : "",
    READY_SECONDS: String(profile.readiness.timeoutSeconds),
    ROLLBACK_SECONDS: String(profile.rollback.afterSeconds),
    BACKUP_HOURS: String(profile.backup.everyHours),
    BACKUP_KEEP: String(profile.backup.keep),
    BACKUP_URL: backupUrl(profile),
    FILES_SUM: sha256(plan.files.map((file) => file.content).join("")),
  };
}

/** Packs a payload for `remote.Command`. */
export function packPayload(payload: Payload, region: string, program: DeviceProgram = deviceProgram()): PackedPayload {
  return { create: applyCommand(region, program.sha256), stdin: `${packText(payload.text)}\n` };
}

/**
 * The remote command of an apply: short, and the same for every device of a region.
 * @param region named in the mend where the program is missing or another one
 * @param sha256 of the program that must be installed
 */
export function applyCommand(region: string, sha256: string): string {
  return `${checkProgram(region, sha256)}exec $r "$p" apply
`;
}

/**
 * The remote command that takes a device out of the fleet: drains, erases the cluster and the device's identity, and
 * removes the program, whichever release of it is there: a device that has left the inventory gets no new one. Answers
 * `removed`, also where nothing is left to remove.
 * @param id the device's id; another device refuses
 */
export function removeCommand(id: string): string {
  const answer = JSON.stringify({ device: id, result: "removed", hash: "", version: "", reason: "" });
  return `[ -e ${PROGRAM_PATH} ] || [ -e /var/lib/edge-fleet ] || { echo '${answer}'; exit 0; }
r=; [ "$(id -u)" = 0 ] || r="sudo -n"
exec $r ${PROGRAM_PATH} remove ${id}
`;
}

/** Sets `p` to the program and `r` to what runs it as root; answers and ends where it is not the expected one. */
function checkProgram(region: string, sha256: string): string {
  const reason = `program: ${PROGRAM_PATH} is not that of this release - run edge-fleet push ${region}`;
  const answer = JSON.stringify({ device: "", result: "failed", hash: "", version: "", reason });
  return `set -eu; p=${PROGRAM_PATH}; h=$(sha256sum "$p" 2>/dev/null) || :
[ "\${h%% *}" = ${sha256} ] || { cat >/dev/null; echo '${answer}'; exit 1; }
r=; [ "$(id -u)" = 0 ] || r="sudo -n"
`;
}

/** Finds the device's answer inside a longer text, e.g. the error of a failed remote command. */
export const ApplyResultPattern =
  /\{"device":"[^"\n]*","result":"[a-z-]+","hash":"[^"\n]*","version":"[^"\n]*","reason":"(?:[^"\\\n]|\\.)*"\}/;

const RESULTS: readonly string[] = [
  "applied",
  "unchanged",
  "rolled-back",
  "failed",
  "removed",
] satisfies ApplyResult["result"][];

/**
 * Reads the device's answer: the last line of its stdout.
 * @throws Error quoting the line, where it is not the answer of the device program
 */
export function parseApplyResult(stdout: string): ApplyResult {
  const line = stdout.trimEnd().split("\n").at(-1) ?? "";
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = undefined;
  }
  if (!isApplyResult(value)) {
    const shown = line === "" ? "nothing" : JSON.stringify(line.slice(0, 120));
    throw new Error(
      `the device answered ${shown} instead of a result - read /var/log/edge-fleet/apply.log on the device`,
    );
  }
  return value;
}

function isApplyResult(value: unknown): value is ApplyResult {
  if (typeof value !== "object" || value === null) {
    return false;
  }
  const fields = new Map(Object.entries(value));
  return (
    ["device", "result", "hash", "version", "reason"].every((name) => typeof fields.get(name) === "string") &&
    RESULTS.includes(fields.get("result"))
  );
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
