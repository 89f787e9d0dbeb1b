import assert from "node:assert/strict";
import { test } from "node:test";
import { programScript } from "../../../cli/backup/connect.ts";
import { classifyListing, classifyRestored } from "../../../cli/backup/outcome.ts";
import { remoteCommand, type SshAnswer } from "../../../cli/ssh/run.ts";

function answered(stdout: string, more: Partial<SshAnswer> = {}): SshAnswer {
  return { exitCode: 0, stdout, stderr: "", ended: undefined, loggedIn: true, hostKey: undefined, ...more };
}

const COPY = { name: "20260501T080000Z", kib: 2048, sent: true };
const LISTING = { edgeFleetBackups: 1, url: "https://s3.example.com/x", unsent: "no\u001b[31m route", copies: [COPY] };

test("the copies of a device are read, with their times and without control characters", () => {
  assert.deepEqual(classifyListing("a", "tokyo", answered(`${JSON.stringify(LISTING)}\n`)), {
    device: "a",
    url: "https://s3.example.com/x",
    unsent: "no [31m route",
    copies: [{ ...COPY, time: "2026-05-01T08:00:00Z" }],
  });
});

test("how a restore ended is read", () => {
  const answer = { result: "rolled-back", copy: COPY.name, before: "", reason: "not-ready: x - y" };
  assert.deepEqual(classifyRestored("a", "tokyo", answered(JSON.stringify(answer), { exitCode: 1 })), {
    device: "a",
    ...answer,
  });
});

const silent: { name: string; answer: SshAnswer; state: string; code: string; reason: RegExp }[] = [
  ...[
    "sudo: /usr/local/sbin/edge-fleet-device: command not found",
    "sh: 1: exec: /usr/local/sbin/edge-fleet-device: not found",
  ]
    .concat("sudo: '/usr/local/sbin/edge-fleet-device': command not found", "usage: edge-fleet-device apply <PAYLOAD")
    .map((stderr) => ({
      name: `"${stderr}"`,
      answer: answered("", { exitCode: 127, stderr: `${stderr}\n` }),
      ...{ state: "failed", code: "program", reason: /missing or of another release - run edge-fleet up tokyo$/ },
    })),
  {
    name: "a device that says why not",
    answer: answered('{"result":"failed","reason":"locked: run 3 holds it - run again later"}\n', { exitCode: 1 }),
    ...{ state: "failed", code: "device", reason: /^locked: run 3 holds it - run again later$/ },
  },
  {
    name: "a device that does not answer",
    answer: answered("", {
      ...{ exitCode: 255, loggedIn: false, stderr: "ssh: connect to host h port 22: Connection timed out\r\n" },
    }),
    ...{ state: "pending", code: "unreachable", reason: /^no answer from the host$/ },
  },
];

for (const { name, answer, state, code, reason } of silent) {
  test(`${name} is ${state}: ${code}`, () => {
    const outcome = classifyListing("a", "tokyo", answer);
    assert.ok("state" in outcome);
    assert.deepEqual([outcome.state, outcome.code], [state, code]);
    assert.match(outcome.reason, reason);
  });
}

test("the device program is asked as root in words that any log-in shell takes as they are", () => {
  assert.match(remoteCommand(programScript(["restore", "-"])), /^exec \/bin\/sh -c '[^'!\\\n]*restore -'$/);
  for (const word of ["a b", "$(id)", "x;y", "'"]) assert.throws(() => programScript(["restore", word]));
});
