import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type FakeMachine, Machine } from "../device/preflight-fakes.ts";
import { edgeFleet, MAIN } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";
import { freePort, SKIP, type SshClient, type SshServer, startAgent, startSshd } from "./sshd.ts";

interface Report {
  readonly counts: Readonly<Record<string, number>>;
  readonly devices: readonly {
    readonly id: string;
    readonly state: string;
    readonly code?: string;
    readonly reason?: string;
    readonly findings?: readonly { readonly id: string; readonly severity: string }[];
  }[];
}

const MEMORY = { "/proc/meminfo": "MemTotal: 4100000 kB\n" };
const SICK: FakeMachine = {
  files: { "/sys/fs/cgroup/cgroup.controllers": null, "/proc/swaps": "Filename\n/swap file\n" },
};

async function doctor(stacks: string, client: SshClient, ...args: string[]) {
  const command = ["doctor", "tokyo", "--inventory", stacks, "--json", ...args];
  const { exitCode, stdout, stderr } = await edgeFleet(command, { environment: client.environment });
  assert.match(stderr, /^(doctor: \d+\/\d+ after \d+ s\n)*$/);
  const report = JSON.parse(stdout) as Report;
  const findings = report.devices.map(({ id, state, code, findings: list }) => [
    id,
    code ?? state,
    ...(list ?? []).map((finding) => finding.id),
  ]);
  return { exitCode, findings, ...report };
}

/** A server whose commands see a folder for the machine. Its host name and machine id are its own unless told. */
async function startDevice(context: TestContext, client: SshClient, fake: FakeMachine = {}): Promise<SshServer> {
  const name = `device-${Math.random().toString(36).slice(2)}`;
  const id = Buffer.from(name).toString("hex").slice(0, 32);
  const own = { "/proc/sys/kernel/hostname": `${name}\n`, "/etc/machine-id": `${id}\n` };
  const machine = new Machine({ ...fake, files: { ...MEMORY, ...own, ...fake.files } });
  context.after(() => machine.remove());
  const forced = `command="EDGE_FLEET_ROOT=${machine.root} exec /bin/sh -c \\"$SSH_ORIGINAL_COMMAND\\""`;
  return startSshd(context, temporaryDirectory(context), { ...client, publicKey: `${forced} ${client.publicKey}` });
}

function region(devices: readonly string[]): string {
  return `region: tokyo\nssh: { user: root }\ndevices:\n${devices.map((text) => `  - ${text}\n`).join("")}`;
}

/** An address of its own per device: the inventory takes no address twice. */
function device(id: string, port: number, more = "", host = "127.0.0.1"): string {
  return `{ id: ${id}, host: ${host}, model: box, ssh: { port: ${port} }${more} }`;
}

test("good, sick, dark and strange devices before enrollment: each with its findings or its reason", {
  skip: SKIP,
}, async (context) => {
  const client = await startAgent(context, temporaryDirectory(context));
  const [good, sick] = [await startDevice(context, client), await startDevice(context, client, SICK)];
  const stacks = writeInventory(context, {
    "tokyo.yaml": region([
      device("good", good.port),
      device("sick", sick.port),
      device("dark", await freePort()),
      device("strange", good.port, "", "localhost").replace("port:", "user: nobody, port:"),
    ]),
  });
  const report = await doctor(stacks, client);
  assert.deepEqual(report.findings, [
    ["dark", "refused"],
    ["good", "well"],
    ["sick", "errors", "cgroup", "swap"],
    ["strange", "log-in"],
  ]);
  assert.deepEqual(report.counts, { well: 1, warnings: 0, errors: 1, pending: 1, failed: 1 });
  assert.equal(report.exitCode, 1);
  for (const { state } of [good, sick]) assert.ok(!existsSync(state), "nothing is written on a device");
});

