import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { compareDevices } from "../../../cli/doctor/duplicates.ts";
import { classifyExamination, type DoctorOutcome, examined, type Finding } from "../../../cli/doctor/outcome.ts";
import { doctorExitCode, doctorReport, formatOutcomes, nextStep, summarize } from "../../../cli/doctor/report.ts";
import { examinationScript } from "../../../cli/doctor/script.ts";
import { selectDevices } from "../../../cli/doctor/targets.ts";
import type { SshAnswer } from "../../../cli/ssh/run.ts";
import { type Inventory, loadInventory } from "../../../components/inventory/index.ts";
import { PREFLIGHT_CHECKS } from "../../../components/plan/preflight.ts";
import { Machine } from "../device/preflight-fakes.ts";
import { buildProfile, LOCK } from "../device/profile.ts";
import { edgeFleet } from "./command.ts";
import { writeInventory } from "./inventory.ts";

const ROOT = process.getuid?.() === 0 ? false : "needs root";
const TOKYO =
  "region: tokyo\ndevices:\n  - { id: b, host: 10.0.0.2, model: box }\n  - { id: a, host: 10.0.0.1, model: box }\n";
const MADRID =
  "region: madrid\ndevices:\n  - { id: tokyo, host: 10.0.1.1, model: box }\n  - { id: m, host: 10.0.1.2, model: box }\n";

const SWAP: Finding = { id: "swap", severity: "warning", text: "swap on /x - swapoff" };
const CGROUP: Finding = { id: "cgroup", severity: "error", text: "no cgroup v2 - boot" };

function answer(changes: object = {}): string {
  const value = { edgeFleetDoctor: 1, device: "a", hostName: "a", machineId: "f".repeat(64), findings: [], ...changes };
  return `${JSON.stringify(value)}\n`;
}

function ended(stdout: string, changes: Partial<SshAnswer> = {}): SshAnswer {
  return { exitCode: 0, stdout, stderr: "", ended: undefined, loggedIn: true, hostKey: undefined, ...changes };
}

const stateOf = (result: SshAnswer): string => classifyExamination("a", result).state;

function inventoryWith(context: TestContext, tokyo: string): Inventory {
  return loadInventory(writeInventory(context, { "tokyo.yaml": tokyo }));
}

test("a device is as well as its worst finding, and errors come first", () => {
  const outcome = classifyExamination("a", ended(`Welcome!\n${answer({ findings: [SWAP, CGROUP] })}bye\n`));
  assert.equal(outcome.state, "errors");
  assert.deepEqual("findings" in outcome && outcome.findings.map(({ id }) => id), ["cgroup", "swap"]);
  assert.equal(stateOf(ended(answer({ findings: [SWAP] }))), "warnings");
  assert.equal(stateOf(ended(answer())), "well");
});

const bad: { readonly name: string; readonly result: SshAnswer; readonly expected: readonly string[] }[] = [
  { name: "nothing", result: ended(""), expected: ["failed", "shell"] },
  { name: "half an answer", result: ended(answer().slice(0, 40)), expected: ["failed", "shell"] },
  {
    name: "an unknown severity",
    result: ended(answer({ findings: [{ ...SWAP, severity: "fatal" }] })),
    expected: ["failed", "shell"],
  },
  {
    name: "an id with control characters",
    result: ended(answer({ findings: [{ ...SWAP, id: "\u001b[31m" }] })),
    expected: ["failed", "shell"],
  },
  {
    name: "an answer and then silence",
    result: ended(answer(), { ended: "timeout" }),
    expected: ["pending", "lost"],
  },
  { name: "an answer of a failed shell", result: ended(answer(), { exitCode: 3 }), expected: ["failed", "device"] },
];

for (const { name, result, expected } of bad) {
  test(`${name} is no diagnosis`, () => {
    const outcome = classifyExamination("a", result);
    assert.deepEqual([outcome.state, "code" in outcome && outcome.code], expected);
  });
}

test("what a device writes is shown without control characters", () => {
  const text = "swap\u001b[2J\n on - off";
  const outcome = classifyExamination("a", ended(answer({ hostName: "a\u0007b", findings: [{ ...SWAP, text }] })));
  assert.ok("findings" in outcome);
  assert.deepEqual([outcome.hostName, outcome.findings[0]?.text], ["a b", "swap [2J  on - off"]);
});

