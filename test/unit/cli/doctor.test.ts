import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { compareDevices } from "../../../cli/doctor/duplicates.ts";
import { type DoctorOutcome, examined, type Finding, judgeExamination } from "../../../cli/doctor/outcome.ts";
import { doctorExitCode, doctorReport, formatOutcomes, nextStep, summarize } from "../../../cli/doctor/report.ts";
import { examinationScript } from "../../../cli/doctor/script.ts";
import { selectDevices } from "../../../cli/doctor/targets.ts";
import type { RunResult } from "../../../cli/process.ts";
import { deviceProgram } from "../../../components/device/program.ts";
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

function ended(stdout: string, changes: Partial<RunResult> = {}): RunResult {
  return { exitCode: 0, stdout, stderr: "", ended: undefined, ...changes };
}

const stateOf = (result: RunResult): string => judgeExamination("a", undefined, result).state;

function inventoryWith(context: TestContext, tokyo: string): Inventory {
  return loadInventory(writeInventory(context, { "tokyo.yaml": tokyo }));
}

test("a device is as well as its worst finding, and errors come first", () => {
  const outcome = judgeExamination("a", undefined, ended(`Welcome!\n${answer({ findings: [SWAP, CGROUP] })}bye\n`));
  assert.equal(outcome.state, "errors");
  assert.deepEqual("findings" in outcome && outcome.findings.map(({ id }) => id), ["cgroup", "swap"]);
  assert.equal(stateOf(ended(answer({ findings: [SWAP] }))), "warnings");
  assert.equal(stateOf(ended(answer())), "well");
});

const bad: { readonly name: string; readonly result: RunResult; readonly expected: readonly string[] }[] = [
  { name: "nothing", result: ended(""), expected: ["refused", "unexpected-output"] },
  { name: "half an answer", result: ended(answer().slice(0, 40)), expected: ["refused", "unexpected-output"] },
  {
    name: "an unknown severity",
    result: ended(answer({ findings: [{ ...SWAP, severity: "fatal" }] })),
    expected: ["refused", "unexpected-output"],
  },
  {
    name: "an id with control characters",
    result: ended(answer({ findings: [{ ...SWAP, id: "\u001b[31m" }] })),
    expected: ["refused", "unexpected-output"],
  },
  {
    name: "an answer and then silence",
    result: ended(answer(), { ended: "timeout" }),
    expected: ["pending", "unreachable"],
  },
  { name: "an answer of a failed shell", result: ended(answer(), { exitCode: 3 }), expected: ["refused", "device"] },
];

for (const { name, result, expected } of bad) {
  test(`${name} is no diagnosis`, () => {
    const outcome = judgeExamination("a", undefined, result);
    assert.deepEqual([outcome.state, "reason" in outcome && outcome.reason], expected);
  });
}

test("what a device writes is shown without control characters", () => {
  const text = "swap\u001b[2J\n on - off";
  const outcome = judgeExamination(
    "a",
    undefined,
    ended(answer({ hostName: "a\u0007b", findings: [{ ...SWAP, text }] })),
  );
  assert.ok("findings" in outcome);
  assert.deepEqual([outcome.hostName, outcome.findings[0]?.text], ["a b", "swap [2J  on - off"]);
});

test("clones are found among the devices and in the inventory, and named with their mend", (context) => {
  const other = "e".repeat(64);
  const pinned = `, hostKey: ssh-ed25519 AAAA, facts: { architecture: amd64, memoryMiB: 1, enrolledAt: "2026-01-01T00:00:00Z", machineId: ${other} }`;
  const region = TOKYO.replace("host: 10.0.0.2, model: box", `host: 10.0.0.2, model: box${pinned}`);
  const inventory = inventoryWith(context, region);
  const dark: DoctorOutcome = { id: "z", state: "pending", reason: "unreachable", message: "no answer" };
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
const dark: DoctorOutcome = { id: "d", state: "pending", reason: "unreachable", message: "no answer" };
const changed: DoctorOutcome = { id: "h", state: "refused", reason: "host-key-changed", message: "host key changed" };

const endings: { readonly outcomes: DoctorOutcome[]; readonly code: number; readonly next: RegExp }[] = [
  { outcomes: [well], code: 0, next: /^$/ },
  { outcomes: [well, warned], code: 0, next: /docs\/preflight\.md/ },
  { outcomes: [well, sick, dark], code: 1, next: /docs\/preflight\.md/ },
  { outcomes: [well, dark], code: 3, next: /when the pending devices can be reached/ },
  { outcomes: [changed, dark], code: 1, next: /mend the refused devices/ },
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
    `DEVICE  SEVERITY  FINDING           DETAIL
d       pending   unreachable       no answer
y       warning   swap              swap on /x - swapoff
h       refused   host-key-changed  host key changed
s       warning   swap              swap on /x - swapoff
s       error     cgroup            no cgroup v2 - boot

FINDING  SEVERITY  DEVICES
cgroup   error     1
swap     warning   2
`,
  );
  assert.equal(summarize(outcomes), "1 well, 1 with warnings, 1 with errors, 1 pending, 1 refused");
  assert.equal(formatOutcomes([well], false), "DEVICE  SEVERITY  FINDING  DETAIL\nw       well\n");
  assert.equal(formatOutcomes([well, well, well, well], false), "");
});

