/**
 * The device of MicroK8s' tests: stand-in snaps with and without faults, all of them pushed, and what a device must be after
 * an apply.
 */
import assert from "node:assert/strict";
import type { ArtifactsLock } from "../../../components/inventory/schema.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { ARTIFACT_STORE } from "../../../components/plan/artifact.ts";
import { buildProfile } from "../../unit/device/profile.ts";
import { Device, ENGINE, locked, type Packed, pushedProfile, sha256 } from "./apply-device.ts";
import { k0sStandin, microk8sStandin, type SnapStandin, systemSnapStandin } from "./others.ts";
import { shimArchive } from "./shim.ts";

/** Release that works. */
export const OLD = "v1.36.2";
/** Release that works, to upgrade to. */
export const NEW = "v1.36.4";
/** Release that starts and never becomes ready. */
export const BROKEN = "v1.36.5";
/** Base of every release. */
export const BASE = systemSnapStandin("core22", 2300);
/** The snapd that the lock names. */
export const SNAPD = systemSnapStandin("snapd", 26_000);
/** An earlier snapd. */
export const OLD_SNAPD = systemSnapStandin("snapd", 19_000);
/** A later snapd. */
export const NEW_SNAPD = systemSnapStandin("snapd", 27_000);
/** Snaps by release. */
export const RELEASES = {
  [OLD]: microk8sStandin(OLD, 8000),
  [NEW]: microk8sStandin(NEW, 8004),
  [BROKEN]: microk8sStandin(BROKEN, 8005, { fault: "never-ready" }),
} as const;
/** Password of a mirror, with what needs quoting. */
export const PASSWORD = 's3cret "of" the \\ mirror';
const SHIM = shimArchive("#!/bin/sh\n");
/** A release of K0s, which may replace MicroK8s. */
export const K0S_VERSION = "v1.36.3+k0s.2";
const K0S = k0sStandin(K0S_VERSION);
const FILES = [BASE, SNAPD, OLD_SNAPD, NEW_SNAPD, ...Object.values(RELEASES)].flatMap(({ snap, assertions }) => [
  snap,
  assertions,
]);

const LOCK: ArtifactsLock = {
  ...ENGINE,
  microk8s: Object.fromEntries(
    Object.entries(RELEASES).map(([version, { revision, snap, assertions }]) => {
      const base = { base: locked(BASE.snap), baseAssertions: locked(BASE.assertions) };
      const snapd = { snapd: locked(SNAPD.snap), snapdAssertions: locked(SNAPD.assertions) };
      const entry = { revision, snap: locked(snap), assertions: locked(assertions), ...base, ...snapd };
      return [version, { amd64: entry, arm64: entry }];
    }),
  ),
  k0s: { [K0S_VERSION]: { amd64: locked(K0S), arm64: locked(K0S) } },
  wasm: { spin: { version: "v0.24.0", amd64: locked(SHIM), arm64: locked(SHIM) } },
};

/** A pushed device with this release, the Spin runtime and 30 s to become ready. */
export function profileWith(version: string, changes: Partial<Profile> = {}): Profile {
  const microk8s = { ...buildProfile().microk8s, version };
  return pushedProfile({ distribution: "microk8s", microk8s, wasm: ["spin"], ...changes });
}

/** See {@link Device}. */
export class MicroK8sDevice extends Device {
  /** Installs the program, pushes every snap, and has the node's name. */
  override enroll(): void {
    this.sh(
      "mkdir -p /run/dbus; : >/run/dbus/system_bus_socket; : >/run/host; mount --bind /run/host /proc/sys/kernel/hostname",
    );
    this.rename("edge-0001");
    this.prepare();
  }

  /** Installs the program and pushes every snap. */
  prepare(): void {
    this.installProgram();
    for (const content of [SHIM, K0S, ...FILES]) this.store(content);
  }

  /** MicroK8s names the node after the host, and a sandbox has the name of the machine. */
  rename(name: string): void {
    this.sh(`echo ${name} >/run/host`);
  }

  /** Installs a snap by hand. */
  installSnap({ snap, assertions }: SnapStandin): void {
    this.sh(
      `snap ack ${ARTIFACT_STORE}/${sha256(assertions)}; snap install --classic ${ARTIFACT_STORE}/${sha256(snap)}; :`,
    );
  }

  override packed(profile: Profile, lock = LOCK): Packed {
    return super.packed(profile, lock, { secrets: { mirror: PASSWORD } });
  }

  override pid(service = "snap.microk8s.daemon-kubelite"): string {
    return super.pid(service);
  }

  /** Arguments of a service, sorted. */
  argumentsOf(service: string): string[] {
    return this.sh(`grep -v '^#' /var/snap/microk8s/current/args/${service}; :`).split("\n").sort();
  }

  /** Asserts that the profile's release runs, with the arguments that are there, and that nothing is left over. */
  override assertIs({ microk8s: { version }, kubelet }: Profile): void {
    assert.equal(this.sh("snap list microk8s | awk 'NR == 2 { print $2 }'"), version);
    assert.equal(this.sh("cat /run/standin-microk8s/version"), version);
    assert.equal(
      this.sh("cat /run/standin-microk8s/config"),
      this.sh("cat /var/snap/microk8s/current/args/kube* | cksum"),
      "what runs was started with what the files say",
    );
    assert.equal(this.sh("/snap/bin/microk8s kubectl get --raw=/readyz"), "ok");
    assert.ok(this.argumentsOf("kube-apiserver").includes("--authorization-mode=RBAC,Node"));
    assert.ok(this.argumentsOf("kubelet").includes(`--max-pods=${kubelet.maxPods}`));
    this.assertTidy();
  }

  /** Back to a device that was just enrolled. */
  override wipe(): void {
    this.killAt("");
    this.sh("edge-fleet-device remove edge-0001 </dev/null");
    this.prepare();
  }
}
