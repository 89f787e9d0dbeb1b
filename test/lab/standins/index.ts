/**
 * Builds the lab's stand-in for the K3s binary: a shell script that answers as the named release, so that downloads,
 * checksums, swaps and health gates are exercised without a cluster. No part of the product.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

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

const TEMPLATE = join(import.meta.dirname, "artifacts", "k3s.sh");

/**
 * The stand-in for one K3s release.
 * @param version release, e.g. `v1.36.2+k3s1`
 */
export function k3sStandin(version: string, options: K3sStandinOptions = {}): string {
  return readFileSync(TEMPLATE, "utf8")
    .replaceAll("@VERSION@", version)
    .replaceAll("@FAULT@", options.fault ?? "")
    .replaceAll("@READY_SECONDS@", String(options.readySeconds ?? 1));
}