test("clones are found among the devices and in the inventory, and named with their fix", (context) => {
  const other = "e".repeat(64);
  const pinned = `, hostKey: ssh-ed25519 AAAA, facts: { architecture: amd64, memoryMiB: 1, enrolledAt: "2026-01-01T00:00:00Z", machineId: ${other} }`;
  const region = TOKYO.replace("host: 10.0.0.2, model: box", `host: 10.0.0.2, model: box${pinned}`);
  const inventory = inventoryWith(context, region);
  const dark: DoctorOutcome = { id: "z", state: "pending", code: "unreachable", reason: "no answer" };
  const machine = "f".repeat(64);
  const outcomes = compareDevices(
    [
      examined("a", "one", other, []),
      examined("c", "same", machine, [SWAP]),
      examined("d", "same", machine, []),
      examined("e", "localhost", "", [{ id: "host-name", severity: "warning", text: "x - y" }]),
      examined("f", "localhost", "", [{ id: "host-name", severity: "warning", text: "x - y" }]),
      dark,
    ],
    inventory,
  );
  const found = outcomes.map((outcome) => [
    outcome.id,
    outcome.state,
    ...("findings" in outcome ? outcome.findings.map(({ id }) => id) : []),
  ]);
  assert.deepEqual(found, [
    ["a", "errors", "duplicate-machine-id"],
    ["c", "errors", "duplicate-machine-id", "swap", "duplicate-host-name"],
    ["d", "errors", "duplicate-machine-id", "duplicate-host-name"],
    ["e", "warnings", "host-name"],
    ["f", "warnings", "host-name"],
    ["z", "pending"],
  ]);
  assert.match(JSON.stringify(outcomes[0]), /same machine id as b: /);
  const fleet = PREFLIGHT_CHECKS.filter(({ source }) => source === "fleet");
  for (const { id, severities } of fleet) {
    const severity = outcomes
      .flatMap((outcome) => ("findings" in outcome ? outcome.findings : []))
      .find((one) => one.id === id)?.severity;
    assert.deepEqual([severity], severities, id);
  }
});

test("a device that is examined again is no clone of its own entry", (context) => {
  const machine = "e".repeat(64);
  const pinned = `, hostKey: ssh-ed25519 AAAA, facts: { architecture: amd64, memoryMiB: 1, enrolledAt: "2026-01-01T00:00:00Z", machineId: ${machine} }`;
  const inventory = inventoryWith(
    context,
    TOKYO.replace("host: 10.0.0.1, model: box", `host: 10.0.0.1, model: box${pinned}`),
  );
  assert.deepEqual(
    compareDevices([examined("a", "a", machine, [])], inventory).map(({ state }) => state),
    ["well"],
  );
});

const well = examined("w", "w", "", []);
const warned = examined("x", "x", "", [SWAP]);
const sick = examined("s", "s", "", [SWAP, CGROUP]);
const dark: DoctorOutcome = { id: "d", state: "pending", code: "unreachable", reason: "no answer" };
const changed: DoctorOutcome = { id: "h", state: "failed", code: "host-key", reason: "another key" };

const endings: { readonly outcomes: DoctorOutcome[]; readonly code: number; readonly next: RegExp }[] = [
  { outcomes: [well], code: 0, next: /^$/ },
  { outcomes: [well, warned], code: 0, next: /docs\/preflight\.md/ },
  { outcomes: [well, sick, dark], code: 1, next: /docs\/preflight\.md/ },
  { outcomes: [well, dark], code: 3, next: /when the pending devices can be reached/ },
  { outcomes: [changed, dark], code: 1, next: /fix the failed devices/ },
  { outcomes: [], code: 0, next: /^$/ },
];

for (const { outcomes, code, next } of endings) {
  test(`a run with ${outcomes.map(({ state }) => state).join(", ") || "nobody"} ends with ${code}`, () => {
    assert.equal(doctorExitCode(outcomes), code);
    assert.match(nextStep(outcomes), next);
  });
}

test("the table has the worst last, counts those that are well, and sums up by finding", () => {
  const outcomes = [sick, { ...warned, id: "y" }, well, changed, dark];
  assert.equal(
    formatOutcomes(outcomes, false),
    `DEVICE  SEVERITY  FINDING      DETAIL
d       pending   unreachable  no answer
y       warning   swap         swap on /x - swapoff
h       failed    host-key     another key
s       warning   swap         swap on /x - swapoff
s       error     cgroup       no cgroup v2 - boot

FINDING  SEVERITY  DEVICES
cgroup   error     1
swap     warning   2
`,
  );
  assert.equal(summarize(outcomes), "1 well, 1 with warnings, 1 with errors, 1 pending, 1 failed");
  assert.equal(formatOutcomes([well], false), "DEVICE  SEVERITY  FINDING  DETAIL\nw       well\n");
  assert.equal(formatOutcomes([well, well, well, well], false), "");
});

