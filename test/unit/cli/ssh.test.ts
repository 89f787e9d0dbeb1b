import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { SshDevice } from "../../../cli/ssh/files.ts";
import { fingerprintOf, firstKnownKey } from "../../../cli/ssh/keys.ts";
import { explainAnswer, remoteCommand, type SshAnswer, STDIN_AS_ROOT, withSsh } from "../../../cli/ssh/run.ts";
import { temporaryDirectory } from "./inventory.ts";
import { freePort, SKIP, type SshServer, startAgent, startSshd } from "./sshd.ts";

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

const ANSWER: SshAnswer = {
  ...{ exitCode: 255, stdout: "", stderr: "", ended: undefined, loggedIn: false, hostKey: undefined },
};

const ends: { name: string; answer: Partial<SshAnswer>; expected: [string, string] }[] = [
  { name: "Ctrl-C", answer: { exitCode: undefined, ended: "aborted" }, expected: ["pending", "interrupted"] },
  { name: "output without end", answer: { exitCode: undefined, ended: "output" }, expected: ["failed", "shell"] },
  { name: "no ssh", answer: { exitCode: undefined, stderr: "spawn ssh ENOENT" }, expected: ["failed", "client"] },
  { name: "no log-in in time", answer: { exitCode: undefined, ended: "timeout" }, expected: ["pending", "silent"] },
  {
    name: "no answer in time",
    answer: { exitCode: undefined, ended: "timeout", loggedIn: true },
    expected: ["pending", "lost"],
  },
];

for (const { name, answer, expected } of ends) {
  test(`${name} is ${expected.join(": ")}`, () => {
    const { state, code, reason } = explainAnswer({ ...ANSWER, ...answer });
    assert.deepEqual([state, code], expected);
    assert.notEqual(reason, "");
  });
}

test("control characters of a device never reach the terminal", () => {
  const stderr = "edge-fleet: \u001b]0;title\u0007 red \u001b[31m\n";
  assert.equal(explainAnswer({ ...ANSWER, exitCode: 1, stderr }).reason, "]0;title  red  [31m");
});

test("the remote command survives any log-in shell, and holds no quote but its own", () => {
  assert.match(remoteCommand(STDIN_AS_ROOT), /^exec \/bin\/sh -c '[^'!\\\n]*'$/);
  assert.throws(() => remoteCommand("echo 'x'"));
});

/** The agent belongs to this process for the length of the test. */
async function startClient(context: TestContext, directory: string) {
  const client = await startAgent(context, directory);
  const before = process.env.SSH_AUTH_SOCK;
  process.env.SSH_AUTH_SOCK = client.environment.SSH_AUTH_SOCK;
  context.after(() => {
    if (before === undefined) delete process.env.SSH_AUTH_SOCK;
    else process.env.SSH_AUTH_SOCK = before;
  });
  return client;
}

function deviceAt(
  id: string,
  port: number,
  more: Partial<SshDevice> = {},
  proxy?: SshDevice["ssh"]["proxy"],
): SshDevice {
  return { id, host: "127.0.0.1", hostKey: undefined, ssh: { user: "root", port, proxy }, ...more };
}

const leftOver = (): string[] => readdirSync(tmpdir()).filter((name) => /^ef-.{6}$/.test(name));

test("a command's output comes without what the log-in shell prints, and nothing is left behind", {
  skip: SKIP,
}, async (context) => {
  const directory = temporaryDirectory(context);
  const client = await startClient(context, directory);
  const talkative = `command="echo Welcome; exec /bin/sh -c \\"$SSH_ORIGINAL_COMMAND\\""`;
  const server = await startSshd(context, directory, { ...client, publicKey: `${talkative} ${client.publicKey}` });
  const before = leftOver();
  const [asked, told] = await withSsh((run) =>
    Promise.all([
      run(deviceAt("a", server.port), { script: "cat; echo problem >&2; exit 3", stdin: "hello", timeoutMs: 20_000 }),
      run(deviceAt("b", server.port, { hostKey: server.hostKey }), { script: "id -u", timeoutMs: 20_000 }),
    ]),
  );
  assert.deepEqual(
    [asked.exitCode, asked.stdout, asked.stderr, asked.loggedIn, asked.hostKey],
    [3, "hello", "problem\n", true, server.hostKey],
  );
  assert.deepEqual([told.exitCode, told.stdout], [0, "0\n"]);
  assert.deepEqual(leftOver(), before);
});

