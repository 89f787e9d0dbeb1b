import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { runForeground } from "../../../cli/process.ts";
import type { EngineEvent } from "../../../cli/pulumi/events.ts";
import { type PulumiRequest, planPulumi } from "../../../cli/pulumi/plan.ts";
import { deviceRows, formatDevices, onlyPending, upExitCode, withSupplyReasons } from "../../../cli/pulumi/report.ts";
import { stallMessage } from "../../../cli/pulumi/run.ts";
import { isStalled, observe, startState } from "../../../cli/pulumi/stall.ts";
import { temporaryDirectory } from "./inventory.ts";

const REQUEST: PulumiRequest = {
  operation: "up",
  stack: "tokyo",
  isHub: false,
  parallel: 64,
  yes: false,
  eventLog: "tcp://unix:///tmp/events",
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
    const common = ["--stack", request.stack ?? "tokyo", "--parallel", "64", "--event-log", REQUEST.eventLog];
    assert.deepEqual(args, [request.operation ?? "up", ...common, ...flags]);
    assert.equal(environment.PULUMI_SKIP_CHECKPOINTS, skipsCheckpoints ? "true" : undefined);
    assert.equal(environment.PULUMI_CONTINUE_ON_ERROR, "true");
    assert.equal(environment.PULUMI_SKIP_UPDATE_CHECK, "true");
    assert.equal(environment.PULUMI_DIY_BACKEND_ZSTD, "true");
  });
}

const stalls: { name: string; silentMs: number; last: EngineEvent; interactive: boolean; stalled: boolean }[] = [
  { name: "events just came", silentMs: 10, last: {}, interactive: false, stalled: false },
  { name: "none for too long", silentMs: 1000, last: {}, interactive: false, stalled: true },
  { name: "a person is asked", silentMs: 1000, last: { summaryEvent: {} }, interactive: true, stalled: false },
  { name: "a person was asked and answered", silentMs: 1000, last: {}, interactive: true, stalled: true },
  { name: "nobody can be asked", silentMs: 1000, last: { summaryEvent: {} }, interactive: false, stalled: true },
];

for (const { name, silentMs, last, interactive, stalled } of stalls) {
  test(`${name}: ${stalled ? "stalled" : "not stalled"}`, () => {
    const asked = observe(startState(0), { summaryEvent: {} }, 2);
    assert.equal(isStalled(observe(asked, last, 5), 5 + silentMs, 1000, interactive), stalled);
  });
}

test("a run without any event stalls too", () => {
  assert.equal(isStalled(startState(7), 1006, 1000, true), false);
  assert.equal(isStalled(startState(7), 1007, 1000, true), true);
});

test("errors are told by what they are about, once each, and warnings are none", () => {
  const urn = (types: string, name: string) => `urn:pulumi:tokyo::edge-fleet::${types}::${name}`;
  const command = urn("edge-fleet:index:Region$edge-fleet:index:Device$command:remote:Command", "a-apply");
  const messages = [
    { severity: "warning", urn: urn("x", "warned") },
    { severity: "error", urn: command },
    { severity: "error", urn: command },
    { severity: "error", message: "<{%reset%}>update failed<{%reset%}>\n" },
    { severity: "error", message: "update failed\n" },
  ];
  const seen = messages.map((message) => ({
    diagnosticEvent: { message: "Process exited with status 1", ...message },
  }));
  const { errors } = seen.reduce((state, event) => observe(state, event, 0), startState(0));
  assert.deepEqual([...errors], ["a-apply"]);
  for (const about of [{ urn: urn("pulumi:pulumi:Stack", "edge-fleet-tokyo") }, {}]) {
    const event = { diagnosticEvent: { severity: "error", message: "the stack is locked", ...about } };
    assert.deepEqual([...observe(startState(0), event, 0).errors], [""]);
  }
});

test("a CLI that fails for pending devices alone has not failed", () => {
  const rows = deviceRows({ devices: { a: "hash" }, pending: { b: "rebooting" }, failed: { c: "no" } });
  const cases: [string[], boolean][] = [
    [["b-apply"], true],
    [["b-apply", "c-apply"], false],
    [["b-apply", ""], false],
    [["b"], false],
    [[], false],
  ];
  for (const [errors, expected] of cases)
    assert.equal(onlyPending(new Set(errors), rows), expected, `${JSON.stringify(errors)}`);
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
  {
    name: "maps with removals",
    value: {
      devices: { stays: "hash", dark: "erasure-ordered" },
      pending: { dark: "to be wiped: no answer" },
      removed: { gone: "wiped", kept: "retained", moved: "retained: region osaka has it now", odd: "other" },
    },
    rows: [
      ["dark", "pending", "to be wiped: no answer"],
      ["gone", "wiped", ""],
      ["kept", "retained", ""],
      ["moved", "retained", "region osaka has it now"],
      ["stays", "applied", ""],
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

test("devices that have left are shown, counted where there are any, and need nothing more", () => {
  const rows = deviceRows({ devices: { a: "hash" }, removed: { b: "wiped", c: "retained: d has its address now" } });
  assert.equal(upExitCode(rows, false), 0);
  const text = formatDevices("tokyo", rows, false);
  assert.match(
    text,
    /^b +wiped$\nc +retained +d has its address now$\ntokyo: 1 applied, 0 pending, 0 failed, 1 wiped/m,
  );
  assert.doesNotMatch(formatDevices("tokyo", rows.slice(0, 1), false), /wiped|retained/);
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

test("a device that failed for want of supplies is told by their cause; others keep their reasons", () => {
  const rows = deviceRows({
    devices: { a: "hash" },
    pending: { b: "dark" },
    failed: { c: "artifact-missing", d: "no" },
  });
  const told = withSupplyReasons(
    rows,
    new Map([
      ["b", "x"],
      ["c", "clock: it is 1970"],
    ]),
  );
  assert.deepEqual(
    told.map(({ id, reason }) => [id, reason]),
    [
      ["a", ""],
      ["b", "dark"],
      ["c", "clock: it is 1970"],
      ["d", "no"],
    ],
  );
});
