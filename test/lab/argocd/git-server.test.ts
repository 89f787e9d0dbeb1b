import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { runCommand } from "../devices/command.ts";
import { generateSshKey } from "../devices/keys.ts";
import { startGitServer } from "./git-server.ts";

const scratch = mkdtempSync(join(tmpdir(), "edge-fleet-git-"));
after(() => rmSync(scratch, { recursive: true }));
const repositories = join(scratch, "repositories");
const work = join(scratch, "work");
mkdirSync(repositories);
execFileSync("git", ["init", "--quiet", "--bare", "--initial-branch=main", join(repositories, "fleet.git")]);
execFileSync("git", ["init", "--quiet", "--initial-branch=main", work]);
writeFileSync(join(work, "file"), "x".repeat(100_000));
const identity = ["-c", "user.name=lab", "-c", "user.email=lab@example.com"];
for (const args of [
  ["add", "file"],
  [...identity, "commit", "-qm", "first"],
  ["push", "-q", join(repositories, "fleet.git"), "main"],
])
  assert.equal(spawnSync("git", ["-C", work, ...args]).status, 0);

/** `git ls-remote`, with nobody's own settings. */
function ask(url: string, env: Record<string, string> = {}) {
  const own = { PATH: process.env.PATH ?? "", HOME: scratch, GIT_TERMINAL_PROMPT: "0", ...env };
  return runCommand("git", ["ls-remote", url, "main"], own);
}

test("answers over https to those who know its authority and the password of the day, and counts them", async (t) => {
  const server = await startGitServer(repositories, {
    protocol: "https",
    login: { username: "fleet", password: "one" },
  });
  t.after(() => server.stop());
  const ca = join(scratch, "ca.pem");
  writeFileSync(ca, server.authority ?? "");
  const as = (word: string) => `${server.url.replace("://", `://fleet:${word}@`)}/fleet.git`;
  assert.match((await ask(as("one"))).stderr, /certificate/);
  const env = { GIT_SSL_CAINFO: ca };
  assert.match((await ask(as("one"), env)).stdout, /refs\/heads\/main/);
  assert.ok(server.traffic().requests >= 2);
  assert.ok(server.traffic().sent > 500);
  assert.match((await ask(as("two"), env)).stderr, /Authentication failed/);
  server.setLogin({ username: "fleet", password: "two" });
  assert.match((await ask(as("one"), env)).stderr, /Authentication failed/);
  assert.equal((await ask(as("two"), env)).code, 0);
  server.resetTraffic();
  assert.deepEqual(server.traffic(), { requests: 0, connections: 0, received: 0, sent: 0 });
});

test("answers over SSH to the deploy key, and to it with git alone", async (t) => {
  const [good, bad] = [generateSshKey(), generateSshKey()];
  const server = await startGitServer(repositories, { protocol: "ssh", login: { publicKey: good.publicKey } });
  t.after(() => server.stop());
  const [known, key, other] = ["known_hosts", "key", "other"].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(known, `${server.knownHost}\n`);
  writeFileSync(key, good.privateKey, { mode: 0o600 });
  writeFileSync(other, bad.privateKey, { mode: 0o600 });
  const ssh = (file: string) =>
    `ssh -F /dev/null -i ${file} -o IdentitiesOnly=yes -o IdentityAgent=none -o UserKnownHostsFile=${known} -o StrictHostKeyChecking=yes`;
  const url = `${server.url}/fleet.git`;
  const answered = await ask(url, { GIT_SSH_COMMAND: ssh(key) });
  assert.match(answered.stdout, /refs\/heads\/main/, answered.stderr);
  assert.match((await ask(url, { GIT_SSH_COMMAND: ssh(other) })).stderr, /Permission denied/);
  const { host, port } = new URL(server.url);
  const words = [...ssh(key).split(" ").slice(1), "-p", port, `root@${host.split(":")[0]}`, "id"];
  const command = await runCommand("ssh", words);
  assert.notEqual(command.code, 0);
  assert.doesNotMatch(command.stdout, /uid=/);
  assert.equal(server.traffic().connections, 3);
  await server.stop();
  assert.match((await ask(url, { GIT_SSH_COMMAND: ssh(key) })).stderr, /refused/);
  await server.start();
  assert.equal((await ask(url, { GIT_SSH_COMMAND: ssh(key) })).code, 0);
  server.newHostKey?.();
  assert.match((await ask(url, { GIT_SSH_COMMAND: ssh(key) })).stderr, /Host key verification failed/);
  writeFileSync(known, `${server.knownHost}\n`);
  assert.equal((await ask(url, { GIT_SSH_COMMAND: ssh(key) })).code, 0);
});
