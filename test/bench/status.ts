/**
 * Benchmark: what this machine computes for the answers of a whole fleet, the connections aside: what devices write is
 * read, and their ring gets its verdict. BENCH_FLEET (default 5000) devices of 8 models, each with three Applications;
 * the median of BENCH_REPEATS (default 5) rounds in one process.
 */
import { classify } from "../../cli/rollout/dial.ts";
import { classifyRing } from "../../cli/rollout/health.ts";
import { remember, statusOfKnown } from "../../cli/rollout/memory.ts";
import type { SshAnswer } from "../../cli/ssh/run.ts";
import { answerLine } from "../unit/cli/device-answer.ts";
import { readMachine } from "./machine.ts";
import { median, printResult } from "./report.ts";

const DEVICES = Number(process.env.BENCH_FLEET ?? 5000);
const REPEATS = Number(process.env.BENCH_REPEATS ?? 5);
const MODELS = 8;

const NOW = Date.parse("2026-05-01T12:00:00Z");
const RULES = {
  ...{ revision: "a".repeat(40), promotedAt: NOW - 86_400_000, maxAgeMs: 1_800_000 },
  ...{ minHealthyPercent: 95, minHealthyPerModelPercent: 50, maxFailures: 2 },
};

function main(): void {
  const machine = readMachine();
  const devices = Array.from({ length: DEVICES }, (_, index) => {
    const id = `device-${index}`;
    const app = index % 100 === 0 ? { health: "Degraded" } : {};
    return {
      id,
      region: "tokyo",
      model: `model-${index % MODELS}`,
      stdout: answerLine({ device: id, app, more: [{}] }),
    };
  });
  const rounds = Array.from({ length: REPEATS }, () => round(devices));
  const figure = (name: string, part: "readMs" | "classifyMs") => ({
    name,
    value: median(rounds.map((times) => times[part])),
    unit: "ms",
  });
  printResult({
    benchmark: "status",
    method: `${DEVICES} answers of ${devices[0]?.stdout.length ?? 0} B, median of ${REPEATS} rounds`,
    machine,
    figures: [
      figure("read and check the answers", "readMs"),
      figure("statuses, verdicts and the verdict on the ring", "classifyMs"),
      { name: "file of the last answers", value: (rounds[0]?.bytes ?? 0) / 2 ** 20, unit: "MiB" },
    ],
  });
}

interface Round {
  readonly readMs: number;
  readonly classifyMs: number;
  readonly bytes: number;
}

function round(devices: readonly { id: string; region: string; model: string; stdout: string }[]): Round {
  const ended: SshAnswer = { exitCode: 0, stdout: "", stderr: "", ended: undefined, loggedIn: true, hostKey: "k" };
  const begin = performance.now();
  const asked = devices.map(({ id, region, stdout }) => ({
    id,
    at: NOW,
    result: classify({ id, region }, { ...ended, stdout }),
  }));
  const read = performance.now();
  const memory = remember(new Map(), asked);
  const reading = { workload: undefined, comparesEveryMs: 600_000 };
  const list = devices.map(({ id, model }) => ({ id, model, status: statusOfKnown(memory.get(id) ?? {}, reading) }));
  const { counts } = classifyRing(list, RULES, NOW);
  const classified = performance.now();
  if (counts.healthy + counts.failed !== devices.length)
    throw new Error(`not all were read: ${JSON.stringify(counts)}`);
  const bytes = JSON.stringify(Object.fromEntries(memory)).length;
  return { readMs: read - begin, classifyMs: classified - read, bytes };
}

main();
