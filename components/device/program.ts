/**
 * The device program: one constant POSIX sh text, the same for every device, model and distribution, from the shell files
 * of `program/` and those of the distributions. It is installed once per device; what a device is to become travels as data (`components/plan/payload.ts`).
 */
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync, strToU8 } from "fflate";

/** The program and its name. */
export interface DeviceProgram {
  /** POSIX sh, self-contained, without comments. */
  readonly text: string;
  /** SHA-256 of {@link text} in lower-case hex: what a device must have installed. */
  readonly sha256: string;
}

/** Where the program is installed on a device, owned by root, mode 0755. */
export const PROGRAM_PATH = "/usr/local/sbin/edge-fleet-device";

const FOLDER = join(import.meta.dirname, "program");

const HEAD =
  "#!/bin/sh\n# The device program of edge-fleet. Installed by the first dial of edge-fleet - do not edit.\n";

let built: DeviceProgram | undefined;

/** The program of this release: `journal.sh` first, since it sets the paths, `main.sh` last, the others by name. */
export function deviceProgram(): DeviceProgram {
  if (built === undefined) {
    const paths = [
      ...globSync("*.sh", { cwd: FOLDER }),
      ...globSync("../../plan/distributions/*/*.sh", { cwd: FOLDER }),
    ];
    const rank = (name: string): number => (name === "journal.sh" ? 0 : name === "main.sh" ? 2 : 1);
    const order = (path: string): string => `${rank(basename(path))}${basename(path)}`;
    paths.sort((a, b) => (order(a) < order(b) ? -1 : 1));
    built = assembleProgram(paths.map((path) => readFileSync(join(FOLDER, path), "utf8")));
  }
  return built;
}

/** Joins shell files to a program. Lines that are empty or a comment go: a device needs neither. */
export function assembleProgram(parts: readonly string[]): DeviceProgram {
  const text = HEAD + parts.map((part) => part.replace(/^\s*(#.*)?\n/gm, "")).join("");
  return { text, sha256: createHash("sha256").update(text).digest("hex") };
}

/** Compresses in JavaScript, so that the bytes do not depend on the zlib of the Node release. */
export function packText(text: string): string {
  return Buffer.from(gzipSync(strToU8(text), { level: 9, mem: 4, mtime: 0 })).toString("base64");
}
