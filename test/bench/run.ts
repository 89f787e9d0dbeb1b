/**
 * All benchmarks, each in a process of its own, one after the other: `node test/bench/run.ts [--json] [name...]`. With
 * `--json` stdout is one list of results. Sizes come from the environment, see each benchmark; BENCH_DEVICES=20 is a quick
 * round that shows whether they run, and no figures to quote. Exit codes: 1 when one of them did
 * not come to its end, 2 for an unknown name.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { BenchmarkResult } from "./report.ts";

const BENCHMARKS = [
  "emit",
  "diff",
  "payload",
  "certificates",
  "status",
  "dial",
  "change",
  "preview",
  "no-op",
  "large",
  "first-up",
  "load",
  "faults",
] as const;

function main(): void {
  const { values, positionals } = parseArgs({ options: { json: { type: "boolean" } }, allowPositionals: true });
  const unknown = positionals.filter((name) => !BENCHMARKS.some((known) => known === name));
  if (unknown.length > 0) {
    process.stderr.write(`bench: no benchmark ${unknown.join(", ")} - use ${BENCHMARKS.join(", ")}\n`);
    process.exit(2);
  }
  const wanted = BENCHMARKS.filter((name) => positionals.length === 0 || positionals.includes(name));
  const results: BenchmarkResult[] = [];
  for (const name of wanted) {
    const args = [join(import.meta.dirname, `${name}.ts`), ...(values.json ? ["--json"] : [])];
    const stdout = values.json ? "pipe" : "inherit";
    const run = spawnSync(process.execPath, args, { stdio: ["ignore", stdout, "inherit"], encoding: "utf8" });
    if (run.status !== 0) process.exitCode = 1;
    else if (values.json) results.push(JSON.parse(run.stdout) as BenchmarkResult);
  }
  if (values.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
}

main();
