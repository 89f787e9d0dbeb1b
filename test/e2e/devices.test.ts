/**
 * The device lab as a whole, through the real OpenSSH client and server: what a log-in sees, how each mode looks from
 * outside, and that many can log in at once.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { dial, knownHostsLine, sshArguments } from "../lab/devices/client.ts";
import { runCommand } from "../lab/devices/command.ts";
import { type CommandResult, type LabDevice, startDevices } from "../lab/devices/lab.ts";
import { enterNamespaces } from "../lab/namespace.ts";
import { STANDIN_BIN } from "../lab/standins/index.ts";

await enterNamespaces();

const REPOSITORY = join(import.meta.dirname, "..", "..");
const directory = mkdtempSync("/run/edge-fleet-e2e-");
const knownHosts = join(directory, "known_hosts");
const requests = Array.from({ length: 64 }, (_, index) => ({
  id: `device-${index + 1}`,
  architecture: index === 63 ? ("arm64" as const) : ("amd64" as const),
}));

const lab = await startDevices({
  directory,
  devices: requests,
  mode: { "device-60": "dark", "device-61": "silent", "device-62": "refusing" },
  files: [{ path: "/opt/shared/tool", content: "#!/bin/sh\necho shared\n", mode: 0o755 }],
});
writeFileSync(knownHosts, lab.devices.map(knownHostsLine).join(""));
after(() => lab.stop());

function device(number: number): LabDevice {
  const found = lab.devices[number - 1];
  assert.ok(found);
  return found;
}

const withAgent: NodeJS.ProcessEnv = { ...process.env, SSH_AUTH_SOCK: lab.agentSocket };

function ssh(target: LabDevice, command: string): Promise<CommandResult> {
  return runCommand("ssh", sshArguments(target, knownHosts, command), withAgent);
}

test("each device answers with its own host name, address and files", async () => {
  for (const target of [1, 2, 3, 4, 5].map(device)) {
    writeFileSync(join(target.root, "root/whoami"), target.id);
    const command = "hostname; cat /etc/hostname /root/whoami; echo; getent hosts $(hostname)";
    const { code, stdout, stderr } = await ssh(target, command);
    assert.equal(code, 0, stderr);
    assert.deepEqual(stdout.split(/\s+/), [target.id, target.id, target.id, target.host, target.id, ""]);
  }
});

test("what one device writes is on no other device and not on the machine", async () => {
  const paths = [
    "/etc/edge-fleet-probe",
    "/usr/bin/edge-fleet-probe",
    "/tmp/edge-fleet-probe",
    "/var/lib/edge-fleet-probe",
  ];
  assert.equal((await ssh(device(1), `touch ${paths.join(" ")}`)).code, 0);
  assert.equal((await ssh(device(1), `ls ${paths.join(" ")}`)).code, 0, "the device itself keeps them");
  for (const path of paths) {
    assert.equal(existsSync(path), false, `${path} on the machine`);
    assert.notEqual((await ssh(device(2), `test -e ${path}`)).code, 0, `${path} on another device`);
  }
});

test("nothing of the controller is visible on a device", async () => {
  const { code, stdout } = await ssh(
    device(3),
    "ls -A /root /tmp /home /usr/local/lib /var/tmp; ls -A / | tr '\\n' ' '",
  );
  assert.equal(code, 0);
  assert.doesNotMatch(stdout, /\.ssh/);
  assert.notEqual((await ssh(device(3), `test -e ${REPOSITORY}`)).code, 0);
  assert.notEqual((await ssh(device(3), `test -e ${directory}`)).code, 0);
  const top = stdout.split("\n").at(-1)?.trim().split(" ") ?? [];
  const usual = /^(bin|dev|etc|home|lib(x?32|64)?|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)$/;
  assert.ok(top.includes("etc"));
  assert.deepEqual(
    top.filter((name) => !usual.test(name)),
    [],
  );
  const keys = await ssh(device(3), "cat /etc/ssh/ssh_host_*_key.pub");
  assert.equal(keys.stdout, `${device(3).hostKey}\n`);
});

test("a device looks like a machine that K3s accepts", async () => {
  const checks =
    "stat -fc %T /sys/fs/cgroup; cat /sys/fs/cgroup/cgroup.controllers; test -d /run/systemd/system && echo systemd";
  const { stdout } = await ssh(device(1), `${checks}; test -c /dev/null && echo dev; test -d /proc/self && echo proc`);
  assert.equal(stdout, "cgroup2fs\ncpuset cpu io memory pids\nsystemd\ndev\nproc\n");
  const machineIds = await Promise.all([1, 2].map((number) => ssh(device(number), "cat /etc/machine-id")));
  assert.match(machineIds[0]?.stdout ?? "", /^[0-9a-f]{32}\n$/);
  assert.notEqual(machineIds[0]?.stdout, machineIds[1]?.stdout);
});

test("the stand-ins and the shared files are on every device and can be run", async () => {
  const names = readdirSync(STANDIN_BIN);
  assert.ok(names.length > 0);
  for (const target of [device(1), device(64)]) {
    const { code, stderr } = await ssh(
      target,
      ["tool", ...names].map((name) => `PATH=$PATH:/opt/shared command -v ${name}`).join(" && "),
    );
    assert.equal(code, 0, stderr);
    assert.equal((await ssh(target, "/opt/shared/tool")).stdout, "shared\n");
  }
});

test("an arm64 device says aarch64 and keeps the rest of the machine's answer", async () => {
  assert.equal((await ssh(device(64), "uname -m")).stdout, "aarch64\n");
  assert.match((await ssh(device(64), "uname -sm")).stdout, /^Linux aarch64\n$/);
});

test("a device cannot change kernel settings of the machine", async () => {
  const before = readFileSync("/proc/sys/vm/panic_on_oom", "utf8");
  const { code, stderr } = await ssh(device(1), "echo 1 >/proc/sys/vm/panic_on_oom");
  assert.notEqual(code, 0);
  assert.match(stderr, /Read-only file system/);
  assert.equal(readFileSync("/proc/sys/vm/panic_on_oom", "utf8"), before);
});

test("a command's exit code, standard input and PATH arrive", async () => {
  assert.equal((await ssh(device(1), "exit 37")).code, 37);
  assert.equal((await ssh(device(1), "wc -c")).stdout, "0\n");
  const { stdout } = await ssh(device(1), "echo $PATH $HOME; pwd");
  assert.equal(stdout, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /root\n/root\n");
});

test("a command beside SSH runs in the same root and host name", async () => {
  const result = await lab.exec("device-2", "hostname; pwd; echo to-stderr >&2; exit 3");
  assert.deepEqual(result, { code: 3, stdout: "device-2\n/root\n", stderr: "to-stderr\n" });
});

test("a file copied with scp arrives unchanged", async () => {
  const source = join(directory, "payload");
  writeFileSync(source, Buffer.alloc(3_000_000, 7));
  const { host, port, root } = device(4);
  const options = ["-F", "/dev/null", "-o", `UserKnownHostsFile=${knownHosts}`, "-P", `${port}`];
  const { code, stderr } = await runCommand(
    "scp",
    [...options, source, `root@${host}:/usr/local/bin/payload`],
    withAgent,
  );
  assert.equal(code, 0, stderr);
  assert.ok(readFileSync(join(root, "usr/local/bin/payload")).equals(readFileSync(source)));
});

test("only the lab's key logs in", async () => {
  const withoutAgent = { ...process.env, SSH_AUTH_SOCK: "" };
  const other = join(directory, "other");
  assert.equal((await runCommand("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", other])).code, 0);
  const { code, stderr } = await runCommand(
    "ssh",
    ["-i", other, ...sshArguments(device(1), knownHosts, "true")],
    withoutAgent,
  );
  assert.equal(code, 255);
  assert.match(stderr, /Permission denied \(publickey\)/);
  const file = await runCommand(
    "ssh",
    ["-i", lab.clientKeyPath, ...sshArguments(device(1), knownHosts, "true")],
    withoutAgent,
  );
  assert.equal(file.code, 0, file.stderr);
});

test("an unreachable device times out", async () => {
  assert.equal(await dial(device(60), 500), "no connection");
  const { code, stderr } = await ssh(device(60), "true");
  assert.equal(code, 255);
  assert.match(stderr, /Connection timed out/);
});

test("a silent device connects and never sends its banner", async () => {
  assert.equal(await dial(device(61), 500), "connected");
  const { code, stderr } = await ssh(device(61), "true");
  assert.equal(code, 255);
  assert.match(stderr, /timed out during banner exchange/);
});

test("a refusing device refuses at once", async () => {
  const started = performance.now();
  assert.equal(await dial(device(62), 5000), "ECONNREFUSED");
  assert.ok(performance.now() - started < 500);
});

test("a device goes through all modes and back", async () => {
  const target = device(6);
  for (const [mode, answer] of [
    ["dark", /^no connection$/],
    ["silent", /^connected$/],
    ["refusing", /^ECONNREFUSED$/],
    ["up", /^SSH-2\.0-OpenSSH/],
    ["silent", /^connected$/],
    ["up", /^SSH-2\.0-OpenSSH/],
  ] as const) {
    await lab.setMode(target.id, mode);
    assert.match(await dial(target, 500), answer, mode);
  }
  assert.equal((await ssh(target, "hostname")).stdout, "device-6\n");
  assert.match(await dial(device(7), 500), /^SSH-2\.0-OpenSSH/, "the neighbour stayed up");
});

test("an open connection falls silent when its device cannot be reached and goes on afterwards", async (t) => {
  const target = device(8);
  const command = "while echo tick; do sleep 0.1; done";
  const child = spawn("ssh", sshArguments(target, knownHosts, command), {
    env: withAgent,
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  let ticks = 0;
  child.stdout.on("data", () => {
    ticks += 1;
  });
  while (ticks < 3) await once(child.stdout, "data");
  await lab.setMode(target.id, "dark");
  const atDark = ticks;
  await sleep(1000);
  assert.ok(ticks - atDark <= 1, `${ticks - atDark} lines came through to an unreachable device`);
  await lab.setMode(target.id, "up");
  await once(child.stdout, "data", { signal: AbortSignal.timeout(10_000) });
});

test("a changed host key fails closed until it is pinned", async () => {
  const target = device(9);
  const before = target.hostKey;
  const key = await lab.changeHostKey(target.id);
  assert.notEqual(key, before);
  const refused = await ssh(target, "true");
  assert.equal(refused.code, 255);
  assert.match(refused.stderr, /HOST IDENTIFICATION HAS CHANGED/);
  writeFileSync(knownHosts, lab.devices.map(knownHostsLine).join(""));
  assert.equal((await ssh(target, "hostname")).stdout, "device-9\n");
});

test("connections are counted per device, and only those that reached its SSH server", async () => {
  lab.resetConnections();
  await ssh(device(10), "true");
  await ssh(device(10), "true");
  await dial(device(11), 300);
  await dial(device(61), 300);
  await dial(device(62), 300);
  const counts = [10, 11, 12, 61, 62].map((number) => lab.connections(`device-${number}`));
  assert.deepEqual(counts, [2, 1, 0, 0, 0]);
  lab.resetConnections();
  assert.equal(lab.connections("device-10"), 0);
});

test("64 log-ins at once all succeed", async () => {
  const targets = lab.devices.filter(({ id }) => !["device-60", "device-61", "device-62"].includes(id));
  const all = [...targets, ...targets.slice(0, 64 - targets.length)];
  lab.resetConnections();
  // Two seconds to connect are short for 64 key exchanges on a small machine; the limit here is a minute.
  const results = await Promise.all(
    all.map((target) =>
      runCommand("ssh", ["-o", "ConnectTimeout=60", ...sshArguments(target, knownHosts, "hostname")], withAgent),
    ),
  );
  assert.deepEqual(
    results.map(({ code, stdout, stderr }) => (code === 0 ? stdout.trim() : stderr)),
    all.map(({ id }) => id),
  );
  assert.equal(lab.connections("device-1"), 2);
  assert.equal(lab.connections("device-20"), 1);
});
