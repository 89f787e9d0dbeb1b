/**
 * The device of K0s' tests: stand-in releases with and without faults, all of them pushed, and what a device must be after
 * an apply.
 */
import assert from "node:assert/strict";
import { type ApplyResult, packPayload, renderPayload } from "../../../components/device/apply.ts";
import type { ArtifactsLock } from "../../../components/inventory/schema.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { ARTIFACTS, buildProfile } from "../../unit/device/profile.ts";
import { Device, PROGRAM, readOutcome, sha256 } from "./apply-device.ts";
import { k0sStandin } from "./others.ts";
import type { Sandbox } from "./sandbox.ts";

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
  [OLD]: k0sStandin(OLD),
  [NEW]: k0sStandin(NEW),
  [BROKEN]: k0sStandin(BROKEN, { fault: "never-ready" }),
  [CRASHING]: k0sStandin(CRASHING, { fault: "crash" }),
  [REFUSING]: k0sStandin(REFUSING, { fault: "refuse-config" }),
};
const LOCK: ArtifactsLock = {
  k0s: Object.fromEntries(
    Object.entries(RELEASES).map(([version, text]) => {
      const file = { url: `http://127.0.0.1:9/${version}/k0s`, sha256: sha256(text), size: text.length };
      return [version, { amd64: file, arm64: file }];
    }),
  ),
};

/** A pushed device with this release and 30 s to become ready. */
export function profileWith(version: string, changes: Partial<Profile> = {}): Profile {
  const base = buildProfile({ architecture: process.arch === "arm64" ? "arm64" : "amd64" });
  return {
    ...base,
    distribution: "k0s",
    k0s: { ...base.k0s, version },
    artifacts: { ...ARTIFACTS, delivery: "push" },
    readiness: { timeoutSeconds: 30 },
    ...changes,
  };
}

/** A sandbox as a device of K0s. */
export class K0sDevice {
  readonly device: Device;
  readonly #sandbox: Sandbox;

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
    this.device = new Device(sandbox);
    this.prepare();
  }

  /** Installs the program and pushes every release. */
  prepare(): void {
    this.device.installProgram();
    for (const text of Object.values(RELEASES)) this.device.store(text);
  }

  /** Applies a profile and waits for the answer. */
  apply(profile: Profile): ApplyResult {
    const { create, stdin } = packPayload(renderPayload(profile, LOCK), profile.region, PROGRAM);
    return readOutcome(this.#sandbox.run(create, stdin));
  }

  /** Process id of the service. */
  pid(): string {
    return this.device.sh("systemctl show -p MainPID --value k0scontroller");
  }

  /** Asserts that the profile's release runs, with the configuration that is there. */
  assertRuns(profile: Profile): void {
    const { device } = this;
    assert.equal(device.sh("k0s version"), profile.k0s.version);
    assert.equal(device.sh("cat /run/standin-k0s/version"), profile.k0s.version);
    assert.equal(device.sh("cat /run/standin-k0s/config"), device.sh("cksum </etc/k0s/k0s.yaml"));
    assert.equal(device.sh("k0s kubectl get --raw=/readyz; systemctl is-enabled k0scontroller"), "ok\nenabled");
  }

  /** Back to a device that was just enrolled. */
  wipe(): void {
    this.device.sh("edge-fleet-device remove edge-0001 </dev/null");
    this.prepare();
  }
}
