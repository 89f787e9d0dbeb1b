import assert from "node:assert/strict";
import { test } from "node:test";
import { describeFailure } from "../../../components/device/failure.ts";
import { applyCommand } from "../../../components/plan/payload.ts";

const RESULT = `{"device":"a","result":"rolled-back","hash":"h","version":"v1.36.2+k3s1","reason":"not-ready: node \\"a\\" is not Ready"}`;

const CASES: readonly [string, string, RegExp][] = [
  [
    "the device's own reason wins over the text around it",
    `Process exited with status 1: running "set -eu\\nsecret-looking command":\n${RESULT}`,
    /^rolled-back: not-ready: node "a" is not Ready$/,
  ],
  [
    "another host key",
    "after 0 failed attempts: ssh: handshake failed: ssh: host key mismatch",
    /^the host key is not the pinned one - /,
  ],
  [
    "a refused log-in",
    "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey]",
    /^the device refuses the log-in - /,
  ],
  [
    "sudo without a right to the program, after a command that holds an answer of its own",
    `Process exited with status 1: running ${JSON.stringify(applyCommand("tokyo", "0".repeat(64)))}:\nsudo: a password is required\n`,
    /^sudo refuses the device program without a password - run edge-fleet enroll/,
  ],
  ["a dark host", "dial tcp 10.0.0.1:22: i/o timeout", /^no answer$/],
  ["a refused connection", "dial tcp 10.0.0.1:22: connect: connection refused", /^refuses the connection/],
  ["an apply over its limit", 'Process exited with status 124: running "x":\n', /^the apply ran longer than its limit/],
  ["a lost connection", "wait: remote command exited without exit status or exit signal", /^the connection was lost/],
  ["anything else shows its first line only", "strange\nsecond line with details", /^strange$/],
];

for (const [name, text, expected] of CASES) {
  test(`failure: ${name}`, () => assert.match(describeFailure(text), expected));
}

test("a long error without a known cause is cut, so that a command line with it is not printed whole", () => {
  assert.equal(describeFailure("x".repeat(1000)).length, 200);
});
