/**
 * Builds the lab's stand-ins for the K0s binary and the MicroK8s snap: shell scripts that answer as the named release. No
 * part of the product.
 */
import { createHash } from "node:crypto";
import { fillStandin } from "./fill.ts";

/** How a stand-in release behaves. */
export interface StandinOptions {
  /** Fault built into this release. `refuse-config` (K0s alone): its `config validate` fails. */
  readonly fault?: "never-ready" | "crash" | "refuse-config";
  /** Seconds from start to ready. Default 1. */
  readonly readySeconds?: number;
}

/**
 * The stand-in for one K0s release.
 * @param version release, e.g. `v1.36.3+k0s.2`
 */
export function k0sStandin(version: string, options: StandinOptions = {}): string {
  return fillStandin("k0s.sh", version, options);
}

/** A stand-in for a snap and its assertions. */
export interface SnapStandin {
  readonly revision: number;
  readonly snap: string;
  readonly assertions: string;
}

/**
 * The stand-in for one MicroK8s snap.
 * @param version release, e.g. `v1.36.2`
 * @param revision number that snapd knows it by
 */
export function microk8sStandin(version: string, revision: number, options: StandinOptions = {}): SnapStandin {
  const snap = fillStandin("microk8s.sh", version, options);
  return { revision, snap, assertions: assertionsOf("microk8s", revision, snap) };
}

/** The stand-in for a snap that snapd needs before MicroK8s: the one that it is built on, or snapd's own. */
export function systemSnapStandin(name: "core22" | "snapd", revision: number): SnapStandin {
  const snap = `#!/bin/sh\nVERSION='20260801'\n: ${name} ${revision}\n`;
  return { revision, snap, assertions: assertionsOf(name, revision, snap) };
}

/** The stand-in for snapd knows a snap by its SHA-256, where the real one has a SHA3-384 and signatures. */
function assertionsOf(name: string, revision: number, snap: string): string {
  const digest = createHash("sha256").update(snap).digest("hex");
  return `type: snap-declaration
snap-name: ${name}

type: snap-revision
snap-sha3-384: ${digest}
snap-revision: ${revision}
`;
}
