/**
 * Builds the lab's stand-in for the K3s binary: a shell script that answers as the named release, so that downloads,
 * checksums, swaps and health gates are exercised without a cluster. No part of the product.
 */
import { join } from "node:path";
import { fillStandin } from "./fill.ts";

/** How a stand-in release behaves. */
export interface K3sStandinOptions {
  /**
   * Fault built into this release. `never-ready`: starts, never answers. `crash`: exits 1. `slow`: ready after 8 s.
   * `migrate`: never ready, and leaves a datastore that no other release can read.
   */
  readonly fault?: "never-ready" | "crash" | "slow" | "migrate";
  /** Seconds from start to ready. Default 1. */
  readonly readySeconds?: number;
}

/** Executables that the lab copies into `/usr/local/bin` of each device. */
export const STANDIN_BIN = join(import.meta.dirname, "bin");

/**
 * The stand-in for one K3s release.
 * @param version release, e.g. `v1.36.2+k3s1`
 */
export function k3sStandin(version: string, options: K3sStandinOptions = {}): string {
  return fillStandin("k3s.sh", version, options);
}

/** How a stand-in release with a real API behaves. */
export interface K3sApiStandinOptions {
  /** Fault built into this release. `never-ready`: the API answers, the node does not. `crash`: exits 1. */
  readonly fault?: "never-ready" | "crash";
}

/**
 * The stand-in for one K3s release with a real Kubernetes API, which the toolchain's part `k3s-apiserver` is; a device
 * has that at {@link K3S_API_PATH}.
 * @param version release, e.g. `v1.36.2+k3s1`
 */
export function k3sApiStandin(version: string, options: K3sApiStandinOptions = {}): string {
  return fillStandin("k3s-apiserver.sh", version, options);
}

/** Where a device has the part `k3s-apiserver`. */
export const K3S_API_PATH = "/opt/edge-fleet-lab/k3s-apiserver";
