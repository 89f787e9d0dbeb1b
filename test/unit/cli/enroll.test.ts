import assert from "node:assert/strict";
import { test } from "node:test";
import { selectCandidates } from "../../../cli/enroll/candidates.ts";
import { refuseDuplicates } from "../../../cli/enroll/duplicates.ts";
import { type Candidate, classifyConnection, type EnrolledOutcome } from "../../../cli/enroll/outcome.ts";
import { enrollExitCode, formatOutcomes, nextStep, summarize } from "../../../cli/enroll/report.ts";
import type { RunResult } from "../../../cli/process.ts";
import { fingerprintOf } from "../../../cli/ssh/keys.ts";
import { type Inventory, loadInventory } from "../../../components/inventory/index.ts";
import { writeInventory } from "./inventory.ts";

const ARCHITECTURE = process.arch === "arm64" ? "arm64" : "amd64";
const NOW = "2026-11-24T20:00:00.000Z";
const SECONDS = Date.parse(NOW) / 1000;
const ASKED = { before: SECONDS - 20, after: SECONDS };

function hostKey(seed: string): string {
  return `ssh-ed25519 ${Buffer.from(`host ${seed}`).toString("base64")}`;
}

function identityKey(seed: string): string {
  return `ecdsa-sha2-nistp256 ${Buffer.from(`identity ${seed}`).toString("base64")}`;
}

/** Judges a connection that came to the script. */
function classifyAnswer(
  found: Candidate,
  result: RunResult,
  hostKey: string,
  asked: Parameters<typeof classifyConnection>[2],
) {
  return classifyConnection(found, { ...result, loggedIn: true, hostKey }, asked);
}

function answer(seed: string, more: object = {}): RunResult {
  const facts = {
    architecture: ARCHITECTURE,
    memoryMiB: 3906,
    os: "Debian",
    kernel: "6.1",
    machineId: "",
    time: SECONDS - 10,
  };
  const line = JSON.stringify({ edgeFleet: 1, identityKey: identityKey(seed), ...facts, ...more });
  return { exitCode: 0, stdout: `${line}\n`, stderr: "", ended: undefined };
}

const REGION = `region: tokyo
devices:
  - { id: new, host: h1, model: box }
  - { id: half, host: h2, model: box, hostKey: ${hostKey("half")} }
  - { id: done, host: h3, model: box, hostKey: ${hostKey("done")}, identityKey: ${identityKey("done")} }
  - { id: leaves, host: h4, model: box, state: removed }
`;
const OTHER = `region: osaka\ndevices:\n  - { id: far, host: h9, model: box, hostKey: ${hostKey("far")}, identityKey: ${identityKey("far")} }\n`;

function inventoryFor(context: Parameters<typeof writeInventory>[0]): Inventory {
  return loadInventory(writeInventory(context, { "tokyo.yaml": REGION, "osaka.yaml": OTHER }));
}

function candidate(inventory: Inventory, id: string, acceptNewKey = false): Candidate {
  const selection = { devices: [id], acceptNewKey: acceptNewKey ? [id] : [] };
  const found = selectCandidates(inventory, "tokyo", selection).candidates[0];
  assert.ok(found);
  return found;
}

const selections: { name: string; devices: string[]; accept: string[]; connect: string[]; already: string[] }[] = [
  { name: "without names: all that lack a key", devices: [], accept: [], connect: ["new", "half"], already: ["done"] },
  { name: "a named device, enrolled or not", devices: ["done"], accept: [], connect: ["done"], already: [] },
  {
    name: "one that is removed, only where it is named",
    devices: ["leaves"],
    accept: [],
    connect: ["leaves"],
    already: [],
  },
  { name: "a device whose new key is accepted", devices: [], accept: ["done"], connect: ["done"], already: [] },
];

for (const { name, devices, accept, connect, already } of selections) {
  test(`selected are, ${name}`, (context) => {
    const selected = selectCandidates(inventoryFor(context), "tokyo", { devices, acceptNewKey: accept });
    assert.deepEqual(
      [selected.candidates.map(({ profile }) => profile.id), selected.already.map(({ id }) => id)],
      [connect, already],
    );
  });
}

test("an unknown region or device is a usage error that names the fix", (context) => {
  const inventory = inventoryFor(context);
  const none = { devices: [], acceptNewKey: [] };
  assert.throws(() => selectCandidates(inventory, "kyoto", none), /use one of osaka, tokyo/);
  assert.throws(
    () => selectCandidates(inventory, "tokyo", { ...none, devices: ["far"] }),
    /far: no such device in .*tokyo\.yaml/,
  );
});

test("a device that answers is enrolled with the key that the connection used", (context) => {
  const outcome = classifyAnswer(candidate(inventoryFor(context), "new"), answer("new"), hostKey("new"), ASKED);
  assert.deepEqual(outcome, {
    id: "new",
    state: "enrolled",
    enrollment: {
      hostKey: hostKey("new"),
      identityKey: identityKey("new"),
      facts: {
        architecture: ARCHITECTURE,
        memoryMiB: 3906,
        os: "Debian",
        kernel: "6.1",
        enrolledAt: NOW,
      },
    },
    fingerprint: fingerprintOf(hostKey("new")),
    replacedFingerprint: undefined,
    clock: undefined,
  });
});

