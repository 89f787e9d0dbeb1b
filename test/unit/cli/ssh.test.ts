import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { RunResult } from "../../../cli/process.ts";
import { jumpAlias, quoteWord, sshArguments } from "../../../cli/ssh/arguments.ts";
import { classifyFailure, offeredFingerprintOf } from "../../../cli/ssh/classify.ts";
import { fingerprintOf, firstKnownKey, hostKeyAlgorithms, knownHostsText } from "../../../cli/ssh/keys.ts";
import { temporaryDirectory } from "./inventory.ts";

for (const [type, bits] of [
  ["ed25519", "256"],
  ["ecdsa", "256"],
  ["rsa", "2048"],
] as const) {
  test(`the fingerprint of an ${type} key is the one that ssh-keygen prints`, (context) => {
    const file = join(temporaryDirectory(context), "key");
    spawnSync("ssh-keygen", ["-q", "-t", type, "-b", bits, "-N", "", "-f", file]);
    const printed = spawnSync("ssh-keygen", ["-l", "-f", `${file}.pub`], { encoding: "utf8" }).stdout.split(" ")[1];
    assert.equal(fingerprintOf(readFileSync(`${file}.pub`, "utf8").trim()), printed);
  });
}

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0T";

const knownHosts: { name: string; text: string; key: string | undefined }[] = [
  { name: "a plain name", text: `device-1 ${KEY}\n`, key: KEY },
  { name: "a name with a port", text: `[10.0.0.1]:2222 ${KEY}\n`, key: KEY },
  { name: "a hashed name after a comment", text: `# written by ssh\n|1|c2FsdA==|aGFzaA== ${KEY} comment\n`, key: KEY },
  { name: "a certificate authority, which is no host key", text: `@cert-authority * ${KEY}\n`, key: undefined },
  { name: "an empty file", text: "", key: undefined },
  { name: "a line without a key", text: "device-1 ssh-ed25519 !!!\n", key: undefined },
];

for (const { name, text, key } of knownHosts) {
  test(`the key is read from a known_hosts file with ${name}`, () => assert.equal(firstKnownKey(text), key));
}

test("a known_hosts file has one line per pinned key", () => {
  assert.equal(knownHostsText(new Map([["a", KEY]])), `a ${KEY}\n`);
});

test("the pinned key's type is asked for first, else Ed25519", () => {
  assert.match(hostKeyAlgorithms(undefined), /^ssh-ed25519,ecdsa-sha2-nistp256,/);
  assert.match(hostKeyAlgorithms("ecdsa-sha2-nistp384 AAAA"), /^ecdsa-sha2-nistp384,ssh-ed25519,/);
  assert.match(hostKeyAlgorithms("ssh-rsa AAAA"), /^rsa-sha2-512,rsa-sha2-256,ssh-ed25519,/);
});

const CONNECTED = "debug1: Connection established.\n";
const BANNER = `${CONNECTED}debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2\n`;
const LOGGED_IN = `${BANNER}Authenticated to 10.0.0.1 ([10.0.0.1]:22) using "publickey".\n`;

