/** `status --dial`, `rings` and `promote` as processes: devices without an agent are asked themselves, on real OpenSSH servers. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { plainLines } from "../../../cli/device/lines.ts";
import type { Known } from "../../../cli/rollout/memory.ts";
import { edgeFleet } from "./command.ts";
import { type AnswerChange, answerLine } from "./device-answer.ts";
import { temporaryDirectory } from "./inventory.ts";
import { type Clone, hoursAgo, rolloutRepository } from "./rollout-repository.ts";
import { freePort, SKIP, type SshClient, startAgent, startSshd } from "./sshd.ts";

/** A server that stands for a device, and the program of edge-fleet on it. */
interface Device {
  readonly port: number;
  readonly hostKey: string;
  /** Makes `edge-fleet-device status` run these lines of shell. */
  program(shell: string): void;
  /** Makes it answer this. */
  say(change: AnswerChange): void;
}

async function startDevice(context: TestContext, client: SshClient, id: string): Promise<Device> {
  const { port, hostKey, state } = await startSshd(context, temporaryDirectory(context), client);
  const path = join(dirname(state), "root/usr/local/sbin/edge-fleet-device");
  const program = (shell: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `#!/bin/sh\n[ "$1" = status ] || exit 9\n${shell}\n`, { mode: 0o755 });
  };
  const say = (change: AnswerChange): void => {
    const line = answerLine({ device: id, at: new Date().toISOString(), ...change });
    program(`cat <<'END'\n${line}\nEND`);
  };
  return { port, hostKey, program, say };
}

/** A port that takes connections and says nothing, for ever. */
async function startMute(context: TestContext): Promise<number> {
  const port = await freePort();
  const sockets: Socket[] = [];
  const server = createServer((socket) => void sockets.push(socket.on("error", () => {}))).listen(port, "127.0.0.1");
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return port;
}

/** A host key that no server has. */
const otherKey = (number: number): string => {
  const field = (content: Buffer): Buffer[] => [Buffer.from([0, 0, 0, content.length]), content];
  const bytes = [...field(Buffer.from("ssh-ed25519")), ...field(Buffer.alloc(32, number))];
  return `ssh-ed25519 ${Buffer.concat(bytes).toString("base64")}`;
};

const entry = (id: string, port: number, hostKey: string | undefined, more = ""): string =>
  `  - { id: ${id}, host: 127.0.0.1, model: box, ring: canary, ssh: { port: ${port} }${hostKey === undefined ? "" : `, hostKey: ${hostKey}`}${more} }\n`;

const region = (...entries: string[]): string =>
  `region: tokyo\nssh: { user: root }\nnetwork: { shape: lan }\ngitops: { engine: argocd }\ndevices:\n${entries.join("")}`;

/** Facts of an Application that runs a commit since so many hours. */
const running = (revision: string, hours: number): Record<string, string> => ({
  ...{ revision, deployedAt: hoursAgo(hours).toISOString(), healthSince: hoursAgo(hours).toISOString() },
  reconciledAt: new Date().toISOString(),
});

/** No stack: what is shown comes from devices alone. */
const run = (clone: Clone, ...args: string[]): ReturnType<typeof edgeFleet> =>
  edgeFleet(args, {
    cwd: clone.directory,
    environment: { KUBECONFIG: "", PATH: `${stub(clone)}:${process.env.PATH}` },
  });

function stub(clone: Clone): string {
  const folder = join(clone.directory, ".git/bin");
  mkdirSync(folder, { recursive: true });
  const script = `#!/bin/sh\n[ "$2" = ls ] && exec echo '[]'\necho "error: no stack named 'tokyo' found" >&2\nexit 6\n`;
  writeFileSync(join(folder, "pulumi"), script, { mode: 0o755 });
  return folder;
}

