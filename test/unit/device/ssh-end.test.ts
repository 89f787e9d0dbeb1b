import assert from "node:assert/strict";
import { test } from "node:test";
import { explainSshEnd, type SshEnd } from "../../../components/device/failure.ts";

interface Case extends Partial<SshEnd> {
  readonly text: string;
  readonly expected: readonly ["pending" | "failed", string];
}

/** Messages of OpenSSH's client and of shells behind it, beside those in result.test.ts. */
const CASES: readonly Case[] = [
  { text: "ssh: connect to host h port 22: No route to host\r\n", expected: ["pending", "unreachable"] },
  { text: "ssh: connect to host h port 22: Network is unreachable\r\n", expected: ["pending", "unreachable"] },
  {
    text: "ssh: Could not resolve hostname h: Name or service not known\r\n",
    expected: ["pending", "unknown-host"],
  },
  { text: "kex_exchange_identification: Connection closed by remote host\r\n", expected: ["pending", "closed"] },
  { text: "Connection reset by 10.0.0.1 port 22\r\n", expected: ["pending", "closed"] },
  { text: "client_loop: send disconnect: Broken pipe\r\n", loggedIn: true, expected: ["pending", "lost"] },
  { text: "Connection to h closed by remote host.\r\n", loggedIn: true, expected: ["pending", "lost"] },
  {
    text: "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\r\n",
    expected: ["failed", "log-in"],
  },
  {
    text: "Unable to negotiate with 10.0.0.1 port 22: no matching host key type found. Their offer: ssh-dss\r\n",
    expected: ["failed", "protocol"],
  },
  {
    text: "sudo-rs: interactive authentication is required\n",
    status: 1,
    loggedIn: true,
    expected: ["failed", "sudo"],
  },
  {
    text: "sudo-rs: I'm sorry u. I'm afraid I can't do that\n",
    status: 1,
    loggedIn: true,
    expected: ["failed", "sudo"],
  },
  { text: "bash: line 1: /bin/sh: No such file or directory\n", status: 127, expected: ["failed", "shell"] },
  { text: "/home/u/.ssh/config: line 3: Bad configuration option: foo\r\n", expected: ["failed", "client"] },
  { text: "edge-fleet: memory: /run is full - restart\n", status: 1, loggedIn: true, expected: ["failed", "memory"] },
  {
    text: "edge-fleet: ssh-keygen is missing - install it\n",
    status: 1,
    loggedIn: true,
    expected: ["failed", "device"],
  },
  { text: "", status: 0, loggedIn: true, expected: ["failed", "shell"] },
  { text: "something else\n", status: 3, loggedIn: true, expected: ["failed", "device"] },
];

for (const { text, expected, ...end } of CASES) {
  const told = text.split("\n").findLast((line) => line.trim() !== "") ?? "nothing";
  const how = [end.overdue && "overdue", end.loggedIn && "logged in"].filter(Boolean).join(", ");
  test(`"${told.trim().slice(0, 70)}"${how && ` (${how})`} is ${expected.join(": ")}`, () => {
    const { state, code, reason } = explainSshEnd({
      status: "status" in end ? end.status : 255,
      loggedIn: false,
      ...end,
      text,
    });
    assert.deepEqual([state, code], expected);
    assert.doesNotMatch(reason, /[\r\n]/);
  });
}

test("what our own commands say on the device wins over all that the client says", () => {
  const text = "edge-fleet: program: it arrived damaged - run again\nConnection to h closed by remote host.\r\n";
  assert.deepEqual(explainSshEnd({ status: 255, text, loggedIn: true }), {
    state: "failed",
    code: "program",
    reason: "it arrived damaged - run again",
  });
});
