/**
 * Runs the tests: gets what they need (Debian packages, toolchain), then the unit tests side by side, the tests of the
 * device program side by side (each in sandboxes of its own, mostly waiting), and the tests that own a lab one after the
 * other. Ends with `N passed, N failed`.
 *
 * Options: `--unit` leaves out test/e2e; `--update` writes golden files; further words are files to run instead of all.
 */
import { globSync } from "node:fs";
import { join } from "node:path";
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

/** How many tests passed and failed. */
interface Counts {
  passed: number;
  failed: number;
}

/** Runs test files, each in a process of its own. */
async function runFiles(files: readonly string[], concurrency: number, counts: Counts): Promise<void> {
  const events = run({ files: files.map((file) => join(REPOSITORY, file)), concurrency });
  events.on("test:pass", ({ details }) => {
    if (details.type !== "suite") counts.passed++;
  });
  events.on("test:fail", ({ details }) => {
    if (details.type !== "suite") counts.failed++;
  });
  const report = events.compose(spec);
  report.pipe(process.stdout, { end: false });
  await new Promise((resolve) => report.once("end", resolve));
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { unit: { type: "boolean", default: false }, update: { type: "boolean", default: false } },
});
if (values.update) process.env.UPDATE_GOLDEN = "1";
const say = (line: string) => process.stdout.write(`${line}\n`);
await ensureDebianPackages(say, LAB_PACKAGES);
const withArgoCd = !values.unit && positionals.length === 0;
const toolchain = await ensureToolchain(say, withArgoCd ? [...PART_NAMES, ...ARGO_CD_PARTS] : PART_NAMES);
Object.assign(process.env, toolchain.env);
const withMachines = positionals.length > 0 ? positionals.some((file) => file.includes("machine-")) : !values.unit;
if (withMachines) await Promise.all(MACHINE_INITS.map((init) => ensureRoot(init, say)));
const find = (...patterns: string[]) => globSync(patterns, { cwd: REPOSITORY }).sort();
const counts: Counts = { passed: 0, failed: 0 };
if (positionals.length > 0) await runFiles(positionals, 1, counts);
else {
  await runFiles(find("test/unit/**/*.test.ts", "test/lab/**/*.test.ts"), 2, counts);
  if (!values.unit) {
    const sandboxed = find("test/e2e/apply-*.test.ts", "test/e2e/doctor-*.test.ts");
    const owningLab = find("test/e2e/**/*.test.ts").filter((file) => !sandboxed.includes(file));
    await runFiles(sandboxed, 4, counts);
    await runFiles(owningLab, 1, counts);
  }
}
say("Real parts and stand-ins of this run:");
for (const { name, real, version } of toolchain.parts) say(`  ${real ? "real     " : "stand-in "} ${name}  ${version}`);
say(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
