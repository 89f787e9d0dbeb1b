/**
 * The device of K0s' tests: stand-in releases with and without faults, all of them pushed, and what a device must be after
 * an apply.
 */
import assert from "node:assert/strict";
import type { ArtifactsLock } from "../../../components/inventory/schema.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { buildProfile } from "../../unit/device/profile.ts";
import { Device, ENGINE, locked, type Packed, pushedProfile } from "./apply-device.ts";
import { k0sStandin } from "./others.ts";
import { shimArchive } from "./shim.ts";

/** Last of the releases whose containerd reads drop-ins of version 2. */
export const CONTAINERD_1 = "v1.35.7+k0s.0";
/** The oldest minor release that is supported. */
export const OLDEST = "v1.34.10+k0s.0";
/** Release that works. */
export const OLD = "v1.36.3+k0s.2";
/** Release that works, to upgrade to. */
export const NEW = "v1.36.4+k0s.0";
/** Release that starts and never becomes ready. */
export const BROKEN = "v1.36.5+k0s.0";
/** Release that exits at once. */
export const CRASHING = "v1.36.6+k0s.0";
/** Release that refuses the configuration. */
export const REFUSING = "v1.36.7+k0s.0";
const RELEASES: Readonly<Record<string, string>> = {
  [OLDEST]: k0sStandin(OLDEST),
  [CONTAINERD_1]: k0sStandin(CONTAINERD_1),
  [OLD]: k0sStandin(OLD),
  [NEW]: k0sStandin(NEW),
  [BROKEN]: k0sStandin(BROKEN, { fault: "never-ready" }),
  [CRASHING]: k0sStandin(CRASHING, { fault: "crash" }),
  [REFUSING]: k0sStandin(REFUSING, { fault: "refuse-config" }),
};
const SHIM = shimArchive("#!/bin/sh\n");
const LOCK: ArtifactsLock = {
  ...ENGINE,
  k0s: Object.fromEntries(
    Object.entries(RELEASES).map(([version, text]) => [version, { amd64: locked(text), arm64: locked(text) }]),
  ),
  wasm: { spin: { version: "v0.24.0", amd64: locked(SHIM), arm64: locked(SHIM) } },
};

/** A pushed device with this release and 30 s to become ready. */
export function profileWith(version: string, changes: Partial<Profile> = {}): Profile {
  return pushedProfile({ distribution: "k0s", k0s: { ...buildProfile().k0s, version }, ...changes });
}

/** See {@link Device}. */
export class K0sDevice extends Device {
  /** Installs the program and pushes every release. */
  override enroll(): void {
    super.enroll();
    for (const content of [SHIM, ...Object.values(RELEASES)]) this.store(content);
  }

  override packed(profile: Profile, lock = LOCK): Packed {
    return super.packed(profile, lock);
  }

  override pid(service = "k0scontroller"): string {
    return super.pid(service);
  }

  /** Asserts that the profile's release runs, with the configuration that is there, and that nothing is left over. */
  override assertIs(profile: Profile): void {
    assert.equal(this.sh("k0s version"), profile.k0s.version);
    assert.equal(this.sh("cat /run/standin-k0s/version"), profile.k0s.version);
    assert.equal(this.sh("cat /run/standin-k0s/config"), this.sh("cksum </etc/k0s/k0s.yaml"));
    assert.equal(this.sh("k0s kubectl get --raw=/readyz; systemctl is-enabled k0scontroller"), "ok\nenabled");
    this.assertTidy();
  }

  /** Back to a device that was just enrolled. */
  override wipe(): void {
    this.killAt("");
    this.sh("edge-fleet-device remove edge-0001 </dev/null");
    this.enroll();
  }
}
