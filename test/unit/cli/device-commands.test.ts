/** `ssh`, `logs`, `kubeconfig` and `exec` as processes, on real OpenSSH servers that stand for devices. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { parse } from "yaml";
import { classifyExec } from "../../../cli/device/exec.ts";
import { tunnelKubeconfig } from "../../../cli/device/kubeconfig.ts";
import { plainLines } from "../../../cli/device/lines.ts";
import { runProgram } from "../../../cli/process.ts";
import { edgeFleet, MAIN } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";
import { freePort, SKIP, type SshServer, startAgent, startSshd } from "./sshd.ts";

interface Fixture {
  /** Folder that stands for the root of device `a`, and its server. */
  readonly root: string;
  readonly server: SshServer;
  readonly stacks: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Temporary folders that commands have left behind. */
  leftOver(): string[];
  run(...args: string[]): ReturnType<typeof edgeFleet>;
  /** Starts the command and gives what it has written so far. */
  start(...args: string[]): { readonly child: ReturnType<typeof spawn>; text(): string; ended: Promise<number | null> };
  /** Writes a file of the device. */
  put(path: string, text: string): void;
}

/** Region tokyo: `a` answers, `off` does not, `new` is not enrolled, `node` is a node of `a`'s cluster, `gone` is removed. */
async function fixture(context: TestContext): Promise<Fixture> {
  const directory = temporaryDirectory(context);
  const client = await startAgent(context, directory);
  const server = await startSshd(context, directory, client);
  const key = (hostKey: string): string => `hostKey: ${hostKey}`;
  const entry = (id: string, host: string, port: number, more: string) =>
    `  - { id: ${id}, host: ${host}, model: box, ssh: { port: ${port} }${more} }\n`;
  const devices = [
    entry("a", "127.0.0.1", server.port, `, ${key(server.hostKey)}`),
    entry("off", "127.0.0.2", await freePort(), `, ${key(otherKey(1))}`),
    entry("new", "127.0.0.3", server.port, ""),
    entry("node", "127.0.0.4", server.port, `, joins: a, ${key(otherKey(2))}`),
    entry("gone", "127.0.0.5", server.port, `, state: removed, ${key(otherKey(3))}`),
  ];
  const stacks = writeInventory(context, {
    "tokyo.yaml": `region: tokyo\nssh: { user: root }\nnetwork: { shape: lan }\ndevices:\n${devices.join("")}`,
  });
  const root = join(dirname(server.state), "root");
  const temporary = join(directory, "tmp");
  mkdirSync(temporary);
  const environment = { ...client.environment, TMPDIR: temporary };
  const words = ([command = "", ...rest]: string[]) => [command, "--inventory", stacks, ...rest];
  return {
    ...{ root, server, stacks, environment },
    leftOver: () => readdirSync(temporary),
    run: (...args) => edgeFleet(words(args), { environment }),
    start: (...args) => {
      const child = spawn(process.execPath, [MAIN, ...words(args)], { env: { ...process.env, ...environment } });
      let text = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk));
      const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
      context.after(() => child.kill("SIGKILL"));
      return { child, text: () => text, ended };
    },
    put: (path, text) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    },
  };
}

/** A host key that no server has. */
function otherKey(number: number): string {
  const [type, bytes] = [Buffer.from("ssh-ed25519"), Buffer.alloc(32, number)];
  const field = (content: Buffer): Buffer[] => [Buffer.from([0, 0, 0, content.length]), content];
  return `ssh-ed25519 ${Buffer.concat([...field(type), ...field(bytes)]).toString("base64")}`;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 400; attempt++) {
    if (holds()) return;
    await delay(50);
  }
  assert.fail(`${what} has not come`);
}

/** Command lines of the processes that hold a word. */
function processesWith(word: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")];
      } catch {
        return [];
      }
    })
    .filter((line) => line.includes(word));
}

test("ssh runs one command with its output, its input and its exit code", { skip: SKIP }, async (context) => {
  const { run, server, leftOver } = await fixture(context);
  const { exitCode, stdout, stderr } = await run("ssh", "a", "--", "echo", "'one  two';", "echo wrong >&2; exit 7");
  assert.deepEqual([exitCode, stdout, stderr], [7, "one  two\n", "wrong\n"]);
  await server.rekey();
  const other = await run("ssh", "a", "--", "echo reached");
  assert.deepEqual([other.exitCode, other.stdout], [1, ""]);
  assert.match(other.stderr, /^a: failed: host-key: the device answers with another host key/m);
  assert.deepEqual(leftOver(), []);
});

