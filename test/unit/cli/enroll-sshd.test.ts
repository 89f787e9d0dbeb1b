import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { selectCandidates } from "../../../cli/enroll/candidates.ts";
import { runEnroll } from "../../../cli/enroll/run.ts";
import { fingerprintOf } from "../../../cli/ssh/keys.ts";
import { loadInventory } from "../../../components/inventory/index.ts";
import { edgeFleet, MAIN } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";
import { freePort, SKIP, type SshClient, startAgent, startSshd } from "./sshd.ts";

interface Report {
  readonly written: readonly string[];
  readonly devices: readonly { id: string; state: string; code?: string; reason?: string; fingerprint?: string }[];
}

async function enroll(stacks: string, client: SshClient, ...args: string[]) {
  const command = ["enroll", "tokyo", "--inventory", stacks, "--json", ...args];
  const { exitCode, stdout, stderr } = await edgeFleet(command, { environment: client.environment });
  assert.match(stderr, /^(enroll tokyo: \d+\/\d+ after \d+ s\n)*$/);
  return { exitCode, ...(JSON.parse(stdout) as Report) };
}

function region(devices: readonly string[]): string {
  return `region: tokyo\nssh: { user: root } # by key\ndevices:\n${devices.map((text) => `  - ${text}\n`).join("")}`;
}

function device(id: string, port: number, more = ""): string {
  return `{ id: ${id}, host: 127.0.0.1, model: box, ssh: { port: ${port} }${more} }`;
}

/** A port that accepts and never says a word. */
async function silentPort(context: TestContext): Promise<number> {
  const server = createServer(() => {});
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  context.after(() => server.close());
  return port;
}

test("a fleet of good and bad devices: the good ones are enrolled, the others named, each with its reason", {
  skip: SKIP,
}, async (context) => {
  const directory = temporaryDirectory(context);
  const client = await startAgent(context, directory);
  const [first, second] = [await startSshd(context, directory, client), await startSshd(context, directory, client)];
  const text = region([
    device("good", first.port),
    `id: block # in block style\n    host: 127.0.0.1\n    model: box\n    ssh: { port: ${second.port} }`,
    device("dark", await freePort()),
    device("silent", await silentPort(context)),
    `{ id: nowhere, host: no-such-host.invalid, model: box }`,
    device("stranger", first.port, "").replace("127.0.0.1", "localhost").replace("port:", "user: nobody, port:"),
  ]);
  const stacks = writeInventory(context, { "tokyo.yaml": text });
  const report = await enroll(stacks, client, "--yes");
  const states = Object.fromEntries(report.devices.map(({ id, state, code }) => [id, code ?? state]));
  assert.deepEqual(states, {
    good: "enrolled",
    block: "enrolled",
    dark: "refused",
    silent: "silent",
    nowhere: "unknown-host",
    stranger: "log-in",
  });
  assert.equal(report.exitCode, 1);

  const written = readFileSync(join(stacks, "tokyo.yaml"), "utf8");
  const entries = new Map(
    loadInventory(stacks)
      .regions.get("tokyo")
      ?.devices.map(({ entry }) => [entry.id, entry]),
  );
  assert.equal(entries.get("good")?.hostKey, first.hostKey);
  assert.equal(entries.get("block")?.hostKey, second.hostKey);
  assert.equal(entries.get("dark")?.hostKey, undefined);
  assert.equal(written, text);
  assert.deepEqual(report.written, [join(stacks, "tokyo.lock.yaml")]);
  const key = join(first.state, "identity.key");
  assert.equal(statSync(key).mode & 0o777, 0o600);
  assert.equal(statSync(first.state).mode & 0o777, 0o700);
  const derived = spawnSync("ssh-keygen", ["-y", "-f", key], { encoding: "utf8" }).stdout.trim();
  assert.equal(entries.get("good")?.identityKey, derived.split(" ").slice(0, 2).join(" "));
});

test("a silent host is given up after the connect timeout, well before the device's time is over", {
  skip: SKIP,
}, async (context) => {
  const client = await startAgent(context, temporaryDirectory(context));
  const stacks = writeInventory(context, { "tokyo.yaml": region([device("silent", await silentPort(context))]) });
  const started = Date.now();
  const report = await enroll(stacks, client, "--yes", "--timeout", "25");
  assert.equal(report.exitCode, 3);
  assert.equal(report.devices[0]?.code, "silent");
  assert.ok(Date.now() - started < 15_000, `took ${Date.now() - started} ms`);
});