test("only dark devices beside well ones end with 3, and a well device alone with 0", {
  skip: SKIP,
}, async (context) => {
  const client = await startAgent(context, temporaryDirectory(context));
  const good = await startDevice(context, client);
  const text = region([device("good", good.port), device("dark", await freePort())]);
  const stacks = writeInventory(context, { "tokyo.yaml": text });
  assert.equal((await doctor(stacks, client)).exitCode, 3);
  const args = ["doctor", "good", "--inventory", stacks];
  const { exitCode, stdout } = await edgeFleet(args, { environment: client.environment });
  assert.equal(exitCode, 0);
  assert.equal(
    stdout,
    "DEVICE  SEVERITY  FINDING  DETAIL\ngood    well\ngood: 1 well, 0 with warnings, 0 with errors, 0 pending, 0 failed\n",
  );
});

test("after enrollment the pinned host key holds, and another one is refused", { skip: SKIP }, async (context) => {
  const client = await startAgent(context, temporaryDirectory(context));
  const server = await startDevice(context, client);
  const text = region([device("a", server.port, `, hostKey: ${server.hostKey}`)]);
  const stacks = writeInventory(context, { "tokyo.yaml": text });
  assert.deepEqual((await doctor(stacks, client)).findings, [["a", "well"]]);
  await server.rekey();
  const report = await doctor(stacks, client);
  assert.deepEqual([report.exitCode, report.findings], [1, [["a", "host-key"]]]);
  assert.match(
    report.devices[0]?.reason ?? "",
    /another host key than the pinned one - .* \(pinned SHA256:\S+, offered SHA256:\S+\)$/,
  );
});

test("two entries that lead to one device are told", { skip: SKIP }, async (context) => {
  const client = await startAgent(context, temporaryDirectory(context));
  const server = await startDevice(context, client);
  const stacks = writeInventory(context, {
    "tokyo.yaml": region([device("a", server.port), device("b", server.port, "", "localhost")]),
  });
  const clone = ["duplicate-machine-id", "duplicate-host-name"];
  assert.deepEqual((await doctor(stacks, client)).findings, [
    ["a", "errors", ...clone],
    ["b", "errors", ...clone],
  ]);
});

test("many devices are asked side by side: a silent one costs its own timeout alone", {
  skip: SKIP,
}, async (context) => {
  const client = await startAgent(context, temporaryDirectory(context));
  const server = createServer(() => {});
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, resolve));
  context.after(() => server.close());
  const silent = Array.from({ length: 8 }, (_, index) => device(`silent-${index}`, port, "", `127.0.0.${index + 1}`));
  const stacks = writeInventory(context, { "tokyo.yaml": region(silent) });
  const started = Date.now();
  const report = await doctor(stacks, client, "--timeout", "4");
  assert.deepEqual([report.exitCode, report.counts.pending], [3, 8]);
  assert.ok(Date.now() - started < 15_000, `took ${Date.now() - started} ms`);
});

test("Ctrl-C ends the connecting and reports what is known", { skip: SKIP }, async (context) => {
  const client = await startAgent(context, temporaryDirectory(context));
  const server = createServer(() => {});
  const port = await freePort();
  let connected = false;
  server.on("connection", () => {
    connected = true;
  });
  await new Promise<void>((resolve) => server.listen(port, resolve));
  context.after(() => server.close());
  const stacks = writeInventory(context, {
    "tokyo.yaml": region([device("a", port), device("b", port, "", "127.0.0.2")]),
  });
  const args = ["doctor", "tokyo", "--inventory", stacks, "--json", "--parallel", "1"];
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...client.environment } });
  let stdout = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  while (!connected && child.exitCode === null) await delay(20);
  child.kill("SIGINT");
  assert.equal(await ended, 3);
  const { devices } = JSON.parse(stdout) as Report;
  assert.deepEqual(
    devices.map(({ id, code }) => [id, code]),
    [
      ["a", "interrupted"],
      ["b", "interrupted"],
    ],
  );
});