test("whatever devices do, each is told, none is healthy without a good answer, and the command ends", {
  skip: SKIP,
}, async (context) => {
  const client = await startAgent(context, temporaryDirectory(context));
  Object.assign(process.env, client.environment);
  const ids = ["well", "ill", "liar", "garbage", "huge", "old", "slow", "none"];
  const devices = await Promise.all(ids.map((id) => startDevice(context, client, id)));
  const [well, ill, liar, garbage, huge, old, slow, none] = devices;
  const others = [
    entry("dark", await freePort(), otherKey(1)),
    entry("mute", await startMute(context), otherKey(2)),
    entry("new", await freePort(), undefined),
    entry("bare", none?.port ?? 0, none?.hostKey, ", gitops: { engine: none }"),
    entry("agent", await freePort(), otherKey(5), ", gitops: { engine: argocd-agent }"),
    entry("node", await freePort(), otherKey(3), ", joins: well"),
  ];
  const shown = ids.slice(0, -1).map((id, index) => entry(id, devices[index]?.port ?? 0, devices[index]?.hostKey));
  const clone = await rolloutRepository(context, "", region(...shown, ...others));
  const sha = clone.git("rev-parse", "HEAD");
  clone.setDate(hoursAgo(5));
  await clone.run("promote", "canary", "--to", sha);

  well?.say({ app: running(sha, 3) });
  ill?.say({ app: { ...running(sha, 3), health: "Degraded" }, state: "waiting: \u001b]0;x\u0007\u001b[2Jpull" });
  liar?.say({ device: "well", app: running(sha, 3) });
  garbage?.program("echo '<html>{}'");
  huge?.program("cat /dev/zero | tr '\\0' x");
  old?.program("echo 'usage: edge-fleet-device apply <PAYLOAD | remove DEVICE' >&2; exit 2");
  slow?.program("sleep 60");
  none?.say({ device: "bare", engine: "none", state: "", apps: [], release: "v9" });

  const started = Date.now();
  const { exitCode, stdout, stderr } = await run(clone, "status", "--dial");
  assert.equal(exitCode, 0, stderr);
  assert.ok(Date.now() - started < 40_000, "20 s for each, all at a time");
  const line = (id: string): string => stdout.split("\n").find((text) => text.startsWith(`${id} `)) ?? "";
  const expected: [string, RegExp][] = [
    ["well", new RegExp(`^well .* ${sha.slice(0, 8)} +healthy +3h +0m ago`)],
    ["ill", /failed +3h +0m ago .*engine waiting: {2}?\]0;x +\[2Jpull; Application workloads: Degraded$/],
    ["liar", /unknown .*no answer: identity: the device says that it is well - compare host of both in the inventory$/],
    ["garbage", /unknown .*no answer: answer: what it says is no status - run edge-fleet up tokyo/],
    ["huge", /unknown .*no answer: shell: the device wrote without end/],
    ["old", /unknown .*no answer: program: its device program is older than this command - run edge-fleet up tokyo/],
    ["slow", /unknown .*no answer: slow: it did not tell its status in 15 s/],
    ["dark", /unknown .*no answer: refused: /],
    ["mute", /unknown .*no answer: silent: /],
    ["agent", /unknown .*no answer: the hub tells of it, and was not asked - use --kubeconfig <file>$/],
    ["new", /unknown +no-run: no run has come to it yet - run edge-fleet enroll tokyo, then edge-fleet up tokyo$/],
  ];
  for (const [id, pattern] of expected) assert.match(line(id), pattern);
  assert.match(line("bare"), /^bare .* v9 +canary +0m ago/, "it answers, and deploys nothing that could be healthy");
  assert.match(stdout, /^health: 1 healthy, 1 failed, 9 unknown$/m);
  assert.equal(plainLines(stdout), stdout);

  const rings = await run(clone, "rings", "--json");
  const [canary] = (JSON.parse(rings.stdout) as { rings: { devices: number; health: { counts: object } }[] }).rings;
  assert.equal(canary?.devices, 11, "neither a machine of another one's cluster nor one without an engine");
  assert.deepEqual(canary.health.counts, { healthy: 1, failed: 1, behind: 0, lost: 0, unknown: 9 });
});

