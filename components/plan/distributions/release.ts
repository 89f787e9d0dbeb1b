/** What a distribution's releases say: which Kubernetes they are, and whether it is one that edge-fleet runs. Pure. */
import type { Profile } from "../../inventory/types.ts";
import { error, type Finding } from "./finding.ts";

/** `v1.36.2+k3s1` -> 36. */
export function minorOf(version: string): number {
  return Number(/^v1\.(\d+)\./.exec(version)?.[1] ?? Number.NaN);
}

/**
 * What stands against the release of a profile.
 * @param oldest the first one that works, e.g. `v1.34.0+k0s.0`; its patch release is not compared
 */
export function checkRelease(profile: Profile, oldest: string): Finding[] {
  const { distribution } = profile;
  const { version } = profile[distribution];
  if (minorOf(version) >= minorOf(oldest)) return [];
  return [error(`${distribution}.version`, `${version} is not supported - use ${oldest} or later`)];
}
