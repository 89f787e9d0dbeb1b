/**
 * Ring files: which commit each rollout group deploys. From `rings/<ring>.yaml` to revisions by ring, and back for
 * `edge-fleet promote`. A workload of its own has its own ones: `rings/<workload>/<ring>.yaml`. A ring without a file
 * deploys nothing.
 */
import { existsSync, readdirSync } from "node:fs";
import { join, posix } from "node:path";
import { z } from "zod";
import { parseYamlFile } from "../inventory/files.ts";
import { inspect } from "./disk.ts";
import { OVERLAY_WORKLOAD } from "./labels.ts";
import type { Pins, TreeWorkload } from "./tree-input.ts";
import { formatYaml } from "./yaml.ts";

const RING_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const REVISION = /^[0-9a-f]{40}$/;
const REVISION_FIX =
  "is not a full commit SHA - write 40 lower-case hex digits in quotes: devices heal offline from a full SHA only";

/** What a ring file says. */
const RingSchema = z.strictObject({
  ring: z.string().regex(RING_NAME, "is not a ring's name - use lower-case letters, digits and inner hyphens"),
  revision: z.string().regex(REVISION, REVISION_FIX),
  workload: z.string().regex(RING_NAME, "is not a workload's name - use the name that fleet.yaml gives it").optional(),
});

/** A ring file's content. */
export type Ring = z.infer<typeof RingSchema>;

/** Thrown with every problem of ring files or freezes, one line each: `file:line:column field: what - fix`. */
export class RolloutFileError extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "RolloutFileError";
  }
}

/**
 * Parses one ring file.
 * @param file its path; the base name without `.yaml` must be the ring's name
 * @param workload the workload whose file it is. Default: that of the overlays
 * @throws RolloutFileError
 */
export function parseRing(file: string, text: string, workload?: string): Ring {
  const problems: string[] = [];
  const ring = checkRing(file, text, workload, problems);
  if (ring === undefined) throw new RolloutFileError(problems);
  return ring;
}

/** What every ring of a tree pins. @param directory as {@link readRings} @throws RolloutFileError with the problems of all files */
export function readPins(directory: string, workloads: readonly Pick<TreeWorkload, "name">[] = []): Pins {
  const names = workloads.map(({ name }) => [name, readRings(directory, name)] as const);
  return new Map([[OVERLAY_WORKLOAD, readRings(directory)], ...names]);
}

/**
 * Reads the ring files of one workload.
 * @param directory the tree's folder; need not exist
 * @param workload read the files of this workload. Default: those of the overlays
 * @returns full commit SHA by ring; a ring without a file deploys nothing and is not in it
 * @throws RolloutFileError with the problems of all files
 */
export function readRings(directory: string, workload?: string): ReadonlyMap<string, string> {
  const problems: string[] = [];
  const revisions = new Map<string, string>();
  const folder = posix.join("rings", workload ?? "");
  const names = existsSync(join(directory, folder)) ? readdirSync(join(directory, folder)).sort() : [];
  for (const name of names.filter((candidate) => candidate.endsWith(".yaml"))) {
    const path = posix.join(folder, name);
    const file = posix.join(directory, path);
    const entry = inspect(directory, path);
    if (entry.kind === "file") {
      const { ring, revision } = checkRing(file, entry.content, workload, problems) ?? {};
      if (ring !== undefined && revision !== undefined) revisions.set(ring, revision);
    } else {
      const reason = entry.kind === "obstructed" ? entry.reason : "it is gone";
      problems.push(`${file}:1:1 (file): ${reason} - a ring file is a regular file, write it with edge-fleet promote`);
    }
  }
  if (problems.length > 0) throw new RolloutFileError(problems);
  return revisions;
}

/** The ring file's content; undefined where a problem was found and told. */
function checkRing(file: string, text: string, workload: string | undefined, problems: string[]): Ring | undefined {
  const known = problems.length;
  const { value, position } = parseYamlFile(file, text, RingSchema, problems);
  const expected = posix.basename(file, ".yaml");
  const complain = (field: string, message: string): void => {
    const { line, column } = position([field]);
    problems.push(`${file}:${line}:${column} ${field}: ${message}`);
  };
  if (value !== undefined && value.ring !== expected)
    complain("ring", `is ${value.ring} in the file of ${expected} - write ${expected}`);
  if (value?.workload !== undefined && value.workload !== workload)
    complain("workload", `is ${value.workload} - ${workload === undefined ? "remove it" : `write ${workload}`}`);
  return problems.length > known ? undefined : value;
}

/**
 * The bytes of a ring file. The revision is quoted: forty digits without a letter would be a number.
 * @throws Error when a name or the revision is malformed
 */
export function renderRing(ring: string, revision: string, workload?: string): string {
  if (!RING_NAME.test(ring)) throw new Error(`ring ${ring}: is not a ring's name - use one of the fleet's rings`);
  if (!REVISION.test(revision)) throw new Error(`ring ${ring}: revision ${revision} ${REVISION_FIX}`);
  if (workload !== undefined && !RING_NAME.test(workload))
    throw new Error(`workload ${workload}: is not a workload's name - use one of the fleet's workloads`);
  const [of, option] = workload === undefined ? ["", ""] : [` of workload ${workload}`, ` --workload ${workload}`];
  const header = `The commit${of} that ring ${ring} deploys. Set it with \`edge-fleet promote ${ring}${option} --to <sha>\`.`;
  return formatYaml([header], { ring, revision, ...(workload === undefined ? {} : { workload }) });
}
