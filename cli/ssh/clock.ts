/**
 * A device's clock against the controller's: from what the device says over one connection, and when it can have said so,
 * to the seconds by which it is wrong. A first start by a wrong clock makes certificates that do not hold. Pure.
 */
import type { Profile } from "../../components/inventory/index.ts";

/** Which Kubernetes a device runs. */
type Distribution = Profile["distribution"];

/** The controller's own seconds since 1970 between which a device has told its time: the link may be as slow as it is. */
export interface Bracket {
  /** Before the device was asked. */
  readonly before: number;
  /** When the answer was there. */
  readonly after: number;
}

/** What a device says of its clock. */
export interface DeviceClock {
  /** Seconds since 1970. */
  readonly seconds: number;
  /** It has a cluster, whose certificates are made. */
  readonly started: boolean;
}

/** Seconds that a clock may be off: as the check `clock` of program/preflight-machine.sh. */
export const CLOCK_TOLERANCE = 30;

/** Seconds for which a device whose clock is off waits for its time service. */
const SYNC_SECONDS = 20;

/** What the first start of a distribution leaves: as `started` of program/preflight.sh. */
export const STARTED_PATHS: Readonly<Record<Distribution, readonly string[]>> = {
  k3s: ["/var/lib/rancher/k3s/server/tls", "/var/lib/rancher/k3s/agent/client-ca.crt"],
  k0s: ["/var/lib/k0s/pki/ca.crt"],
  microk8s: ["/var/snap/microk8s/current/certs/ca.crt"],
};

/**
 * Shell commands, without a `'`, with which a device says its clock in a line for {@link parseClock}. A clock that is off
 * is first given time to be set, where systemd-timesyncd is at it.
 * @param now the controller's seconds since 1970
 */
export function clockCommand(distribution: Distribution, now: number): string {
  const off = `t=$(date +%s); o=$((t - ${Math.round(now)} - w)); [ "\${o#-}" -gt ${CLOCK_TOLERANCE} ]`;
  const syncing = `r=\${EDGE_FLEET_ROOT-}/run/systemd/timesync; [ -d "$r" ] && [ ! -e "$r/synchronized" ]`;
  const started = STARTED_PATHS[distribution].map((path) => `[ ! -e "\${EDGE_FLEET_ROOT-}${path}" ] || s=1`);
  return [
    `w=0; while ${off} && [ "$w" -lt ${SYNC_SECONDS} ] && { ${syncing}; }; do sleep 1; w=$((w + 1)); done`,
    `s=0; ${started.join("; ")}`,
    'echo "clock $t $s"',
  ].join("; ");
}

/** Reads a line of the device. @returns undefined for any other line */
export function parseClock(line: string): DeviceClock | undefined {
  const [, seconds, started] = /^clock (\d{1,12}) ([01])\s*$/.exec(line) ?? [];
  return seconds === undefined ? undefined : { seconds: Number(seconds), started: started === "1" };
}

/** Seconds by which a device's clock is ahead; below 0 behind; 0 where it may be right. */
export function clockOffset(seconds: number, { before, after }: Bracket): number {
  if (seconds > Math.ceil(after)) return seconds - Math.ceil(after);
  return Math.min(0, seconds - Math.floor(before));
}

/**
 * The finding `clock` of the preflight.
 * @returns undefined where the clock is right
 */
export function clockFinding(seconds: number, bracket: Bracket): string | undefined {
  const offset = clockOffset(seconds, bracket);
  if (Math.abs(offset) <= CLOCK_TOLERANCE) return undefined;
  return `the clock says ${utc(seconds)}, the controller ${utc(seconds - offset)}: certificates made now would not hold - set it (timedatectl set-time, date -s, or an NTP server that the device reaches) and run again`;
}

/** Present seconds of the controller. */
export function controllerSeconds(): number {
  return Date.now() / 1000;
}

function utc(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}
