import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type TestContext, test } from "node:test";
import { runProgram } from "../../../cli/process.ts";
import { besideArtifact, cachedArtifact } from "../../../components/artifacts/cache.ts";
import { judgePush, parseRequest } from "../../../cli/push/outcome.ts";
import { selectTargets } from "../../../cli/push/run.ts";
import { bodyFor, receiveCommand, receiveScript } from "../../../cli/push/send.ts";
import { deviceProgram, PROGRAM_PATH } from "../../../components/device/program.ts";
import { loadInventory } from "../../../components/inventory/index.ts";
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
    "tokyo.yaml": `region: tokyo\nartifacts: { delivery: push, maxKiBPerSecond: 100000 }\ndevices:\n${devices.map((text) => `  - ${text}\n`).join("")}`,
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

test("a file beside the lock file counts only with its locked bytes", async (context) => {
  const directory = temporaryDirectory(context);
  const file = { url: "assertions/x.assert", sha256: SHA256 };
  await assert.rejects(besideArtifact(directory, file), /x\.assert: is missing - restore it/);
  mkdirSync(join(directory, "assertions"));
  writeFileSync(join(directory, file.url), "other");
  await assert.rejects(besideArtifact(directory, file), /x\.assert: has SHA-256 .*, locked is /);
  writeFileSync(join(directory, file.url), BYTES);
  assert.equal((await besideArtifact(directory, file)).size, BYTES.length);
});

test("a device gets everything that it needs; one that fetches gets only what no URL has", (context) => {
  const file = (url: string) => `{ url: "${url}", sha256: ${SHA256} }`;
  const both = `amd64: ${file("https://example.com/a")}, arm64: ${file("https://example.com/b")}`;
  const snap = `{ revision: 1, snap: ${file("https://example.com/s")}, assertions: ${file("assertions/s.assert")} }`;
  const stacks = writeInventory(context, {
    "artifacts.lock.yaml": `k3s: { v1.34.2+k3s1: { ${both}, images: { ${both} } } }
wasm: { spin: { version: v0.23.0, ${both} } }
microk8s: { v1.34.2: { amd64: ${snap}, arm64: ${snap} } }
`,
    "tokyo.yaml": `region: tokyo
devices:
  - { id: fetching, host: h, model: box }
  - { id: pushed, host: h2, model: box, wasm: [spin], artifacts: { delivery: push, images: true } }
  - { id: snapped, host: h3, model: box, distribution: microk8s, microk8s: { version: v1.34.2 } }
`,
  });
  const inventory = loadInventory(stacks);
  const targets = selectTargets(inventory, "tokyo", []);
  assert.deepEqual(
    targets.map(({ profile, artifacts }) => [profile.id, artifacts.map(({ name }) => name)]),
    [
      ["pushed", ["k3s", "k3s-images", "spin"]],
      ["snapped", ["microk8s-assertions"]],
    ],
  );
  assert.throws(() => selectTargets(inventory, "tokyo", ["fetching"]), /fetching: artifacts\.delivery is fetch - /);
  assert.throws(() => selectTargets(inventory, "tokyo", ["nobody"]), /nobody: no such device in region tokyo/);
});

for (const [line, expected] of [
  [`send ${SHA256} 0`, { sha256: SHA256, offset: 0 }],
  [`send ${SHA256} 100\r`, { sha256: SHA256, offset: 100 }],
  [`send ${SHA256} -1`, undefined],
  [`send ${SHA256.slice(1)} 1`, undefined],
  [`have ${SHA256}`, undefined],
  ["Welcome to Debian", undefined],
] as const) {
  test(`the device's line ${JSON.stringify(line.replace(SHA256, "<sha256>"))} asks for ${expected ? "bytes" : "nothing"}`, () =>
    assert.deepEqual(parseRequest(line), expected));
}