test("a host that sends its banner and then nothing is ended by the device's own timeout", {
  skip: SKIP,
}, async (context) => {
  const client = await startAgent(context, temporaryDirectory(context));
  const server = createServer((socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n"));
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  context.after(() => server.close());
  const stacks = writeInventory(context, { "tokyo.yaml": region([device("half", port)]) });
  const report = await enroll(stacks, client, "--yes", "--timeout", "3");
  assert.equal(report.exitCode, 3);
  assert.deepEqual(
    report.devices.map(({ code, reason }) => [code, reason]),
    [["silent", "the SSH server stopped answering before log-in - restart the device"]],
  );
});

test("a changed host key is refused with both fingerprints and replaced only when the device is named", {
  skip: SKIP,
}, async (context) => {
  const directory = temporaryDirectory(context);
  const client = await startAgent(context, directory);
  const server = await startSshd(context, directory, client);
  const stacks = writeInventory(context, { "tokyo.yaml": region([device("a", server.port)]) });
  assert.equal((await enroll(stacks, client, "--yes")).exitCode, 0);
  const pinned = readFileSync(join(stacks, "tokyo.yaml"), "utf8");
  const old = fingerprintOf(server.hostKey);
  await server.rekey();
  const offered = fingerprintOf(server.hostKey);

  const refused = await enroll(stacks, client, "--yes", "--device", "a");
  assert.equal(refused.exitCode, 1);
  assert.equal(refused.devices[0]?.code, "host-key");
  assert.ok(refused.devices[0]?.reason?.includes(`pinned ${old}, offered ${offered}`), JSON.stringify(refused.devices));
  assert.equal(readFileSync(join(stacks, "tokyo.yaml"), "utf8"), pinned);

  const accepted = await enroll(stacks, client, "--yes", "--accept-new-key", "a");
  assert.equal(accepted.exitCode, 0);
  assert.equal(loadInventory(stacks).regions.get("tokyo")?.devices[0]?.entry.hostKey, server.hostKey);
});

test("two entries that lead to one device, and a device of the wrong architecture, are refused and not written", {
  skip: SKIP,
}, async (context) => {
  const directory = temporaryDirectory(context);
  const client = await startAgent(context, directory);
  const [server, other] = [await startSshd(context, directory, client), await startSshd(context, directory, client)];
  const text = region([
    device("a", server.port),
    device("b", server.port).replace("127.0.0.1", "localhost"),
    device("c", other.port).replace("model: box", "model: other"),
  ]);
  const stacks = writeInventory(context, { "tokyo.yaml": text });
  const report = await enroll(stacks, client, "--yes");
  assert.deepEqual(
    report.devices.map(({ id, code }) => [id, code]),
    [
      ["a", "duplicate-host-key"],
      ["b", "duplicate-host-key"],
      ["c", "architecture"],
    ],
  );
  assert.equal(report.exitCode, 1);
  assert.deepEqual(report.written, []);
  assert.equal(readFileSync(join(stacks, "tokyo.yaml"), "utf8"), text);
});

test("enrolling again connects to nobody and changes nothing", { skip: SKIP }, async (context) => {
  const directory = temporaryDirectory(context);
  const client = await startAgent(context, directory);
  const server = await startSshd(context, directory, client);
  const stacks = writeInventory(context, { "tokyo.yaml": region([device("a", server.port)]) });
  await enroll(stacks, client, "--trust-first-use");
  const once = readFileSync(join(stacks, "tokyo.yaml"), "utf8");
  const again = await enroll(stacks, client);
  assert.deepEqual([again.exitCode, again.devices[0]?.state], [0, "already"]);
  assert.equal(readFileSync(join(stacks, "tokyo.yaml"), "utf8"), once);
});

test("a jump host is used with its pinned key, and refused with another one", { skip: SKIP }, async (context) => {
  const directory = temporaryDirectory(context);
  const client = await startAgent(context, directory);
  const [server, jump] = [await startSshd(context, directory, client), await startSshd(context, directory, client)];
  const proxy = (hostKey: string): string =>
    region([
      device("a", server.port).replace(
        "ssh: {",
        `ssh: { proxy: { host: localhost, port: ${jump.port}, hostKey: ${hostKey} },`,
      ),
    ]);
  const stacks = writeInventory(context, { "tokyo.yaml": proxy(server.hostKey) });
  const refused = await enroll(stacks, client, "--yes");
  assert.deepEqual([refused.exitCode, refused.devices[0]?.code], [1, "jump-host-key"]);
  writeFileSync(join(stacks, "tokyo.yaml"), proxy(jump.hostKey));
  assert.equal((await enroll(stacks, client, "--yes")).exitCode, 0);
  assert.equal(loadInventory(stacks).regions.get("tokyo")?.devices[0]?.entry.hostKey, server.hostKey);
});

test("without a terminal and without --trust-first-use nothing is dialled", async (context) => {
  const stacks = writeInventory(context, { "tokyo.yaml": region([device("a", 9)]) });
  const { exitCode, stderr } = await edgeFleet(["enroll", "tokyo", "--inventory", stacks]);
  assert.equal(exitCode, 2);
  assert.match(stderr, /use --trust-first-use/);
});

test("a dry run lists who would be connected to", async (context) => {
  const stacks = writeInventory(context, { "tokyo.yaml": region([device("a", 9)]) });
  const { exitCode, stdout } = await edgeFleet(["enroll", "tokyo", "--inventory", stacks, "--dry-run"]);
  assert.equal(exitCode, 0);
  assert.match(stdout, /^a +root@127\.0\.0\.1:9 +trust on first use$/m);
});

test("Ctrl-C ends the connecting and saves what is done", { skip: SKIP }, async (context) => {
  const directory = temporaryDirectory(context);
  const client = await startAgent(context, directory);
  const server = await startSshd(context, directory, client);
  const text = region([
    device("a", server.port),
    device("silent", await silentPort(context)),
    device("later", await freePort()),
  ]);
  const stacks = writeInventory(context, { "tokyo.yaml": text });
  const args = ["enroll", "tokyo", "--inventory", stacks, "--yes", "--json", "--parallel", "2", "--timeout", "20"];
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...client.environment } });
  let stdout = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  const key = join(server.state, "identity.key");
  while (!existsSync(key)) await delay(20);
  await delay(700);
  child.kill("SIGINT");
  assert.equal(await ended, 3);
  const report = JSON.parse(stdout) as Report;
  assert.deepEqual(
    report.devices.map(({ id, state, code }) => [id, code ?? state]),
    [
      ["a", "enrolled"],
      ["silent", "interrupted"],
      ["later", "refused"],
    ],
  );
  assert.match(readFileSync(join(stacks, "tokyo.lock.yaml"), "utf8"), /^ {2}a:\n {4}hostKey: ssh-ed25519 /m);
});