test("ssh on a terminal gives a shell with one, and its exit code", { skip: SKIP }, async (context) => {
  const { stacks, environment } = await fixture(context);
  const command = `${process.execPath} ${MAIN} ssh a --inventory ${stacks}`;
  const stdin = "test -t 0 && test -t 1 && echo terminal; exit 6\n";
  const run = await runProgram("script", ["-qec", command, "/dev/null"], { stdin, environment, timeoutMs: 60_000 });
  assert.equal(run.exitCode, 6, run.stdout);
  assert.match(run.stdout, /^terminal\r?$/m);
});

const refused: { args: string[]; code: number; message: RegExp }[] = [
  { args: ["ssh", "off"], code: 3, message: /^off: pending: refused: nothing listens on the port/m },
  { args: ["ssh", "new"], code: 2, message: /device new is not enrolled - run edge-fleet enroll tokyo/ },
  { args: ["ssh", "nobody"], code: 2, message: /device nobody is in no region of / },
  { args: ["logs", "off"], code: 3, message: /^off: pending: refused: /m },
  { args: ["logs", "a", "kernel"], code: 2, message: /Allowed choices are apply, unit, engine/ },
  { args: ["kubeconfig", "off"], code: 3, message: /^off: pending: refused: /m },
  { args: ["kubeconfig", "node"], code: 2, message: /node of a's cluster - use edge-fleet kubeconfig a/ },
  {
    args: ["kubeconfig", "a"],
    code: 1,
    message: /^a: failed: kubeconfig: the device has no \/etc\/rancher\/k3s\/k3s/m,
  },
  { args: ["exec", "tokyo", "--", "true"], code: 2, message: /would run on 4 devices of tokyo - add --yes/ },
  { args: ["exec", "nowhere", "--", "true"], code: 2, message: /device nowhere is in no region of / },
  { args: ["exec", "a"], code: 2, message: /missing required argument 'command'/ },
];

test("what cannot be done is said, with the exit code for it", { skip: SKIP }, async (context) => {
  const { run } = await fixture(context);
  for (const { args, code, message } of refused) {
    const { exitCode, stdout, stderr } = await run(...args);
    assert.match(stderr, message);
    assert.deepEqual([exitCode, stdout], [code, ""], args.join(" "));
  }
});

/** What the last run has left, with a kubectl that says how it was called. */
function putCluster({ put, root }: Fixture): void {
  put("var/log/edge-fleet/apply.log", "one\ntwo\nthree\n");
  put("var/log/k3s.log", "started \u001b[31mred\u001b[0m\u0007\n");
  put("kubectl", 'case "$*" in *"get pods"*) echo pod/app ;; *) echo "[pod/app] $*" ;; esac\n');
  put(
    "var/lib/edge-fleet/settings",
    `set INIT openrc\nset SERVICE k3s\nset KUBECTL sh ${root}/kubectl --request-timeout=10s\nend\n`,
  );
}

test("logs shows the newest lines of each source, or why there are none", { skip: SKIP }, async (context) => {
  const device = await fixture(context);
  const none = await device.run("logs", "a");
  assert.equal(none.exitCode, 0, none.stderr);
  assert.equal(
    none.stdout,
    `apply  | no run has come to this device yet
unit   | no run has succeeded on this device yet: its service is not known
engine | no run has succeeded on this device yet: its cluster is not known
`,
  );
  putCluster(device);
  const { exitCode, stdout } = await device.run("logs", "a", "-n", "2");
  assert.equal(exitCode, 0);
  assert.equal(
    stdout,
    `apply  | two
apply  | three
unit   | started red
engine | [pod/app] -n argocd logs pod/app --all-containers --prefix --tail=2 --request-timeout=10s
`,
  );
  assert.equal((await device.run("logs", "a", "apply", "-n", "1")).stdout, "three\n");
});

test("logs --follow shows lines as they come, and Ctrl-C leaves nothing on the device", {
  skip: SKIP,
}, async (context) => {
  const device = await fixture(context);
  putCluster(device);
  const { child, text, ended } = device.start("logs", "a", "apply", "unit", "--follow");
  await until("the last line", () => text().includes("three") && text().includes("started"));
  appendFileSync(join(device.root, "var/log/edge-fleet/apply.log"), "four\n");
  await until("the new line", () => text().includes("apply  | four\n"));
  assert.equal(processesWith(`tail -n 50 -F ${device.root}`).length, 2);
  child.kill("SIGTERM");
  assert.deepEqual([await ended, /lost|pending/.test(text())], [0, false], text());
  await until("the end of tail", () => processesWith(`-F ${device.root}`).length === 0);
});

/** A server that stands for the API of a device. */
async function startApi(context: TestContext): Promise<number> {
  const port = await freePort();
  const server = createServer((socket) => socket.on("error", () => {}).end("the API of a\n"));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  context.after(() => server.close());
  return port;
}

const adminOf = (port: number): string => `apiVersion: v1
kind: Config
clusters: [{ name: default, cluster: { server: "https://localhost:${port}", certificate-authority-data: Q0E= } }]
users: [{ name: default, user: { client-key-data: c2VjcmV0 } }]
contexts: [{ name: default, context: { cluster: default, user: default } }]
current-context: default
`;

/** Prints the mode of the kubeconfig, its text, and what its server says. */
const CLIENT = `const { KUBECONFIG } = process.env;
const { readFileSync, statSync } = require("node:fs");
const text = readFileSync(KUBECONFIG, "utf8");
const port = /https:..127.0.0.1:(\\d+)/.exec(text)[1];
require("node:net").connect(port, "127.0.0.1").on("data", (said) => {
  console.log(JSON.stringify({ mode: statSync(KUBECONFIG).mode & 0o777, path: KUBECONFIG, text, said: String(said), args: process.argv.slice(1) }));
  process.exit(5);
});`;

test("kubeconfig --exec runs a command through the tunnel, and nothing stays", { skip: SKIP }, async (context) => {
  const { run, put } = await fixture(context);
  put("etc/rancher/k3s/k3s.yaml", adminOf(await startApi(context)));
  const args = ["--exec", process.execPath, "-e", CLIENT, "--", "-n", "kube-system", "--version"];
  const { exitCode, stdout, stderr } = await run("kubeconfig", "a", ...args);
  assert.deepEqual([exitCode, stderr], [5, ""]);
  const seen = JSON.parse(stdout) as { mode: number; path: string; text: string; said: string; args: string[] };
  assert.deepEqual([seen.mode, seen.said, seen.args], [0o600, "the API of a\n", ["-n", "kube-system", "--version"]]);
  assert.ok(!existsSync(seen.path));
  const wrong = await run("kubeconfig", "a", "--exec", "no-such-kubectl");
  assert.deepEqual([wrong.exitCode, /no-such-kubectl is not on PATH/.test(wrong.stderr)], [2, true]);
  const lost = await run("kubeconfig", "a", "--output", "/dev/null");
  assert.match(lost.stderr, /\/dev\/null exists, and is deleted at the end - use another path for --output/);
});

test("kubeconfig keeps the tunnel until it is ended, and its file is private and then gone", {
  skip: SKIP,
}, async (context) => {
  const { start, put, leftOver } = await fixture(context);
  put("etc/rancher/k3s/k3s.yaml", adminOf(await startApi(context)));
  const file = join(temporaryDirectory(context), "config");
  const { child, text, ended } = start("kubeconfig", "a", "--output", file);
  await until("the tunnel", () => text().includes("a: tunnel on 127.0.0.1:"));
  assert.match(text(), new RegExp(`^export KUBECONFIG='${file}'$`, "m"));
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.ok(!text().includes("c2VjcmV0"), "the key is not told");
  assert.deepEqual(processesWith("c2VjcmV0"), []);
  child.kill("SIGINT");
  assert.equal(await ended, 0);
  assert.ok(!existsSync(file));
  assert.deepEqual(leftOver(), []);
  const killed = start("kubeconfig", "a", "--output", "-");
  await until("the tunnel", () => killed.text().includes("c2VjcmV0") && killed.text().includes("tunnel on"));
  killed.child.kill("SIGKILL");
  const port = /127\.0\.0\.1:(\d+);/.exec(killed.text())?.[1] ?? "";
  await until("the tunnel's end", () => processesWith(`-L 127.0.0.1:${port}:`).length === 0);
});

test("a kubeconfig is pointed to the tunnel, and its certificate stays that of the API", () => {
  const { text, api } = tunnelKubeconfig("pi-1", adminOf(6443), 40001);
  assert.equal(api, "localhost:6443");
  const cluster = { server: "https://127.0.0.1:40001", "tls-server-name": "localhost" };
  assert.deepEqual(parse(text), {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "pi-1", cluster: { ...cluster, "certificate-authority-data": "Q0E=" } }],
    users: [{ name: "pi-1", user: { "client-key-data": "c2VjcmV0" } }],
    contexts: [{ name: "pi-1", context: { cluster: "pi-1", user: "pi-1" } }],
    "current-context": "pi-1",
  });
  for (const broken of [
    "",
    "clusters: []\n",
    "{",
    "clusters: [{ cluster: { server: http://x } }]\nusers: []\n",
    "a: &a [*a]",
  ])
    assert.throws(() => tunnelKubeconfig("pi-1", broken, 1), /device pi-1 has no kubeconfig with a cluster and a user/);
});

