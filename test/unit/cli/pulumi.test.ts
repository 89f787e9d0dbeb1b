import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { runForeground } from "../../../cli/process.ts";
import { type PulumiRequest, planPulumi } from "../../../cli/pulumi/plan.ts";
import { deviceRows, formatDevices, upExitCode } from "../../../cli/pulumi/report.ts";
import { stallMessage } from "../../../cli/pulumi/run.ts";
import { isStalled, observe } from "../../../cli/pulumi/stall.ts";
import { temporaryDirectory } from "./inventory.ts";

const REQUEST: PulumiRequest = {
  operation: "up",
  stack: "tokyo",
  isHub: false,
  parallel: 64,
  yes: false,
  eventLog: "/tmp/events",
  extra: [],
};

const calls: { name: string; request: Partial<PulumiRequest>; flags: string[]; skipsCheckpoints: boolean }[] = [
  { name: "up of a region asks", request: {}, flags: [], skipsCheckpoints: true },
  {
    name: "up of a region with --yes",
    request: { yes: true },
    flags: ["--skip-preview", "--yes"],
    skipsCheckpoints: true,
  },
  {
    name: "up of the hub",
    request: { isHub: true, stack: "hub", yes: true },
    flags: ["--skip-preview", "--yes"],
    skipsCheckpoints: false,
  },
  {
    name: "preview of the hub",
    request: { isHub: true, stack: "hub", operation: "preview" },
    flags: [],
    skipsCheckpoints: true,
  },
  {
    name: "preview with arguments",
    request: { operation: "preview", extra: ["--diff"] },
    flags: ["--diff"],
    skipsCheckpoints: true,
  },
];

for (const { name, request, flags, skipsCheckpoints } of calls) {
  test(`${name}: ${skipsCheckpoints ? "without" : "with"} checkpoints`, () => {
    const { args, environment } = planPulumi({ ...REQUEST, ...request });
    const common = ["--stack", request.stack ?? "tokyo", "--parallel", "64", "--event-log", "/tmp/events"];
    assert.deepEqual(args, [request.operation ?? "up", ...common, ...flags]);
    assert.equal(environment.PULUMI_SKIP_CHECKPOINTS, skipsCheckpoints ? "true" : undefined);
    assert.equal(environment.PULUMI_CONTINUE_ON_ERROR, "true");
    assert.equal(environment.PULUMI_SKIP_UPDATE_CHECK, "true");
    assert.equal(environment.PULUMI_DIY_BACKEND_ZSTD, "true");
  });
}

const stalls: { name: string; silentMs: number; last: string; interactive: boolean; stalled: boolean }[] = [
  { name: "events just came", silentMs: 10, last: "{}", interactive: false, stalled: false },
  { name: "none for too long", silentMs: 1000, last: '{"resourcePreEvent":{}}', interactive: false, stalled: true },
  { name: "a person is asked", silentMs: 1000, last: '{"summaryEvent":{}}', interactive: true, stalled: false },
  { name: "nobody can be asked", silentMs: 1000, last: '{"summaryEvent":{}}', interactive: false, stalled: true },
  { name: "the last line is cut", silentMs: 1000, last: '{"summaryEv', interactive: true, stalled: true },
];

for (const { name, silentMs, last, interactive, stalled } of stalls) {
  test(`${name}: ${stalled ? "stalled" : "not stalled"}`, () => {
    assert.equal(isStalled({ size: 5, since: 0 }, silentMs, 1000, last, interactive), stalled);
  });
}

test("a log that grows starts the time anew, one that does not keeps it", () => {
  const first = observe({ size: 0, since: 0 }, 10, 100);
  assert.deepEqual(first, { size: 10, since: 100 });
  assert.deepEqual(observe(first, 10, 900), first);
});

const outputs: { name: string; value: unknown; rows: [string, string, string][] }[] = [
  {
    name: "maps",
    value: { devices: { a: "hash" }, pending: { b: "no answer" }, failed: { a: "rolled-back" } },
    rows: [
      ["a", "failed", "rolled-back"],
      ["b", "pending", "no answer"],
    ],
  },
  {
    name: "maps with control characters",
    value: { devices: { a: "hash" }, failed: { c: "x\ny" } },
    rows: [
      ["a", "applied", ""],
      ["c", "failed", "x y"],
    ],
  },
  { name: "nothing", value: {}, rows: [] },
  { name: "something else", value: [1], rows: [] },
];

for (const { name, value, rows } of outputs) {
  test(`devices are read from outputs that are ${name}`, () => {
    assert.deepEqual(
      deviceRows(value).map(({ id, state, reason }) => [id, state, reason]),
      rows,
    );
  });
}

test("exit code: failures before pending before success, and a failing CLI is a failure", () => {
  const rows = deviceRows({ devices: { a: "hash" }, pending: { b: "" }, failed: { c: "" } });
  assert.equal(upExitCode(rows, false), 1);
  assert.equal(upExitCode(rows.slice(0, 2), false), 3);
  assert.equal(upExitCode(rows.slice(0, 1), false), 0);
  assert.equal(upExitCode(rows.slice(0, 1), true), 1);
  assert.match(formatDevices("tokyo", rows, false), /^c +failed$[\s\S]*tokyo: 1 applied, 1 pending, 1 failed\n$/m);
});

const GRACE = { environment: {}, stdout: "stdout", pollMs: 20, graceMs: 400 } as const;

test("a stalled program that obeys SIGINT is stopped, not killed", async () => {
  const script = "trap 'exit 7' INT; while :; do sleep 0.05; done";
  const result = await runForeground("sh", ["-c", script], { ...GRACE, isStalled: () => true });
  assert.deepEqual(result, { exitCode: 7, stalled: "stopped" });
});

test("one that does not is killed with its children", async (context) => {
  const file = join(temporaryDirectory(context), "child");
  const script = `trap '' INT; sh -c 'echo $$ >"${file}"; while :; do sleep 0.05; done' & while :; do sleep 0.05; done`;
  const result = await runForeground("sh", ["-c", script], { ...GRACE, isStalled: () => existsSync(file) });
  assert.deepEqual(result, { exitCode: undefined, stalled: "killed" });
  const child = Number(readFileSync(file, "utf8"));
  // A signal is delivered when the kernel next schedules the process.
  for (let attempt = 0; isRunning(child) && attempt < 100; attempt++) await setTimeout(50);
  assert.equal(isRunning(child), false);
});

/** False for a process that is gone, or dead and not yet reaped. */
function isRunning(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(" ")[2] !== "Z";
  } catch {
    return false;
  }
}

test("a program that ends by itself is not stalled", async () => {
  const result = await runForeground("sh", ["-c", "exit 3"], { ...GRACE, isStalled: () => false });
  assert.deepEqual(result, { exitCode: 3, stalled: undefined });
});

test("after a kill the message says how to release the lock", () => {
  assert.match(
    stallMessage({ stack: "tokyo", stallMs: 900_000 }, "killed"),
    /15 min[\s\S]*lock may remain[\s\S]*pulumi cancel --yes tokyo/,
  );
});
