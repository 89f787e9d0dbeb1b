/**
 * What one connection of the doctor sends: a short remote command, and on its stdin one line for the installed device
 * program and then the preflight itself as a script. The script serves before a device is enrolled and whatever program it
 * has; the program serves a log-in user who may run nothing else as root. Pure.
 */

import { PROGRAM_PATH, packText } from "../../components/device/program.ts";
import type { ArtifactsLock, Profile } from "../../components/inventory/index.ts";
import { resolveArtifacts } from "../../components/plan/artifact.ts";
import { placeholderSecrets } from "../../components/plan/distributions/k3s/secrets.ts";
import { renderPayload } from "../../components/plan/payload.ts";
import { neededKib, preflightSetting, preflightText } from "../../components/plan/preflight.ts";
import { quoteWord } from "../ssh/arguments.ts";

/** What is asked of one device. */
export interface Examination {
  readonly profile: Profile;
  readonly lock: ArtifactsLock;
  /** Profile of the server that the device joins, where it joins one. */
  readonly server: Profile | undefined;
  /** The device may mend its memory cgroup and reboot, once in its life. */
  readonly allowReboot: boolean;
}

/** A connection's command and input. Neither holds a secret. */
export interface ExaminationScript {
  /** For the log-in shell, whichever it is: one line, no `'` but the outer ones. */
  readonly command: string;
  readonly stdin: string;
}

/**
 * Renders both.
 * @param now the controller's time in seconds, by which the device judges its clock
 */
export function examinationScript(examination: Examination, now: number): ExaminationScript {
  const script = [
    "set -eu; umask 077",
    "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin LC_ALL=C",
    ...Object.entries(settingsOf(examination, now)).map(([name, value]) => `${name}=${quoteWord(value)}`),
    `${preflightText()}diagnose </dev/null\n`,
  ];
  return { command: remoteCommand(now), stdin: `${programLine(examination)}\n${script.join("\n")}` };
}

/** As root if that is allowed; else through the installed program; else as the log-in user, who then sees less. */
function remoteCommand(now: number): string {
  const steps = [
    "IFS= read -r line",
    'if [ "$(id -u)" -eq 0 ]; then exec /bin/sh -s; fi',
    "if sudo -n /bin/sh -c : 2>/dev/null; then exec sudo -n /bin/sh -s; fi",
    `if answer=$(echo "$line" | sudo -n ${PROGRAM_PATH} doctor ${now} 2>/dev/null); then echo "$answer"; exit 0; fi`,
    "exec /bin/sh -s",
  ];
  return `exec /bin/sh -c '${steps.join("; ")}'`;
}

function settingsOf({ profile, lock, allowReboot }: Examination, now: number): Record<string, string> {
  return {
    DEVICE: profile.id,
    DISTRIBUTION: profile.distribution,
    INIT: profile.init,
    ARCH: profile.architecture,
    MEMORY_MIB: String(profile.memoryMiB),
    NEED_KIB: attempt(() => String(neededKib(resolveArtifacts(profile, lock)))) ?? "",
    WASM: profile.wasm.join(" "),
    REPLACE: profile.replace ? "1" : "",
    PREFLIGHT: preflightSetting(profile),
    MANAGED_REBOOT: allowReboot ? "1" : "",
    EDGE_FLEET_NOW: String(now),
  };
}

/** A payload with settings and without files; a single blank line where the profile cannot be rendered yet. */
function programLine({ profile, lock, server, allowReboot }: Examination): string {
  const context = { secrets: placeholderSecrets(profile, false), ...(server === undefined ? {} : { server }) };
  const payload = attempt(() => renderPayload(profile, lock, context).body);
  if (payload === undefined) return "";
  const lines = payload.split("\n");
  const end = lines.findIndex((line, index) => index > 0 && !line.startsWith("set "));
  // What an apply may do by the inventory's leave, the doctor may by its own option alone.
  const settings = lines.slice(0, end).filter((line) => !line.startsWith("set MANAGED_REBOOT "));
  const reboot = allowReboot ? ["set MANAGED_REBOOT 1"] : [];
  return packText([...settings, ...reboot, "end\n"].join("\n"));
}

/** A device is examined also where its artifacts are not locked yet or its settings cannot be rendered. */
function attempt<T>(compute: () => T): T | undefined {
  try {
    return compute();
  } catch {
    return undefined;
  }
}