test("a kubeconfig of a device in strange hands runs no program and reads no file here", () => {
  const hostile = `clusters:
  - cluster: { server: "https://10.9.9.9:6443", proxy-url: "http://10.9.9.9", certificate-authority: /etc/shadow, insecure-skip-tls-verify: true }
users:
  - user: { token: t, tokenFile: /root/.ssh/id_ed25519, exec: { command: sh, args: [-c, touch /tmp/x] }, auth-provider: { name: x }, client-key: /etc/shadow }
`;
  const { clusters, users } = parse(tunnelKubeconfig("pi-1", hostile, 1).text) as Record<string, object[]>;
  assert.deepEqual(users, [{ name: "pi-1", user: { token: "t" } }]);
  const cluster = { server: "https://127.0.0.1:1", "tls-server-name": "10.9.9.9" };
  assert.deepEqual(clusters, [{ name: "pi-1", cluster }]);
});

test("a device behind a jump host is used through it", { skip: SKIP }, async (context) => {
  const { server, put, environment } = await fixture(context);
  put("etc/rancher/k3s/k3s.yaml", adminOf(await startApi(context)));
  const proxy = `{ host: 127.0.0.1, port: ${server.port}, user: root, hostKey: "${server.hostKey}" }`;
  const entry = `{ id: b, host: localhost, model: box, hostKey: ${server.hostKey}, ssh: { user: root, port: ${server.port}, proxy: ${proxy} } }`;
  const stacks = writeInventory(context, { "tokyo.yaml": `region: tokyo\ndevices:\n  - ${entry}\n` });
  const args = ["kubeconfig", "b", "--inventory", stacks, "--exec", process.execPath, "-e", CLIENT];
  const { exitCode, stdout, stderr } = await edgeFleet(args, { environment });
  assert.deepEqual([exitCode, stderr], [5, ""]);
  assert.match(stdout, /"said":"the API of a\\n"/);
});