for (const [what, time, clock] of [
  ["within the time that the connection took", SECONDS - 20, undefined],
  ["half a minute before it", SECONDS - 50, undefined],
  ["a minute before it", SECONDS - 81, /^the clock says 2026-11-24T19:58:39Z, the workstation 2026-11-24T19:59:40Z: /],
  ["half a minute after it", SECONDS + 30, undefined],
  [
    "a year after it",
    SECONDS + 31_536_000,
    /^the clock says 2027-11-24T20:00:00Z, .* - set it \(timedatectl set-time, /,
  ],
  ["that of 1970", 7, /^the clock says 1970-01-01T00:00:07Z, the workstation 2026-11-24T19:59:40Z: /],
] as const) {
  test(`a device whose clock is ${what} is enrolled ${clock === undefined ? "silently" : "with a warning"}`, (context) => {
    const found = candidate(inventoryFor(context), "new");
    const outcome = classifyAnswer(found, answer("new", { time }), hostKey("new"), ASKED);
    assert.ok(outcome.state === "enrolled");
    if (clock === undefined) assert.equal(outcome.clock, undefined);
    else assert.match(outcome.clock ?? "", clock);
    const table = formatOutcomes([outcome], false);
    assert.equal(table.includes("MiB, Debian; warning: clock: the clock says "), clock !== undefined, table);
    assert.equal(enrollExitCode([outcome]), 0);
  });
}

test("a device that lost its identity is refused until its new keys are accepted", (context) => {
  const inventory = inventoryFor(context);
  const classify = (accept: boolean) =>
    classifyAnswer(candidate(inventory, "done", accept), answer("reinstalled"), hostKey("done"), ASKED);
  const refused = classify(false);
  assert.equal(refused.state === "failed" && refused.code, "identity-key-changed");
  assert.equal(classify(true).state, "enrolled");
});

const refused: { name: string; result: RunResult; reason: string }[] = [
  {
    name: "another architecture than its model",
    result: answer("new", { architecture: "riscv64" }),
    reason: "architecture",
  },
  { name: "an answer without a key", result: answer("new", { identityKey: "" }), reason: "shell" },
  { name: "an answer of the wrong shape", result: answer("new", { memoryMiB: "lots" }), reason: "shell" },
  { name: "an answer but a failing exit", result: { ...answer("new"), exitCode: 1 }, reason: "device" },
];

for (const { name, result, reason } of refused) {
  test(`a device with ${name} is not enrolled`, (context) => {
    const outcome = classifyAnswer(candidate(inventoryFor(context), "new"), result, hostKey("new"), ASKED);
    assert.deepEqual([outcome.state, "code" in outcome && outcome.code], ["failed", reason]);
  });
}

function enrolled(id: string, seeds: { host?: string; identity?: string; machine?: string } = {}): EnrolledOutcome {
  const facts = { architecture: ARCHITECTURE, memoryMiB: 1, enrolledAt: NOW } as const;
  const key = hostKey(seeds.host ?? id);
  return {
    id,
    state: "enrolled",
    enrollment: {
      hostKey: key,
      identityKey: identityKey(seeds.identity ?? id),
      facts: seeds.machine === undefined ? facts : { ...facts, machineId: seeds.machine.padStart(64, "0") },
    },
    fingerprint: fingerprintOf(key),
    replacedFingerprint: undefined,
    clock: undefined,
  };
}

const clones: { name: string; outcomes: EnrolledOutcome[]; reasons: Record<string, string> }[] = [
  {
    name: "two new devices with one host key are both refused",
    outcomes: [enrolled("new", { host: "x" }), enrolled("half", { host: "x" })],
    reasons: { new: "duplicate-host-key", half: "duplicate-host-key" },
  },
  {
    name: "two new devices with one machine id are both refused",
    outcomes: [enrolled("new", { machine: "1" }), enrolled("half", { machine: "1" })],
    reasons: { new: "duplicate-machine-id", half: "duplicate-machine-id" },
  },
  {
    name: "a clone of a device in another region is refused",
    outcomes: [enrolled("new", { identity: "far" }), enrolled("half")],
    reasons: { new: "duplicate-identity-key", half: "enrolled" },
  },
  {
    name: "a device that only gets a new key is no clone of itself",
    outcomes: [enrolled("done", { identity: "done" }), enrolled("new")],
    reasons: { done: "enrolled", new: "enrolled" },
  },
];

for (const { name, outcomes, reasons } of clones) {
  test(name, (context) => {
    const kept = refuseDuplicates(outcomes, inventoryFor(context));
    const found = kept.map((outcome) => [outcome.id, "code" in outcome ? outcome.code : outcome.state]);
    assert.deepEqual(Object.fromEntries(found), reasons);
  });
}

test("the report shows fingerprints, counts, the next step, and failures last", () => {
  const outcomes = [
    { id: "x", state: "failed", code: "sudo", reason: "no sudo", fingerprint: undefined },
    enrolled("new"),
    { id: "y", state: "pending", code: "silent", reason: "no banner", fingerprint: undefined },
    { id: "done", state: "already", fingerprint: "SHA256:d" },
  ] as const;
  assert.equal(
    formatOutcomes(outcomes, false),
    [
      "DEVICE  STATE     HOST KEY                                            DETAIL",
      `new     enrolled  ${fingerprintOf(hostKey("new"))}  ${ARCHITECTURE}, 1 MiB`,
      "y       pending   -                                                   silent: no banner",
      "x       failed    -                                                   sudo: no sudo",
      "",
    ].join("\n"),
  );
  assert.equal(summarize("tokyo", outcomes), "tokyo: 1 enrolled, 1 already, 1 pending, 1 failed");
  assert.match(
    nextStep("tokyo", outcomes, ["stacks/tokyo.lock.yaml"]),
    /commit stacks\/tokyo\.lock\.yaml, then: edge-fleet preview tokyo/,
  );
  assert.equal(enrollExitCode(outcomes), 1);
  assert.equal(enrollExitCode(outcomes.slice(1)), 3);
  assert.equal(enrollExitCode([enrolled("new")]), 0);
});
