/**
 * Makes a stand-in out of its template: the shell that the stand-ins share, and what distinguishes one release from
 * another. No part of the product.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** How a stand-in release behaves. */
export interface ReleaseOptions {
  /** Fault built into this release; each template says which ones it has. Default: none. */
  readonly fault?: string;
  /** Seconds from start to ready. Default 1; a release with a real API takes what that takes. */
  readonly readySeconds?: number;
}

/** Lines of a template in whose place a file is put. */
const SHARED: readonly (readonly [line: string, file: string])[] = [
  ["# @KUBE_API@\n", "kube-api.sh"],
  ["# @STANDIN@\n", "standin.sh"],
  ["# @K3S_BOOTSTRAP@\n", "k3s-bootstrap.sh"],
];

/**
 * The stand-in for one release, as a shell script.
 * @param template file name below `artifacts`
 * @param version release, e.g. `v1.36.2+k3s1`
 */
export function fillStandin(template: string, version: string, options: ReleaseOptions = {}): string {
  const text = SHARED.reduce((filled, [line, file]) => filled.replace(line, () => read(file)), read(template));
  return text
    .replaceAll("@VERSION@", version)
    .replaceAll("@FAULT@", options.fault ?? "")
    .replaceAll("@READY_SECONDS@", String(options.readySeconds ?? 1));
}

function read(file: string): string {
  return readFileSync(join(import.meta.dirname, "artifacts", file), "utf8");
}