test("exec tells each device's lines, the pending ones and the exit code of it all", {
  skip: SKIP,
}, async (context) => {
  const { run } = await fixture(context);
  const one = await run("exec", "a", "--", "echo '$HOME is' $HOME; cat");
  assert.deepEqual([one.exitCode, one.stdout, one.stderr], [0, "a: $HOME is /root\n", ""]);
  const all = await run("exec", "tokyo", "--yes", "--root", "--", "id -un; echo oops >&2; false");
  assert.equal(all.exitCode, 1);
  const lines = all.stdout.split("\n");
  for (const line of [
    "a: root",
    "a: oops",
    "a: failed: exit: the command ended with 1",
    "tokyo: 0 done, 3 pending, 1 failed",
  ])
    assert.ok(lines.includes(line), `${line}\n${all.stdout}`);
  assert.match(all.stdout, /^new +pending +not-enrolled +no host key is pinned - run edge-fleet enroll tokyo$/m);
  assert.match(all.stdout, /^off +pending +refused +/m);
  const json = await run("exec", "tokyo", "--yes", "--json", "--", "true");
  assert.equal(json.exitCode, 3);
  const { counts, devices } = JSON.parse(json.stdout) as { counts: object; devices: Record<string, unknown>[] };
  assert.deepEqual(counts, { done: 1, pending: 3, failed: 0 });
  assert.deepEqual(devices[0], { id: "a", state: "done", code: "", reason: "", exitCode: 0, stdout: "", stderr: "" });
  assert.deepEqual(
    devices.map(({ id }) => id),
    ["a", "new", "node", "off"],
  );
});

test("exec is bounded in time and in output", { skip: SKIP }, async (context) => {
  const { run } = await fixture(context);
  const slow = await run("exec", "a", "--timeout", "3", "--", "echo begun; sleep 60");
  assert.deepEqual([slow.exitCode, slow.stdout.split("\n")[0]], [1, "a: begun"]);
  assert.match(slow.stdout, /^a: failed: timeout: no end after 3 s: .* - give it more --timeout$/m);
  const loud = await run("exec", "a", "--", "yes");
  assert.equal(loud.exitCode, 1);
  assert.match(loud.stdout, /^a: failed: output: it wrote over 64 KiB/m);
});

test("a connection that was lost is pending, whatever the command would have said", () => {
  const answer = { exitCode: 255, stdout: "half", stderr: "", ended: undefined, loggedIn: true, hostKey: undefined };
  const { state, code, exitCode } = classifyExec("a", answer, 1000);
  assert.deepEqual([state, code, exitCode], ["pending", "lost", null]);
});

test("what a device writes cannot steer the terminal", () => {
  assert.equal(plainLines("\u001b]0;title\u0007 a\tb \u001b[1;31mred\u001b[0m\r\n\u009b2J"), "]0;title a\tb red\n2J");
});