test("the report links each finding to its explanation", () => {
  const report = JSON.stringify(doctorReport([sick, dark]));
  assert.match(report, /"page":"docs\/preflight\.md#cgroup"/);
  assert.match(report, /"counts":\{"well":0,"warnings":0,"errors":1,"pending":1,"refused":0\}/);
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
  const examination = { profile, lock: LOCK, server: undefined, allowReboot: false };

  /** Runs what `ssh` would run, as a user, with commands of the test's before those of the machine. */
  function runOn(context: TestContext, uid: number, commands: Readonly<Record<string, string>>, allowReboot = false) {
    const machine = new Machine({});
    context.after(() => machine.remove());
    chmodSync(machine.root, 0o777);
    const bin = join(machine.root, "fakes");
    mkdirSync(bin);
    for (const [name, text] of Object.entries(commands))
      writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    for (const tool of ["id", "cat"]) symlinkSync(`/usr/bin/${tool}`, join(bin, tool));
    const { command, stdin } = examinationScript({ ...examination, allowReboot }, Math.round(Date.now() / 1000));
    const env = { PATH: bin, EDGE_FLEET_ROOT: machine.root, FAKES: machine.root };
    const { stdout } = spawnSync("/bin/sh", ["-c", command], { input: stdin, encoding: "utf8", uid, gid: uid, env });
    return { outcome: judgeExamination("edge-0001", undefined, ended(stdout)), root: machine.root };
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

  test("a user who may run only the device program has it run, with the settings of the device", (context) => {
    const program = `cat >"$FAKES/payload"; echo '${answer({ findings: [SWAP] }).trim()}'`;
    const sudo = `case "$*" in "-n /usr/local/sbin/edge-fleet-device doctor "[0-9]*) ${program} ;; *) exit 1 ;; esac`;
    const { outcome, root } = runOn(context, 65534, { sudo }, true);
    assert.deepEqual(idsOf(outcome), ["swap"]);

    const payload = gunzipSync(Buffer.from(readFileSync(join(root, "payload"), "utf8"), "base64")).toString();
    assert.doesNotMatch(payload, /^(file|artifact) /m);
    const file = join(root, "plain");
    writeFileSync(file, payload);
    const main = deviceProgram().text.replace(/main "\$@"\n$/, "");
    const read = `${main}payload ${file}; echo "$DEVICE $DISTRIBUTION $ARCH $MEMORY_MIB $MANAGED_REBOOT $PREFLIGHT"`;
    const result = spawnSync("dash", ["-c", read], { encoding: "utf8" });
    assert.deepEqual(
      [result.stdout, result.stderr],
      [
        `edge-0001 k3s ${profile.architecture} 3072 1 flannel=host-gw pods=10.42.0.0/16 dummy=1 delivery=fetch floor=1767225600 copies=24\n`,
        "",
      ],
    );
  });

  test("a user who may run nothing as root learns that, and all the rest", (context) => {
    const { outcome } = runOn(context, 65534, { sudo: "exit 1" });
    assert.deepEqual(idsOf(outcome), ["root"]);
  });

  test("a device whose profile cannot be rendered is examined all the same", (context) => {
    const machine = new Machine({});
    context.after(() => machine.remove());
    const unlocked = { ...examination, lock: {} };
    const { command, stdin } = examinationScript(unlocked, Math.round(Date.now() / 1000));
    assert.ok(stdin.startsWith("\n"));
    const env = { PATH: "/usr/bin:/bin", EDGE_FLEET_ROOT: machine.root };
    const { stdout } = spawnSync("/bin/sh", ["-c", command], { input: stdin, encoding: "utf8", env });
    assert.deepEqual(idsOf(judgeExamination("edge-0001", undefined, ended(stdout))), []);
  });

  test("a script that is cut off in transit does nothing", () => {
    const { command, stdin } = examinationScript(examination, 0);
    const { stdout } = spawnSync("/bin/sh", ["-c", command], { input: stdin.slice(0, -30), encoding: "utf8" });
    assert.equal(stdout, "");
  });

  test("the remote command survives any log-in shell, and holds no quote but its own", () => {
    const { command } = examinationScript(examination, 0);
    assert.match(command, /^exec \/bin\/sh -c '[^'!\\\n]*'$/);
  });
});
