/**
 * Benchmark: how many faults are injected into the device program and how many it survives, as one figure over all test
 * files that count them (test/lab/faults.ts), each run once in a process of its own, four at a time: they mostly wait. What is a
 * fault, and what it means to survive it, stands in those files. Needs root, as they do.
 */
import { spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { mapBounded } from "../../cli/parallel.ts";
import { type FaultTallies, type FaultTally, parseFaults, sumFaults } from "../lab/faults.ts";
import { LAB_PACKAGES } from "../lab/prerequisites.ts";
import { ensureDebianPackages } from "../lab/toolchain/debian.ts";
import { readMachine } from "./machine.ts";
import { type Figure, printResult, progress } from "./report.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..");
const AT_A_TIME = 4;

/** One test file. */
interface FileRun {
  readonly tallies: FaultTallies;
  /** Whether every test of it passed, also those that inject no fault. */
  readonly passed: boolean;
}

async function main(): Promise<void> {
  await ensureDebianPackages(progress, LAB_PACKAGES);
  const machine = readMachine();
  const started = performance.now();
  const runs = await mapBounded(listFiles(), AT_A_TIME, runFile);
  const seconds = (performance.now() - started) / 1000;
  const method = `one run of each of ${runs.length} test files`;
  printResult({ benchmark: "faults", method, machine, figures: figuresOf(runs, seconds) });
}

/** Every end-to-end test that counts its faults. */
function listFiles(): string[] {
  const files = globSync(join(REPOSITORY, "test/e2e/*.test.ts")).sort();
  return files.filter((file) => readFileSync(file, "utf8").includes("countFaults()"));
}

/** @throws Error when the file told no count: it did not come to its end */
async function runFile(file: string): Promise<FileRun> {
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"], cwd: REPOSITORY });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output += chunk));
  const code = await new Promise((resolve) => child.once("close", resolve));
  const tallies = parseFaults(output);
  if (tallies === undefined)
    throw new Error(`faults: ${file} ended with ${code} and told no count:\n${output.slice(-3000)}`);
  const { injected, survived } = sumFaults(tallies);
  progress(`faults: ${basename(file)}: injected ${injected}, survived ${survived}, ended with ${code}`);
  if (code !== 0)
    progress(
      output
        .split("\n")
        .filter((line) => /^\s*(not ok|✖)/.test(line))
        .join("\n"),
    );
  return { tallies, passed: code === 0 };
}

function figuresOf(runs: readonly FileRun[], seconds: number): Figure[] {
  const kinds = new Map<string, FaultTally>();
  for (const { tallies } of runs)
    for (const [kind, { injected, survived }] of tallies) {
      const present = kinds.get(kind) ?? { injected: 0, survived: 0 };
      kinds.set(kind, { injected: present.injected + injected, survived: present.survived + survived });
    }
  const { injected, survived } = sumFaults(kinds);
  return [
    { name: "faults survived", value: survived, unit: "", note: `of ${injected} injected` },
    { name: "share survived", value: (100 * survived) / injected, unit: "%" },
    ...[...kinds].map(([kind, tally]) => ({
      name: `survived: ${kind}`,
      value: tally.survived,
      unit: "",
      note: `of ${tally.injected}`,
    })),
    {
      name: "files with a failed test",
      value: runs.filter(({ passed }) => !passed).length,
      unit: "",
      note: "also one that injects no fault",
    },
    { name: "wall of all files", value: seconds, unit: "s", note: `${AT_A_TIME} at a time` },
  ];
}

await main();
