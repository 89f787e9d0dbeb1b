/**
 * Runs the tests: gets what they need (Debian packages, toolchain), then three queues beside each other, told of one after
 * the other: the unit tests; the tests of the device program, each in sandboxes of its own and mostly waiting; the tests that
 * own a lab, one at a time. Names what was skipped, and ends with `N passed, N failed`.
 *
 * Options: `--unit` leaves out test/e2e; `--update` writes golden files; further words are files to run instead of all.
 */
import { globSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { parseArgs } from "node:util";
import { MACHINE_INITS } from "./lab/machines/index.ts";
import { ensureRoot } from "./lab/machines/root.ts";
import { LAB_PACKAGES } from "./lab/prerequisites.ts";
import { ensureDebianPackages } from "./lab/toolchain/debian.ts";
import { ensureToolchain } from "./lab/toolchain/index.ts";
import { ARGO_CD_PARTS, PART_NAMES } from "./lab/toolchain/parts.ts";

const REPOSITORY = join(import.meta.dirname, "..");

/** Bytes of a report that may wait to be read: more than any is long, since a full stream would hold up its tests. */
const UNREAD_BYTES = 1 << 28;

/** How many tests passed and failed, and the names of those that were skipped, each with its reason. */
interface Counts {
  passed: number;
  failed: number;
  readonly skipped: string[];
}

/**
 * Starts to run test files, each in a process of its own.
 * @returns the report, which ends with them; it may be read as late as one likes
 */
function startFiles(files: readonly string[], concurrency: number, counts: Counts): Readable {
  const events = run({ files: files.map((file) => join(REPOSITORY, file)), concurrency });
  events.on("test:pass", ({ details, name, skip }) => {
    if (details.type === "suite") return;
    if (skip === undefined) counts.passed++;
    else counts.skipped.push(typeof skip === "string" ? `${name}: ${skip}` : name);
  });
  events.on("test:fail", ({ details }) => {
    if (details.type !== "suite") counts.failed++;
  });
  return events.compose(spec).pipe(new PassThrough({ highWaterMark: UNREAD_BYTES }));
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { unit: { type: "boolean", default: false }, update: { type: "boolean", default: false } },
});
if (values.update) process.env.UPDATE_GOLDEN = "1";
const say = (line: string) => process.stdout.write(`${line}\n`);
await ensureDebianPackages(say, LAB_PACKAGES);
const whole = !values.unit && positionals.length === 0;
const toolchain = await ensureToolchain(say, whole ? [...PART_NAMES, ...ARGO_CD_PARTS, "k3s-apiserver"] : PART_NAMES);
Object.assign(process.env, toolchain.env);
const withMachines = positionals.length > 0 ? positionals.some((file) => file.includes("machine-")) : !values.unit;
if (withMachines) await Promise.all(MACHINE_INITS.map((init) => ensureRoot(init, say)));
const find = (...patterns: string[]) => globSync(patterns, { cwd: REPOSITORY }).sort();
const counts: Counts = { passed: 0, failed: 0, skipped: [] };
if (positionals.length > 0) await pipeline(startFiles(positionals, 1, counts), process.stdout, { end: false });
else {
  const sandboxed = find("test/e2e/apply-*.test.ts", "test/e2e/doctor-*.test.ts");
  const owningLab = find("test/e2e/**/*.test.ts").filter((file) => !sandboxed.includes(file));
  const queues = [startFiles(find("test/unit/**/*.test.ts", "test/lab/**/*.test.ts"), 2, counts)];
  if (!values.unit) queues.push(startFiles(sandboxed, 5, counts), startFiles(owningLab, 1, counts));
  for (const report of queues) await pipeline(report, process.stdout, { end: false });
}
say("Real parts and stand-ins of this run:");
for (const { name, real, version } of toolchain.parts) say(`  ${real ? "real     " : "stand-in "} ${name}  ${version}`);
for (const test of counts.skipped) say(`skipped ${test}`);
say(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