test("only the pinned key is taken", { skip: SKIP }, async (context) => {
  const directory = temporaryDirectory(context);
  const client = await startClient(context, directory);
  const server = await startSshd(context, directory, client);
  const device = deviceAt("a", server.port, { hostKey: server.hostKey });
  await server.rekey();
  const answer = await withSsh((run) => run(device, { script: "touch /tmp/reached", timeoutMs: 20_000 }));
  assert.equal(answer.loggedIn, false);
  const { state, code } = explainAnswer(answer);
  assert.deepEqual([state, code], ["failed", "host-key"]);
});

async function startSite(context: TestContext): Promise<{ jump: SshServer; site: SshServer }> {
  const directory = temporaryDirectory(context);
  const client = await startClient(context, directory);
  const jump = await startSshd(context, directory, client);
  // It stands for many devices, each of which has a server of its own.
  return { jump, site: await startSshd(context, directory, client, ["MaxStartups 100"]) };
}

/** Connections to a port of this machine that are up, from the client's side. */
function connectionsTo(port: number): number {
  const local = readFileSync("/proc/net/tcp", "utf8").split("\n");
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return local.filter((line) => new RegExp(`^ *\\d+: \\S+ 0100007F:${hex} 01 `).test(line)).length;
}

test("devices behind a jump host share its one connection, which ends with the command", {
  skip: SKIP,
}, async (context) => {
  const { jump, site } = await startSite(context);
  const proxy = { host: "127.0.0.1", port: jump.port, user: "root", hostKey: jump.hostKey };
  // One server is all of them here, and drops connections while more than ten have not logged in.
  const ids = Array.from({ length: 8 }, (_, index) => `device-${index}`);
  const answers = await withSsh(async (run) => {
    const asked = ids.map((id) => run(deviceAt(id, site.port, {}, proxy), { script: "sleep 1", timeoutMs: 30_000 }));
    await Promise.race(asked);
    assert.equal(connectionsTo(jump.port), 1);
    return Promise.all(asked);
  });
  assert.deepEqual(
    answers.map(({ exitCode }) => exitCode),
    ids.map(() => 0),
  );
  for (let attempt = 0; connectionsTo(jump.port) > 0 && attempt < 40; attempt++) await delay(50);
  assert.equal(connectionsTo(jump.port), 0, "a shared connection would last for a minute");
});

test("a jump host with another key than the pinned one is told apart from the device", {
  skip: SKIP,
}, async (context) => {
  const { jump, site } = await startSite(context);
  const proxy = { host: "127.0.0.1", port: jump.port, user: "root", hostKey: site.hostKey };
  const answer = await withSsh((run) => run(deviceAt("a", site.port, {}, proxy), { script: "id", timeoutMs: 30_000 }));
  assert.deepEqual([explainAnswer(answer).state, explainAnswer(answer).code], ["failed", "jump-host-key"]);
});

test("a hostile user name cannot break out of the jump host's command line", { skip: SKIP }, async (context) => {
  const { jump, site } = await startSite(context);
  const trap = join(temporaryDirectory(context), "broken-out");
  const proxy = { host: "127.0.0.1", port: jump.port, user: `a"; touch ${trap}; "'%h`, hostKey: jump.hostKey };
  const answer = await withSsh((run) => run(deviceAt("a", site.port, {}, proxy), { script: "id", timeoutMs: 30_000 }));
  assert.equal(answer.loggedIn, false);
  assert.equal(existsSync(trap), false);
});

test("an unreachable host is told as such also where the command has little time", { skip: SKIP }, async () => {
  const port = await freePort();
  const answer = await withSsh((run) => run(deviceAt("a", port), { script: "id", timeoutMs: 3_000 }));
  assert.deepEqual([explainAnswer(answer).state, explainAnswer(answer).code], ["pending", "refused"]);
});