test("in a repository without a commit the fix is to commit", async (context) => {
  const directory = temporaryDirectory(context);
  const init = ["init", "--name", "acme", "--git-url", "https://git.example.com/f.git", "--region", "tokyo", "--yes"];
  assert.equal((await edgeFleet(init, { cwd: directory })).exitCode, 0);
  execFileSync("git", ["init", "--quiet", directory]);
  const { exitCode, stderr } = await edgeFleet(["status", "--dial"], { cwd: directory });
  assert.equal(exitCode, 2);
  assert.match(stderr, /^error: the repository of fleet has no commit yet - run git add \. && git commit$/m);
});

test("a promotion asks the devices of the ring before, and waits until they have run its commit for long enough", {
  skip: SKIP,
}, async (context) => {
  const client = await startAgent(context, temporaryDirectory(context));
  Object.assign(process.env, client.environment);
  const [a, b] = [await startDevice(context, client, "a"), await startDevice(context, client, "b")];
  const last = entry("c", await freePort(), otherKey(1)).replace("canary", "broad");
  const text = region(entry("a", a.port, a.hostKey), entry("b", b.port, b.hostKey), last);
  const clone = await rolloutRepository(context, "", text);
  const sha = clone.git("rev-parse", "HEAD");
  clone.setDate(hoursAgo(30));
  assert.equal((await clone.run("promote", "canary", "--to", sha)).exitCode, 0);
  clone.setDate(new Date());
  const promote = (...more: string[]) => run(clone, "promote", "broad", "--no-diff", ...more);

  a.say({ app: running(sha, 20) });
  b.program("exit 1");
  const silent = await promote("--json");
  assert.equal(silent.exitCode, 1);
  assert.match(
    silent.stderr,
    /1 of 2 device\(s\) are healthy on the revision \(1 unknown\), rollout\.minHealthy is 95%/,
  );

  b.say({ app: running(sha, 1.2) });
  const early = await promote();
  assert.equal(early.exitCode, 3, early.stderr);
  assert.match(
    early.stderr,
    /ring canary has run \w+ on 95% of its devices for 1h 1[12]m of 2h - promote broad in 4[89]m$/m,
  );

  const now = await run(clone, "status", "tokyo");
  assert.match(now.stdout, new RegExp(`^a .*${sha.slice(0, 8)} +healthy +20h +0m ago`, "m"));
  assert.match(now.stdout, /^health: 2 healthy, 1 unknown$/m, "as they last answered; c was never asked");
  const aged = await run(clone, "status", "--max-status-age", "0m");
  assert.match(aged.stdout, /^health: 3 unknown$/m, "an answer that is too old says nothing");
  const file = join(clone.directory, ".edge-fleet/answers.json");
  assert.equal(statSync(file).mode & 0o777, 0o600);

  b.program("exit 1");
  const told = await run(clone, "status", "--dial", "--json");
  const report = join(clone.directory, ".git/status.json");
  writeFileSync(report, told.stdout);
  const known = (JSON.parse(told.stdout) as Record<string, Record<string, unknown>>).b;
  assert.deepEqual([known?.health, known?.connected, known?.revision], ["unknown", false, sha], "by its last answer");
  assert.match(String(known?.problems), /^no answer: device: exit code 1/);
  const byFile = await promote("--status", report);
  assert.match(byFile.stderr, /1 of 2 device\(s\) are healthy on the revision \(1 unknown\)/);

  b.say({ app: { ...running(sha, 20), health: "Degraded" } });
  assert.match((await promote()).stderr, /\(1 failed\)/);
  b.program("exit 1");
  assert.match((await promote()).stderr, /\(1 lost\)/, "it failed, and answers no more");

  writeFileSync(file, "{ broken");
  assert.match((await run(clone, "status")).stdout, /^a +box +new /m, "what cannot be read is nothing known");
  b.say({ app: running(sha, 2.1) });
  const done = await promote();
  assert.equal(done.exitCode, 0, done.stderr);
  assert.match(done.stdout, /^Ring before: canary, \w+ for 1d 6h, healthy: 2 of 2 device\(s\) healthy$/m);
  const { devices } = JSON.parse(readFileSync(file, "utf8")) as { devices: Record<string, Known> };
  assert.deepEqual(Object.keys(devices).sort(), ["a", "b"]);
  assert.ok(existsSync(file));
});