test("a request for something that was not offered, or from behind its end, ends the transfer", () => {
  const item = { name: "k3s", sha256: SHA256, size: 10, path: "/nowhere" };
  assert.equal(bodyFor(`send ${"0".repeat(64)} 0`, [item], undefined), "close");
  assert.equal(bodyFor(`send ${SHA256} 11`, [item], undefined), "close");
  assert.equal(bodyFor(`send ${SHA256} 10`, [item], undefined), undefined);
});

test("the remote command is one word list that survives two shells", () => {
  const items = [
    { sha256: SHA256, size: 10, installPath: "/usr/local/bin/k3s" },
    { sha256: "0".repeat(64), size: 1, installPath: "/a b; rm" },
  ];
  const [, inner] = /^exec \/bin\/sh -c '([^']*)'$/.exec(receiveCommand(items)) ?? [];
  assert.match(
    inner ?? "",
    new RegExp(`edge-fleet-device receive ${SHA256}:10:/usr/local/bin/k3s ${"0".repeat(64)}:1:; fi; `),
  );
  assert.equal(spawnSync("dash", ["-n", "-c", inner ?? ""]).status, 0);
});

test("root asks for the script; another user uses the program where it can receive", (context) => {
  const directory = temporaryDirectory(context);
  const items = [{ sha256: SHA256, size: 10, installPath: "/usr/local/bin/k3s" }];
  const program = join(directory, "edge-fleet-device");
  const command = receiveCommand(items).replaceAll(PROGRAM_PATH, program);
  const stub = (name: string, text: string) =>
    writeFileSync(join(directory, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  stub("sudo", 'echo "sudo $*"');
  const said = (uid: number) => {
    stub("id", `echo ${uid}`);
    const env = { PATH: `${directory}:${process.env.PATH}` };
    return spawnSync("sh", ["-c", command], { input: "echo script of the shell", encoding: "utf8", env }).stdout;
  };
  assert.equal(said(0), "edge-fleet script\nscript of the shell\n");
  assert.equal(said(1000), "edge-fleet script\nsudo -n /bin/sh -s\n");
  writeFileSync(program, "usage: apply");
  assert.equal(said(1000), "edge-fleet script\nsudo -n /bin/sh -s\n");
  writeFileSync(program, deviceProgram().text);
  assert.equal(said(1000), `sudo -n ${program} receive ${SHA256}:10:/usr/local/bin/k3s\n`);
});

test("a lost connection keeps what was completed before it", () => {
  const items = ["a", "b", "c"].map((name) => ({ name, sha256: name.repeat(64), size: 100 }));
  const stdout = `have ${"a".repeat(64)}\nsend ${"b".repeat(64)} 40\nstored ${"b".repeat(64)}\nsend ${"c".repeat(64)} 0\n`;
  const stderr = "Authenticated to h\nclient_loop: send disconnect: Broken pipe\n";
  const outcome = judgePush("d", "ssh-ed25519 AAAA", { exitCode: 255, stdout, stderr, ended: undefined }, items);
  assert.deepEqual([outcome.state, outcome.reason, outcome.sentBytes], ["pending", "lost", 60]);
  assert.deepEqual(
    outcome.artifacts.map(({ name, state, resumedAt }) => [name, state, resumedAt]),
    [
      ["a", "present", 0],
      ["b", "pushed", 40],
      ["c", "missing", 0],
    ],
  );
});

for (const [command = "", ...args] of SHELLS) {
  const name = [command, ...args].join(" ");
  const other = Buffer.from("a second artifact");
  const otherSum = createHash("sha256").update(other).digest("hex");
  const offered = [
    { sha256: SHA256, size: BYTES.length, installPath: "/usr/local/bin/k3s" },
    { sha256: otherSum, size: other.length },
  ];
  /** Sends the script and answers each request with what `bytesOf` says, as the controller does. */
  const receive = (directory: string, items: typeof offered, bytesOf: (sha256: string, offset: number) => Buffer) =>
    runProgram(command, args, {
      stdin: receiveScript(items),
      converse: (line) => {
        const request = parseRequest(line);
        if (request === undefined) return undefined;
        const bytes = bytesOf(request.sha256, request.offset);
        return bytes.length === 0 ? "close" : Readable.from([bytes]);
      },
      environment: { EDGE_FLEET_STATE: join(directory, "state") },
      timeoutMs: 20_000,
    });
  const whole = (sha256: string, offset: number) => (sha256 === SHA256 ? BYTES : other).subarray(offset);
  const [first] = offered.map((item) => [item]);
  assert.ok(first !== undefined);

  test(`${name}: several artifacts are stored over one connection, and found again`, async (context) => {
    const directory = temporaryDirectory(context);
    const { stdout, stderr, exitCode } = await receive(directory, offered, whole);
    const lines = [`send ${SHA256} 0`, `stored ${SHA256}`, `send ${otherSum} 0`, `stored ${otherSum}`, "done", ""];
    assert.deepEqual([stdout.split("\n"), stderr, exitCode], [lines, "", 0]);
    assert.deepEqual(readFileSync(join(directory, "state", "artifacts", SHA256)), BYTES);
    assert.deepEqual(readFileSync(join(directory, "state", "artifacts", otherSum)), other);
    const again = await receive(directory, offered, whole);
    assert.equal(again.stdout, `have ${SHA256}\nhave ${otherSum}\ndone\n`);
  });

  test(`${name}: a user whose only right is the device program sends to it`, async (context) => {
    const directory = temporaryDirectory(context);
    const program = join(directory, "program");
    const part = readFileSync(join(import.meta.dirname, "../../../components/device/program/receive.sh"), "utf8");
    writeFileSync(program, `set -eu\nSTORE=${directory}/state/artifacts\n${part}receive_artifacts "$@"\n`);
    const shell = args.filter((word) => word !== "-s");
    const run = (...words: string[]) =>
      runProgram(command, [...shell, program, ...words], {
        converse: (line) => {
          const request = parseRequest(line);
          return request === undefined ? undefined : Readable.from([whole(request.sha256, request.offset)]);
        },
        timeoutMs: 20_000,
      });
    const { stdout } = await run(`${SHA256}:${BYTES.length}:/usr/local/bin/k3s`);
    assert.equal(stdout, `send ${SHA256} 0\nstored ${SHA256}\ndone\n`);
    for (const word of [
      "../../etc/passwd:1:",
      `${SHA256}x:1:`,
      `${SHA256.slice(1)}:1:`,
      `${SHA256}:1e9:`,
      `${SHA256}:`,
    ]) {
      const refused = await run(word);
      assert.deepEqual([refused.stdout, refused.exitCode], ["", 1]);
      assert.match(refused.stderr, /^edge-fleet: not an artifact: /);
    }
  });

  test(`${name}: what is installed as it is need not be sent`, async (context) => {
    const directory = temporaryDirectory(context);
    const installPath = join(directory, "k3s");
    writeFileSync(installPath, BYTES);
    const { stdout } = await receive(directory, [{ sha256: SHA256, size: BYTES.length, installPath }], whole);
    assert.equal(stdout, `have ${SHA256}\ndone\n`);
  });

  test(`${name}: a transfer that breaks off keeps its part for the next one`, async (context) => {
    const directory = temporaryDirectory(context);
    const broken = await runProgram(command, args, {
      stdin: receiveScript(first),
      reply: () => Readable.from([BYTES.subarray(0, 1000)]),
      environment: { EDGE_FLEET_STATE: join(directory, "state") },
      timeoutMs: 20_000,
    });
    assert.match(broken.stderr, /received 1000 of 300000 bytes - run again, it resumes/);
    const { stdout } = await receive(directory, first, whole);
    assert.equal(stdout, `send ${SHA256} 1000\nstored ${SHA256}\ndone\n`);
  });

  test(`${name}: wrong bytes are not stored and the part is dropped`, async (context) => {
    const directory = temporaryDirectory(context);
    const { stderr, exitCode } = await receive(directory, first, () => randomBytes(BYTES.length));
    assert.equal(exitCode, 1);
    assert.match(stderr, /do not have the locked SHA-256/);
    assert.deepEqual(readdirSync(join(directory, "state", "artifacts")), []);
  });
}
