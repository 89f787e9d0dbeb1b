import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { cachedArtifact } from "../../../cli/push/cache.ts";
import { parseRequest } from "../../../cli/push/outcome.ts";
import { receiveScript } from "../../../cli/push/send.ts";
import { edgeFleet } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";
import { freePort, SKIP, type SshServer, startAgent, startSshd } from "./sshd.ts";

const BYTES = randomBytes(300_000);
const SHA256 = createHash("sha256").update(BYTES).digest("hex");
const SHELLS: readonly (readonly string[])[] = [
  ["dash", "-s"],
  ["busybox", "ash", "-s"],
];

/** Serves the artifact and counts the requests. */
async function serve(context: TestContext, body: Buffer): Promise<{ url: string; requests: () => number }> {
  let requests = 0;
  const server = createServer((_, response) => {
    requests += 1;
    response.end(body);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  context.after(() => server.close());
  return { url: `http://127.0.0.1:${port}/k3s`, requests: () => requests };
}

function stacksFor(context: TestContext, url: string, devices: readonly string[]): string {
  const artifact = `{ url: "${url}", sha256: ${SHA256} }`;
  return writeInventory(context, {
    "artifacts.lock.yaml": `k3s:\n  v1.34.2+k3s1:\n    amd64: ${artifact}\n    arm64: ${artifact}\n`,
    "tokyo.yaml": `region: tokyo\nartifacts: { delivery: push }\ndevices:\n${devices.map((text) => `  - ${text}\n`).join("")}`,
  });
}

function device(id: string, server: Pick<SshServer, "port" | "hostKey">, host = "127.0.0.1"): string {
  return `{ id: ${id}, host: ${host}, model: box, ssh: { port: ${server.port} }, hostKey: ${server.hostKey} }`;
}

test("an artifact is downloaded once, pushed, found again, resumed and repaired", { skip: SKIP }, async (context) => {
  const directory = temporaryDirectory(context);
  const client = await startAgent(context, directory);
  const server = await startSshd(context, directory, client);
  const origin = await serve(context, BYTES);
  const stacks = stacksFor(context, origin.url, [device("a", server)]);
  const store = join(server.state, "artifacts");
  const push = async () => {
    const args = ["push", "tokyo", "--inventory", stacks, "--cache", join(directory, "cache"), "--json"];
    const { exitCode, stdout } = await edgeFleet(args, { environment: client.environment });
    const { devices } = JSON.parse(stdout) as { devices: { state: string; sentBytes: number }[] };
    return [exitCode, devices[0]?.state, devices[0]?.sentBytes];
  };
  assert.deepEqual(await push(), [0, "pushed", BYTES.length]);
  assert.deepEqual(readFileSync(join(store, SHA256)), BYTES);
  assert.equal(statSync(store).mode & 0o777, 0o700);
  assert.deepEqual(await push(), [0, "present", 0]);

  const cut = 123_456;
  spawnSync("rm", [join(store, SHA256)]);
  writeFileSync(join(store, `${SHA256}.part`), BYTES.subarray(0, cut));
  assert.deepEqual(await push(), [0, "pushed", BYTES.length - cut]);
  assert.deepEqual(readFileSync(join(store, SHA256)), BYTES);

  writeFileSync(join(store, SHA256), "damaged on flash");
  assert.deepEqual(await push(), [0, "pushed", BYTES.length]);
  assert.deepEqual(readdirSync(store), [SHA256]);
  assert.equal(origin.requests(), 1);
});

test("a device with another host key gets nothing; unreachable and not enrolled ones are pending", {
  skip: SKIP,
}, async (context) => {
  const directory = temporaryDirectory(context);
  const client = await startAgent(context, directory);
  const server = await startSshd(context, directory, client);
  const origin = await serve(context, BYTES);
  const pinned = { port: server.port, hostKey: `ssh-ed25519 ${Buffer.from("another key").toString("base64")}` };
  const dark = { port: await freePort(), hostKey: server.hostKey };
  const stacks = stacksFor(context, origin.url, [
    device("changed", pinned),
    device("dark", dark, "localhost"),
    "{ id: new, host: h, model: box }",
  ]);
  const args = ["push", "tokyo", "--inventory", stacks, "--cache", join(directory, "cache"), "--json"];
  const { exitCode, stdout } = await edgeFleet(args, { environment: client.environment });
  const { devices } = JSON.parse(stdout) as { devices: { id: string; state: string; reason: string }[] };
  assert.deepEqual(
    devices.map(({ id, state, reason }) => [id, state, reason]),
    [
      ["changed", "failed", "host-key-changed"],
      ["dark", "pending", "connection-refused"],
      ["new", "pending", "not-enrolled"],
    ],
  );
  assert.equal(exitCode, 1);
  assert.ok(!existsSync(server.state));
});

test("a download with other bytes than the locked ones is refused and not kept", async (context) => {
  const cache = join(temporaryDirectory(context), "cache");
  const origin = await serve(context, Buffer.from("something else"));
  await assert.rejects(cachedArtifact(cache, { url: origin.url, sha256: SHA256 }), /has SHA-256 .*, locked is /);
  assert.deepEqual(readdirSync(cache), []);
});

test("a damaged file in the cache is downloaded again", async (context) => {
  const cache = join(temporaryDirectory(context), "cache");
  mkdirSync(cache);
  writeFileSync(join(cache, SHA256), "damaged");
  const origin = await serve(context, BYTES);
  const { path, size } = await cachedArtifact(cache, { url: origin.url, sha256: SHA256 });
  assert.deepEqual([readFileSync(path), size], [BYTES, BYTES.length]);
});

for (const [line, expected] of [
  ["have", { kind: "have" }],
  ["send 0", { kind: "send", offset: 0 }],
  ["send 100\r", { kind: "send", offset: 100 }],
  ["send 101", { kind: "unclear" }],
  ["send -1", { kind: "unclear" }],
  ["Welcome to Debian", { kind: "unclear" }],
] as const) {
  test(`the device's line ${JSON.stringify(line)} means ${expected.kind}`, () =>
    assert.deepEqual(parseRequest(line, 100), expected));
}

for (const [command = "", ...args] of SHELLS) {
  const name = [command, ...args].join(" ");
  /** Sends the script, waits for its request and then sends the bytes, as the controller does. */
  const receive = async (directory: string, bytes: Buffer) => {
    const { runProgram } = await import("../../../cli/process.ts");
    const { Readable } = await import("node:stream");
    return runProgram(command, args, {
      stdin: receiveScript({ sha256: SHA256, size: BYTES.length }),
      reply: (line) => (line === "have" ? undefined : Readable.from([bytes])),
      environment: { EDGE_FLEET_STATE: join(directory, "state") },
      timeoutMs: 20_000,
    });
  };

  test(`${name}: whole bytes are stored`, async (context) => {
    const directory = temporaryDirectory(context);
    const { stdout, stderr, exitCode } = await receive(directory, BYTES);
    assert.deepEqual([stdout, stderr, exitCode], ["send 0\nstored\n", "", 0]);
    assert.deepEqual(readFileSync(join(directory, "state", "artifacts", SHA256)), BYTES);
    assert.equal((await receive(directory, BYTES)).stdout, "have\n");
  });

  test(`${name}: a transfer that breaks off keeps its part for the next one`, async (context) => {
    const directory = temporaryDirectory(context);
    const first = await receive(directory, BYTES.subarray(0, 1000));
    assert.match(first.stderr, /received 1000 of 300000 bytes - run again, it resumes/);
    const second = await receive(directory, BYTES.subarray(1000));
    assert.equal(second.stdout, "send 1000\nstored\n");
  });

  test(`${name}: wrong bytes are not stored and the part is dropped`, async (context) => {
    const directory = temporaryDirectory(context);
    const { stderr, exitCode } = await receive(directory, randomBytes(BYTES.length));
    assert.equal(exitCode, 1);
    assert.match(stderr, /do not have the locked SHA-256/);
    assert.deepEqual(readdirSync(join(directory, "state", "artifacts")), []);
  });
}