test("a fingerprint that nobody confirms is not pinned, and nothing is written", { skip: SKIP }, async (context) => {
  const directory = temporaryDirectory(context);
  const client = await startAgent(context, directory);
  const server = await startSshd(context, directory, client);
  const text = region([device("a", server.port)]);
  const inventory = loadInventory(writeInventory(context, { "tokyo.yaml": text }));
  const outer = process.env.SSH_AUTH_SOCK;
  Object.assign(process.env, client.environment);
  context.after(() =>
    outer === undefined ? delete process.env.SSH_AUTH_SOCK : Object.assign(process.env, { SSH_AUTH_SOCK: outer }),
  );
  const asked: string[] = [];
  const run = runEnroll({
    inventory,
    region: "tokyo",
    candidates: selectCandidates(inventory, "tokyo", { devices: [], acceptNewKey: [] }),
    parallel: 1,
    timeoutMs: 20_000,
    signal: new AbortController().signal,
    confirm: async (shown) => {
      asked.push(...shown.map(({ fingerprint }) => fingerprint ?? ""));
      return false;
    },
  });
  await assert.rejects(run, { name: "UsageError", message: "not confirmed - nothing was pinned" });
  assert.deepEqual(asked, [fingerprintOf(server.hostKey)]);
  assert.ok(!existsSync(join(inventory.directory, "tokyo.lock.yaml")));
});

test("a pin of a device that is gone is dropped, one of a device of another region is kept", async (context) => {
  const key = (id: string) => `ssh-ed25519 ${Buffer.from(id).toString("base64")}`;
  const lock = `devices:\n${["a", "gone", "moved"].map((id) => `  ${id}: {hostKey: ${key(id)}, identityKey: ${key(id)}}\n`).join("")}`;
  const stacks = writeInventory(context, {
    "tokyo.yaml": region([device("a", 9)]),
    "osaka.yaml": "region: osaka\ndevices:\n  - { id: moved, host: h, model: box }\n",
    "tokyo.lock.yaml": lock,
  });
  const { exitCode, stdout } = await edgeFleet(["enroll", "tokyo", "--inventory", stacks]);
  assert.equal(exitCode, 0);
  assert.match(stdout, /^gone: no longer in the inventory, its entry was dropped$/m);
  const { regions } = loadInventory(stacks);
  assert.deepEqual(Object.keys(regions.get("tokyo")?.lock.devices ?? {}), ["a", "moved"]);
});
