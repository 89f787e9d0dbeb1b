/**
 * What one connection of the doctor sends: a short script that makes itself root where it may, and on its stdin the
 * preflight. It serves before a device is enrolled and whatever device program it has. Pure.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ArtifactsLock, Profile } from "../../components/inventory/index.ts";
import { resolveArtifacts } from "../../components/plan/artifact.ts";
import { neededKib, preflightSetting, preflightText } from "../../components/plan/preflight.ts";

const DIAGNOSE = readFileSync(join(import.meta.dirname, "diagnose.sh"), "utf8");

/** What is asked of one device. */
export interface Examination {
  readonly profile: Profile;
  readonly lock: ArtifactsLock;
  /** The device may fix its memory cgroup and reboot, once in its life. */
  readonly allowReboot: boolean;
}

/** A connection's script and its input. Neither holds a secret. */
export interface ExaminationScript {
  /** Without a `'`, see `RemoteCommand`: as root if that is allowed, else as the log-in user, who then sees less. */
  readonly script: string;
  readonly stdin: string;
}

const AS_ROOT_IF_ALLOWED =
  'if [ "$(id -u)" -eq 0 ]; then exec /bin/sh -s; fi; if sudo -n /bin/sh -c : 2>/dev/null; then exec sudo -n /bin/sh -s; fi; exec /bin/sh -s';

/**
 * Renders both.
 * @param now this machine's time in seconds, by which the device judges its clock
 */
export function examinationScript(examination: Examination, now: number): ExaminationScript {
  const lines = [
    "set -eu; umask 077",
    "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin LC_ALL=C",
    ...Object.entries(settingsOf(examination, now)).map(([name, value]) => `${name}=${quoteWord(value)}`),
    `${diagnosisText()}diagnose </dev/null\n`,
  ];
  return { script: AS_ROOT_IF_ALLOWED, stdin: lines.join("\n") };
}

/** Defines the function `diagnose`; runs nothing. */
export function diagnosisText(): string {
  return `${preflightText()}${DIAGNOSE}`;
}

function settingsOf(examination: Examination, now: number): Record<string, string> {
  const { profile, allowReboot } = examination;
  return {
    DEVICE: profile.id,
    DISTRIBUTION: profile.distribution,
    INIT: profile.init,
    ARCH: profile.architecture,
    MEMORY_MIB: String(profile.memoryMiB),
    NEED_KIB: neededSpace(examination),
    WASM: profile.wasm.join(" "),
    REPLACE: profile.replace ? "1" : "",
    PREFLIGHT: preflightSetting(profile),
    ALLOW_REBOOT: allowReboot ? "1" : "",
    EDGE_FLEET_NOW: String(now),
  };
}

/** One word of a POSIX shell command. */
function quoteWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A device is examined also where its artifacts are not locked yet. */
function neededSpace({ profile, lock }: Examination): string {
  try {
    return String(neededKib(resolveArtifacts(profile, lock)));
  } catch {
    return "";
  }
}