const failures: { stderr: string; exitCode?: number; ended?: RunResult["ended"]; state: string; reason: string }[] = [
  { stderr: "ssh: connect to host h port 22: Connection refused\r\n", state: "pending", reason: "connection-refused" },
  { stderr: "ssh: connect to host h port 22: Connection timed out\r\n", state: "pending", reason: "unreachable" },
  { stderr: "ssh: connect to host h port 22: No route to host\r\n", state: "pending", reason: "unreachable" },
  { stderr: "ssh: connect to host h port 22: Network is unreachable\r\n", state: "pending", reason: "unreachable" },
  {
    stderr: "ssh: Could not resolve hostname h: Name or service not known\r\n",
    state: "pending",
    reason: "unknown-host",
  },
  {
    stderr: "Connection timed out during banner exchange\r\nConnection to h port 22 timed out\r\n",
    state: "pending",
    reason: "silent",
  },
  { stderr: "kex_exchange_identification: Connection closed by remote host\r\n", state: "pending", reason: "closed" },
  { stderr: "Connection reset by 10.0.0.1 port 22\r\n", state: "pending", reason: "closed" },
  { stderr: "Timeout, server h not responding.\r\n", state: "pending", reason: "lost" },
  { stderr: "client_loop: send disconnect: Broken pipe\r\n", state: "pending", reason: "lost" },
  { stderr: "", ended: "timeout", state: "pending", reason: "unreachable" },
  { stderr: CONNECTED, ended: "timeout", state: "pending", reason: "silent" },
  { stderr: BANNER, ended: "timeout", state: "pending", reason: "silent" },
  { stderr: LOGGED_IN, ended: "timeout", state: "pending", reason: "lost" },
  { stderr: LOGGED_IN, ended: "aborted", state: "pending", reason: "interrupted" },
  { stderr: "root@h: Permission denied (publickey).\r\n", state: "refused", reason: "permission-denied" },
  {
    stderr: "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\r\n",
    state: "refused",
    reason: "permission-denied",
  },
  {
    stderr: "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nHost key verification failed.\r\n",
    state: "refused",
    reason: "host-key-changed",
  },
  {
    stderr:
      "No ED25519 host key is known for jump.a and you have requested strict checking.\r\nHost key verification failed.\r\nConnection closed by UNKNOWN port 65535\r\n",
    state: "refused",
    reason: "jump-host-key",
  },
  {
    stderr: "Unable to negotiate with 10.0.0.1 port 22: no matching host key type found. Their offer: ssh-dss\r\n",
    state: "refused",
    reason: "protocol",
  },
  { stderr: "sudo: a password is required\n", exitCode: 1, state: "refused", reason: "no-sudo" },
  { stderr: "/bin/sh: 1: exec: sudo: not found\n", exitCode: 127, state: "refused", reason: "no-sudo" },
  { stderr: "bash: line 1: /bin/sh: No such file or directory\n", exitCode: 127, state: "refused", reason: "no-shell" },
  { stderr: "/home/u/.ssh/config: line 3: Bad configuration option: foo\r\n", state: "refused", reason: "client" },
  {
    stderr: "edge-fleet: ssh-keygen is missing - install the OpenSSH client\n",
    exitCode: 1,
    state: "refused",
    reason: "device",
  },
  { stderr: LOGGED_IN, exitCode: 0, state: "refused", reason: "unexpected-output" },
  { stderr: LOGGED_IN, ended: "output", state: "refused", reason: "unexpected-output" },
];

for (const { stderr, exitCode = 255, ended, state, reason } of failures) {
  const told = stderr.split("\n").findLast((line) => line.trim() !== "") ?? "nothing";
  test(`${ended ?? `exit ${exitCode}`} after "${told.trim().slice(0, 70)}" is ${state}: ${reason}`, () => {
    const failure = classifyFailure({
      exitCode: ended === undefined ? exitCode : undefined,
      stdout: "",
      stderr,
      ended,
    });
    assert.deepEqual([failure.state, failure.reason], [state, reason]);
    assert.doesNotMatch(failure.message, /\n|debug1/);
  });
}

test("the offered fingerprint behind a jump host is the device's, not the jump host's", () => {
  const line = (key: string): string => `debug1: Server host key: ssh-ed25519 SHA256:${key}\r\n`;
  assert.equal(offeredFingerprintOf(line("jump") + line("device")), "SHA256:device");
});

test("control characters of a device never reach the terminal", () => {
  const stderr = "edge-fleet: \u001b]0;title\u0007 red \u001b[31m\n";
  const { message } = classifyFailure({ exitCode: 1, stdout: "", stderr, ended: undefined });
  assert.equal(message, "]0;title  red  [31m");
});

test("a hostile user name cannot break out of the jump host's command line", () => {
  const proxy = { host: "jump", port: 22, user: "a'; touch /tmp/x; '%h", hostKey: KEY };
  const profile = { id: "a", host: "fd00::1", ssh: { user: "root", port: 2222, proxy } };
  const args = sshArguments({ profile, knownHosts: "/tmp/k", hostKeyChecking: "yes", pinned: KEY }, "true");
  const command = args.find((word) => word.startsWith("-oProxyCommand="))?.slice("-oProxyCommand=".length) ?? "";
  const expanded = command.replaceAll("%%", "%");
  const words = spawnSync("/bin/sh", ["-c", `printf '%s\\n' ${expanded}`], { encoding: "utf8" }).stdout.split("\n");
  assert.ok(words.includes(proxy.user), words.join("\n"));
  assert.ok(words.includes("[fd00::1]:2222"));
  assert.ok(words.includes(`-oHostKeyAlias=${jumpAlias("a")}`));
  assert.equal(quoteWord("plain-1.2"), "plain-1.2");
});
