import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type DeviceOutcome, parseDialResult } from "../../../components/device/result.ts";

const line = (end: string, text = "", answer?: object): string =>
  JSON.stringify({
    attempt: "2",
    end,
    text,

    version: "v1.36.2+k3s1",
    ...(answer === undefined ? {} : { answer }),
  });
const answer = (result: string, code = "", reason = ""): string =>
  line("answer", "", { result, code, reason, device: "a", hash: "h", version: "v" });

const CASES: readonly (readonly [
  name: string,
  line: string,
  state: DeviceOutcome["state"],
  code: string,
  reason: RegExp,
])[] = [
  ["an apply", answer("applied"), "applied", "", /^$/],
  ["an engine that waits", line("answer", "", { result: "applied", engine: "waiting: x" }), "applied", "", /^$/],
  ["a no-op", answer("unchanged"), "applied", "", /^$/],
  ["a wipe", answer("removed"), "removed", "wiped", /^$/],
  ["a device that is let go", answer("removed", "", "retained"), "removed", "retained", /^$/],
  [
    "a roll-back",
    answer("rolled-back", "not-ready", "not-ready: node a is not Ready"),
    "failed",
    "not-ready",
    /^rolled back: node a is not Ready$/,
  ],
  [
    "a refusal by preflight",
    answer("failed", "disk", "disk: 10 MiB free - free some"),
    "failed",
    "disk",
    /^10 MiB free - free some$/,
  ],
  [
    "a run that is under way",
    answer("failed", "running", "running: not done yet - run again: it follows"),
    "pending",
    "running",
    /it follows/,
  ],
  ["an agent that waits", line("waiting", "server-1"), "pending", "server", /^its server server-1 comes first/],
  ["another host key", line("ssh", "255 Host key verification failed."), "failed", "host-key", /--accept-new-key$/],
  [
    "another key of the jump host",
    line(
      "ssh",
      "255 No ED25519 host key is known for jump-0123456789ab and you have requested strict checking. Host key verification failed.",
    ),
    "failed",
    "jump-host-key",
    /ssh\.proxy\.hostKey$/,
  ],
  [
    "no answer",
    line("ssh", "255 ssh: connect to host 10.0.0.1 port 22: Connection timed out"),
    "pending",
    "unreachable",
    /no answer/,
  ],
  [
    "a refused connection",
    line("ssh", "255 ssh: connect to host 10.0.0.1 port 22: Connection refused"),
    "pending",
    "refused",
    /nothing listens/,
  ],
  [
    "silence instead of a banner",
    line("ssh", "255 Connection timed out during banner exchange"),
    "pending",
    "silent",
    /no SSH server answers/,
  ],
  ["silence after the banner", line("ssh", "255 "), "pending", "silent", /stopped answering before log-in/],
  [
    "silence in the log-in",
    line("overdue", "255 Killed by signal 15."),
    "pending",
    "silent",
    /stopped answering before log-in/,
  ],
  [
    "a refused user",
    line("ssh", "255 edge@10.0.0.1: Permission denied (publickey)."),
    "failed",
    "log-in",
    /authorized_keys$/,
  ],
  [
    "sudo that asks",
    line("ssh-after-log-in", "1 sudo: a password is required"),
    "failed",
    "sudo",
    /password-less sudo/,
  ],
  [
    "sudo-rs that asks",
    line("ssh-after-log-in", "1 sudo: interactive authentication is required"),
    "failed",
    "sudo",
    /password-less sudo/,
  ],
  ["no sudo", line("ssh", "127 /bin/sh: 1: exec: sudo: not found"), "failed", "sudo", /install sudo/],
  [
    "a connection that was lost",
    line("ssh-after-log-in", "255 Timeout, server 10.0.0.1 not responding."),
    "pending",
    "lost",
    /goes on on the device/,
  ],
  ["a log-in that hangs", line("overdue-after-log-in", "143 "), "pending", "lost", /next run picks up/],
  [
    "a log-in shell that is none",
    line("ssh", "1 This account is currently not available."),
    "failed",
    "device",
    /exit code 1/,
  ],
];

for (const [name, text, state, code, reason] of CASES) {
  test(`outcome: ${name}`, () => {
    const parsed = parseDialResult(text);
    assert.ok(parsed);
    assert.deepEqual([parsed.attempt, parsed.outcome.state, parsed.outcome.code], ["2", state, code]);
    assert.match(parsed.outcome.reason, reason);
    assert.equal(parsed.outcome.release, "v1.36.2+k3s1");
  });
}

test("property: whatever a dial printed, the outcome is one of four, or there is none", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.tuple(fc.string(), fc.string(), fc.object()).map(([a, b, c]) => line(a, b, c)),
      ),
      (text) => {
        const parsed = parseDialResult(text);
        if (parsed !== undefined) assert.ok(["applied", "pending", "failed", "removed"].includes(parsed.outcome.state));
      },
    ),
  );
});
