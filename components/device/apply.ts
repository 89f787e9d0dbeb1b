/**
 * From a profile to what one SSH command runs on the device: the rendered apply script (desired state as a header, then
 * the bodies of journal.sh and apply.sh), packed for the command's stdin, and the parsed answer. Pure: no clock, no
 * network; the only files read are those two beside this one.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, strToU8 } from "fflate";
import type { ArtifactsLock } from "../inventory/schema.ts";
import type { Profile } from "../inventory/types.ts";
import { type ResolvedArtifact, resolveArtifact } from "./artifact.ts";
import { type DeviceFile, type DistributionPlan, renderDistribution } from "./distributions/index.ts";

/** The script of one device. */
export interface ApplyScript {
  /** POSIX sh, self-contained. */
  readonly text: string;
  /**
   * SHA-256 over everything that defines the device's desired state: files, modes, binary, labels, readiness targets.
   * How it gets there (URL, delivery, timeouts, wording of the script) is left out: it must not restart a device.
   */
  readonly hash: string;
  /** Seconds that the device may take to become ready. */
  readonly readySeconds: number;
}

/** The script as a remote command. */
export interface PackedScript {
  /** Short sh text, the same for every device and release of the inventory. */
  readonly create: string;
  /** First line `<sha256 of the script> <seconds until it is killed>`, then base64 of the gzipped script. */
  readonly stdin: string;
}

/** What the device answered. */
export interface ApplyResult {
  readonly device: string;
  /** `rolled-back`: the new state failed and the previous one runs again, or nothing is left of a first install. */
  readonly result: "applied" | "unchanged" | "rolled-back" | "failed";
  /** {@link ApplyScript.hash} of the run. */
  readonly hash: string;
  readonly version: string;
  /** Empty where all went well; else a short id, the finding and the mend. */
  readonly reason: string;
}

/** 2026-01-01: no device whose clock is earlier can be right, and a K3s CA made under a wrong clock is not repaired. */
const CLOCK_FLOOR = Date.UTC(2026, 0, 1) / 1000;

/** Bytes taken for a binary whose lock entry has no size: above every K3s release so far. */
const ASSUMED_SIZE = 96 * 1024 * 1024;

/** Room for the download, the installed copy and what the binary unpacks (about 200 MB for K3s). */
const SPACE_FACTOR = 4;

const PLAIN = /^[A-Za-z0-9_./:@%+,-]+$/;
const BODY = ["journal.sh", "apply.sh"].map((name) => readFileSync(join(import.meta.dirname, name), "utf8")).join("");

/**
 * Renders the script of one device.
 * @throws Error naming device, setting and mend, see {@link renderDistribution} and {@link resolveArtifact}
 */
export function renderApplyScript(profile: Profile, lock: ArtifactsLock): ApplyScript {
  const plan = renderDistribution(profile);
  const artifact = resolveArtifact(profile, lock);
  plan.files.forEach(checkFile);
  const hash = desiredStateHash(profile, plan, artifact);
  const variables = {
    DEVICE: profile.id,
    REGION: profile.region,
    HASH: hash,
    VERSION: plan.version,
    ARCH: profile.architecture,
    SHA256: artifact.sha256,
    URL: artifact.url,
    DELIVERY: artifact.delivery,
    NEED_KIB: String(Math.ceil(((artifact.size ?? ASSUMED_SIZE) * SPACE_FACTOR) / 1024)),
    READY_SECONDS: String(profile.readiness.timeoutSeconds),
    CLOCK_FLOOR: String(CLOCK_FLOOR),
    BIN: plan.binary,
    SERVICE: plan.service,
    UNIT: plan.unit,
    CONFIG_DIR: plan.configDirectory,
    FOREIGN: plan.foreignSetting,
    KUBECTL: plan.kubectl,
    DEPLOYMENTS: plan.deployments.join(" "),
    LABELS: plan.labels.join(" "),
    PATHS: plan.files.map((file) => file.path).join(" "),
    LIVE_PATHS: plan.files.flatMap((file) => (file.live ? [file.path] : [])).join(" "),
    FILES_SUM: sha256(plan.files.map((file) => file.content).join("")),
  };
  const text = [
    "#!/bin/sh",
    `# edge-fleet: ${profile.id} becomes ${profile.distribution} ${plan.version}. Rendered - change the inventory instead.`,
    ...Object.entries(variables).map(([name, value]) => `${name}=${shellWord(value)}`),
    "files() {",
    ...plan.files.map(hereDocument),
    "}",
    stripComments(BODY),
  ].join("\n");
  return { text, hash, readySeconds: profile.readiness.timeoutSeconds };
}

/**
 * Packs a script for `remote.Command`. Compression is done in JavaScript, so that the bytes (and with them the state)
 * do not depend on the zlib of the Node release.
 */
export function packApplyScript(script: ApplyScript): PackedScript {
  const gzipped = gzipSync(strToU8(script.text), { level: 9, mem: 4, mtime: 0 });
  const header = `${sha256(script.text)} ${script.readySeconds + KILL_AFTER_SECONDS}`;
  return { create: CREATE, stdin: `${header}\n${Buffer.from(gzipped).toString("base64")}\n` };
}

/** Room for the download beside the health gate. The engine cannot end a running remote command by itself. */
const KILL_AFTER_SECONDS = 900;

const CREATE = `set -eu; umask 077; f=$(mktemp)
trap 'rm -f "$f"' EXIT; trap 'exit 1' HUP INT TERM
read -r sum limit; base64 -d | gzip -dc >"$f"
echo "$sum  $f" | sha256sum -c - >/dev/null || { echo "edge-fleet: the script arrived damaged - run again" >&2; exit 1; }
root=; [ "$(id -u)" = 0 ] || root="sudo -n"
$root timeout -k 10 "$limit" sh "$f"
`;

/** Finds the device's answer inside a longer text, e.g. the error of a failed remote command. */
export const ApplyResultPattern =
  /\{"device":"[^"\n]*","result":"[a-z-]+","hash":"[^"\n]*","version":"[^"\n]*","reason":"(?:[^"\\\n]|\\.)*"\}/;

const RESULTS: readonly string[] = ["applied", "unchanged", "rolled-back", "failed"] satisfies ApplyResult["result"][];

/**
 * Reads the device's answer: the last line of its stdout.
 * @throws Error quoting the line, where it is not the answer of an apply script
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

function desiredStateHash(profile: Profile, plan: DistributionPlan, artifact: ResolvedArtifact): string {
  const { version, binary, service, deployments, labels, files } = plan;
  const { id, architecture, distribution } = profile;
  const state = { id, architecture, distribution, version, binary, service, deployments, labels, files };
  return sha256(JSON.stringify({ ...state, sha256: artifact.sha256 }));
}

function checkFile(file: DeviceFile): void {
  if (!/^(\/[A-Za-z0-9._-]+)+$/.test(file.path) || !/^0[0-7]{3}$/.test(file.mode) || !file.content.endsWith("\n")) {
    throw new Error(
      `device file ${file.path}: needs an absolute path without blanks, a mode like 0600, a last newline`,
    );
  }
}

function hereDocument(file: DeviceFile): string {
  const lines = new Set(file.content.split("\n"));
  let delimiter = "EOF";
  while (lines.has(delimiter)) {
    delimiter += "_";
  }
  return `file ${file.mode} ${file.path} <<'${delimiter}'\n${file.content}${delimiter}`;
}

function shellWord(value: string): string {
  return PLAIN.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

function stripComments(body: string): string {
  return body.replace(/^\s*(#.*)?\n/gm, "");
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