test("the report links each finding to its explanation", () => {
  const report = JSON.stringify(doctorReport([sick, dark]));
  assert.match(report, /"page":"docs\/preflight\.md#cgroup"/);
  assert.match(report, /"counts":\{"well":0,"warnings":0,"errors":1,"pending":1,"failed":0\}/);
});

test("names are devices or regions; a name of both means the region, and each device comes once", (context) => {
  const inventory = loadInventory(writeInventory(context, { "tokyo.yaml": TOKYO, "madrid.yaml": MADRID }));
  const ids = (...names: string[]): string[] => selectDevices(inventory, names).map(({ id }) => id);
  assert.deepEqual(ids("b"), ["b"]);
  assert.deepEqual(ids("tokyo"), ["a", "b"]);
  assert.deepEqual(ids("b", "tokyo", "m"), ["b", "a", "m"]);
});

test("a name that is neither ends with 2 before anybody is dialled", async (context) => {
  const stacks = writeInventory(context, { "tokyo.yaml": TOKYO });
  const { exitCode, stdout, stderr } = await edgeFleet(["doctor", "osaka", "--inventory", stacks]);
  assert.deepEqual([exitCode, stdout], [2, ""]);
  assert.match(stderr, /osaka is in no region of .* - use /);
});

describe("on the device", { skip: ROOT }, () => {
  const profile = buildProfile({ architecture: process.arch === "arm64" ? "arm64" : "amd64", memoryMiB: 3072 });
  const examination = { profile, lock: LOCK, allowReboot: false };

  /** Runs what `ssh` would run, as a user, with commands of the test's before those of the machine. */
  function runOn(context: TestContext, uid: number, commands: Readonly<Record<string, string>>) {
    const machine = new Machine({});
    context.after(() => machine.remove());
    chmodSync(machine.root, 0o777);
    const bin = join(machine.root, "fakes");
    mkdirSync(bin);
    for (const [name, text] of Object.entries(commands))
      writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    for (const tool of ["id", "cat"]) symlinkSync(`/usr/bin/${tool}`, join(bin, tool));
    const { script, stdin } = examinationScript(examination, Math.round(Date.now() / 1000));
    const env = { PATH: bin, EDGE_FLEET_ROOT: machine.root, FAKES: machine.root };
    const { stdout } = spawnSync("/bin/sh", ["-c", script], { input: stdin, encoding: "utf8", uid, gid: uid, env });
    return { outcome: classifyExamination("edge-0001", ended(stdout)), root: machine.root };
  }

  const idsOf = (outcome: DoctorOutcome): string[] =>
    "findings" in outcome ? outcome.findings.map(({ id }) => id) : [outcome.state];

  test("root runs the preflight itself", (context) => {
    assert.deepEqual(idsOf(runOn(context, 0, { sudo: "echo sudo was called; exit 1" }).outcome), []);
  });

  test("a user who may run anything as root runs the preflight itself as root", (context) => {
    const sudo = '[ "$1" = -n ] || exit 1\nshift\necho "$*" >>"$FAKES/sudo"\nexec "$@"';
    const { outcome, root } = runOn(context, 65534, { sudo });
    assert.equal(readFileSync(join(root, "sudo"), "utf8"), "/bin/sh -c :\n/bin/sh -s\n");
    assert.deepEqual(idsOf(outcome), ["root"], "the stand-in for sudo does not really make root");
  });

  test("a user who may run nothing as root learns that, and all the rest", (context) => {
    const { outcome } = runOn(context, 65534, { sudo: "exit 1" });
    assert.deepEqual(idsOf(outcome), ["root"]);
  });

  test("a device whose artifacts are not locked is examined all the same", (context) => {
    const machine = new Machine({});
    context.after(() => machine.remove());
    const unlocked = { ...examination, lock: {} };
    const { script, stdin } = examinationScript(unlocked, Math.round(Date.now() / 1000));
    const env = { PATH: "/usr/bin:/bin", EDGE_FLEET_ROOT: machine.root };
    const { stdout } = spawnSync("/bin/sh", ["-c", script], { input: stdin, encoding: "utf8", env });
    assert.deepEqual(idsOf(classifyExamination("edge-0001", ended(stdout))), []);
  });

  test("a script that is cut off in transit does nothing", () => {
    const { script, stdin } = examinationScript(examination, 0);
    const { stdout } = spawnSync("/bin/sh", ["-c", script], { input: stdin.slice(0, -30), encoding: "utf8" });
    assert.equal(stdout, "");
  });
});
