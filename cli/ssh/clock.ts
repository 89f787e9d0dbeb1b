/**
 * The seconds by which a device's clock is wrong, by what it says over one connection and when it can have said so. A
 * first start by a wrong clock makes certificates that do not hold. Pure.
 */
/** The workstation's own seconds since 1970 between which a device has told its time: the link may be as slow as it is. */
export interface Bracket {
  /** Before the device was asked. */
  readonly before: number;
  /** When the answer was there. */
  readonly after: number;
}

/** Seconds that a clock may be off: as the check `clock` of program/preflight-machine.sh. */
export const CLOCK_TOLERANCE = 30;

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
  return `the clock says ${utc(seconds)}, the workstation ${utc(seconds - offset)}: certificates made now would not hold - set it (timedatectl set-time, date -s, or an NTP server that the device reaches) and run again`;
}

/** Present seconds of this workstation. */
export function workstationSeconds(): number {
  return Date.now() / 1000;
}

function utc(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");
}
