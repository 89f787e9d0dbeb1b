/**
 * Runs the tests: gets what they need (Debian packages, toolchain), then the unit tests side by side, then the tests of the
 * device program side by side (each in sandboxes of its own, mostly waiting); and beside all of them, two at a time and told
 * of in the end, the tests that own a lab. Names what was skipped, and ends with `N passed, N failed`.
 *
 * Options: `--unit` leaves out test/e2e; `--update` writes golden files; further words are files to run instead of all.
 */
import { globSync } from "node:fs";
import { join, relative } from "node:path";
import { PassThrough } from "node:stream";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { parseArgs } from "node:util";
import { keepDurations, longestFirst, readDurations } from "./durations.ts";
import { MACHINE_ROOTS } from "./lab/machines/index.ts";
import { ensureRoot } from "./lab/machines/root.ts";
import { LAB_PACKAGES } from "./lab/prerequisites.ts";
import { ensureDebianPackages } from "./lab/toolchain/debian.ts";
import { ensureToolchain } from "./lab/toolchain/index.ts";
import { ARGO_CD_PARTS, FLUX_PARTS, KUBELET_PARTS, PART_NAMES } from "./lab/toolchain/parts.ts";

/** What looks at the pages that are made (test/browser.ts), what reads an inventory of its own, a terminal (test/tmux.ts), shells. */
const TEST_PACKAGES = {
  chromium: "chromium",
  "ansible-inventory": "ansible-core",
  tmux: "tmux",
  zsh: "zsh",
  fish: "fish",
};

const REPOSITORY = join(import.meta.dirname, "..");

/** How many tests passed and failed, and the names of those that were skipped, each with its reason. */
interface Counts {
  passed: number;
  failed: number;
  readonly skipped: string[];
}

/** Runs test files, each in a process of its own, the longest first, and writes what they say to `output`. */
async function runFiles(
  files: readonly string[],
  concurrency: number,
  counts: Counts,
  output: NodeJS.WritableStream = process.stdout,
): Promise<void> {
  const inOrder = longestFirst(files, readDurations());
  const events = run({ files: inOrder.map((file) => join(REPOSITORY, file)), concurrency });
  events.on("test:summary", ({ file, duration_ms }) => {
    if (file !== undefined) durations[relative(REPOSITORY, file)] = Math.round(duration_ms);
  });
  events.on("test:pass", ({ details, name, skip }) => {
    if (details.type === "suite") return;
    if (skip === undefined) counts.passed++;
    else counts.skipped.push(typeof skip === "string" ? `${name}: ${skip}` : name);
  });
  events.on("test:fail", ({ details }) => {
    if (details.type !== "suite") counts.failed++;
  });
  const report = events.compose(spec);
  report.pipe(output, { end: false });
  await new Promise((resolve) => report.once("end", resolve));
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { unit: { type: "boolean", default: false }, update: { type: "boolean", default: false } },
});
if (values.update) process.env.UPDATE_GOLDEN = "1";
const say = (line: string) => process.stdout.write(`${line}\n`);
await ensureDebianPackages(say, { ...LAB_PACKAGES, ...TEST_PACKAGES });
const whole = !values.unit && positionals.length === 0;
const toolchain = await ensureToolchain(
  say,
  whole
    ? [...PART_NAMES, ...ARGO_CD_PARTS, ...FLUX_PARTS, ...KUBELET_PARTS, "k3s-apiserver", "sealed-secrets-controller"]
    : PART_NAMES,
);
Object.assign(process.env, toolchain.env);
const withMachines = positionals.length > 0 ? positionals.some((file) => file.includes("machine-")) : !values.unit;
if (withMachines) await Promise.all(MACHINE_ROOTS.map((root) => ensureRoot(root, say)));
const find = (...patterns: string[]) => globSync(patterns, { cwd: REPOSITORY }).sort();
const counts: Counts = { passed: 0, failed: 0, skipped: [] };
const durations: Record<string, number> = {};
if (positionals.length > 0) await runFiles(positionals, 1, counts);
else {
  const sandboxed = find("test/e2e/apply-*.test.ts", "test/e2e/doctor-*.test.ts");
  const owningLab = find("test/e2e/**/*.test.ts").filter((file) => !sandboxed.includes(file));
  const later = new PassThrough();
  const chunks: Buffer[] = [];
  later.on("data", (chunk: Buffer) => chunks.push(chunk));
  const labTests = values.unit ? undefined : runFiles(owningLab, 2, counts, later);
  await runFiles(find("test/unit/**/*.test.ts", "test/lab/**/*.test.ts"), 2, counts);
  if (!values.unit) await runFiles(sandboxed, 6, counts);
  await labTests;
  process.stdout.write(Buffer.concat(chunks));
}
keepDurations(durations);
say("Real parts and stand-ins of this run:");
for (const { name, real, version } of toolchain.parts) say(`  ${real ? "real     " : "stand-in "} ${name}  ${version}`);
for (const test of counts.skipped) say(`skipped ${test}`);
say(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
