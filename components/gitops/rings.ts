/**
 * Ring files: which commit each rollout group deploys. From `rings/<ring>.yaml` to revisions by ring, and back for
 * `edge-fleet promote`. A ring without a file deploys nothing.
 */
import { mkdirSync, readdirSync } from "node:fs";
import { join, posix } from "node:path";
import { z } from "zod";
import { parseYamlFile } from "../inventory/files.ts";
import { inspect, replaceFile } from "./disk.ts";
import { formatYaml } from "./yaml.ts";

const RING_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const REVISION = /^[0-9a-f]{40}$/;
const REVISION_MEND =
  "is not a full commit SHA - write 40 lower-case hex digits in quotes: devices heal offline from a full SHA only";

/** What a ring file says. */
const RingSchema = z.strictObject({
  ring: z.string().regex(RING_NAME, "is not a ring's name - use lower-case letters, digits and inner hyphens"),
  revision: z.string().regex(REVISION, REVISION_MEND),
});

/** Full commit SHA by ring. */
export type Revisions = ReadonlyMap<string, string>;

/** The rings of a tree's folder. */
export interface Rings {
  readonly revisions: Revisions;
  /** Rings of the fleet without a file: they deploy nothing. In the fleet's order. */
  readonly missing: readonly string[];
  /** Ring files of rings that the fleet does not have: they select no device. */
  readonly foreign: readonly string[];
}

/** Thrown with every problem of the ring files, one line each: `file:line:column field: what - mend`. */
export class RingError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "RingError";
    this.problems = problems;
  }
}

/**
 * Parses one ring file.
 * @param file its path; the base name without `.yaml` must be the ring's name
 * @throws RingError
 */
export function parseRing(file: string, text: string): { readonly ring: string; readonly revision: string } {
  const problems: string[] = [];
  const { value, position } = parseYamlFile(file, text, RingSchema, problems);
  const expected = posix.basename(file, ".yaml");
  if (value !== undefined && value.ring !== expected) {
    const { line, column } = position(["ring"]);
    problems.push(`${file}:${line}:${column} ring: is ${value.ring} in the file of ${expected} - write ${expected}`);
  }
  if (value === undefined || problems.length > 0) throw new RingError(problems);
  return value;
}

/**
 * Reads all ring files of a tree.
 * @param directory the tree's folder; need not exist
 * @param rings the fleet's rings in their order
 * @throws RingError with the problems of all files
 */
export function readRings(directory: string, rings: readonly string[]): Rings {
  const problems: string[] = [];
  const revisions = new Map<string, string>();
  for (const path of listRingFiles(directory)) {
    const file = posix.join(directory, path);
    const entry = inspect(directory, path);
    if (entry.kind !== "file") {
      const reason = entry.kind === "obstructed" ? entry.reason : "it is gone";
      problems.push(`${file}:1:1 (file): ${reason} - a ring file is a regular file, write it with edge-fleet promote`);
      continue;
    }
    try {
      const { ring, revision } = parseRing(file, entry.content);
      revisions.set(ring, revision);
    } catch (error) {
      if (!(error instanceof RingError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new RingError(problems);
  return {
    revisions,
    missing: rings.filter((ring) => !revisions.has(ring)),
    foreign: [...revisions.keys()].filter((ring) => !rings.includes(ring)).sort(),
  };
}

/** What people should know of the rings, empty when all is well. */
export function describeRings({ missing, foreign }: Rings): string[] {
  return [
    ...missing.map(
      (ring) =>
        `ring ${ring} has no revision and deploys nothing - set it with \`edge-fleet promote ${ring} --to <sha>\``,
    ),
    ...foreign.map(
      (ring) => `rings/${ring}.yaml is of no ring of the fleet - delete it, or add the ring to fleet.yaml`,
    ),
  ];
}

/**
 * Pins a ring to a commit by replacing its file in one step. A file that already says so is not touched.
 * @param revision full commit SHA
 * @returns the file's path below the tree and whether it was written
 * @throws Error when name or revision are malformed, or something other than a regular file stands there
 */
export function setRing(directory: string, ring: string, revision: string): { path: string; written: boolean } {
  if (!RING_NAME.test(ring)) throw new Error(`ring ${ring}: is not a ring's name - use one of the fleet's rings`);
  if (!REVISION.test(revision)) throw new Error(`ring ${ring}: revision ${revision} ${REVISION_MEND}`);
  const path = `rings/${ring}.yaml`;
  const entry = inspect(directory, path);
  if (entry.kind === "obstructed") throw new Error(`${posix.join(directory, path)}: ${entry.reason} - remove it`);
  const content = renderRing(ring, revision);
  if (entry.kind === "file" && entry.content === content) return { path, written: false };
  mkdirSync(join(directory, "rings"), { recursive: true });
  replaceFile(join(directory, path), content, join(directory, "rings", `.${ring}.${process.pid}.tmp`));
  return { path, written: true };
}

/** The bytes of a ring file. The revision is quoted: forty digits without a letter would be a number. */
export function renderRing(ring: string, revision: string): string {
  return formatYaml([`The commit that ring ${ring} deploys. Set it with \`edge-fleet promote ${ring} --to <sha>\`.`], {
    ring,
    revision,
  });
}

function listRingFiles(directory: string): string[] {
  try {
    return readdirSync(join(directory, "rings"))
      .filter((name) => name.endsWith(".yaml"))
      .sort()
      .map((name) => `rings/${name}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
