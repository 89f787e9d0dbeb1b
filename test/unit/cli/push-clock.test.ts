import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { ClockWatch } from "../../../cli/push/clock.ts";
import type { PushOutcome } from "../../../cli/push/outcome.ts";
import { installCommand } from "../../../cli/push/program.ts";
import { receiveCommand } from "../../../cli/push/send.ts";
import { clockCommand, clockFinding, clockOffset, parseClock, STARTED_PATHS } from "../../../cli/ssh/clock.ts";
import { PROGRAM_PATH } from "../../../components/device/program.ts";
import { edgeFleet } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";
import { SKIP, startAgent, startSshd } from "./sshd.ts";

const NOW = 1_790_000_000;
const SHELLS: readonly (readonly string[])[] = [["dash"], ["busybox", "ash"]];

for (const [what, device, before, after, offset] of [
  ["the same second", NOW, NOW + 0.4, NOW + 0.6, 0],
  ["a fast link", NOW + 100, NOW, NOW + 1, 99],
  ["a link of four minutes, the clock right", NOW + 200, NOW, NOW + 240, 0],
  ["a link of four minutes, the clock behind", NOW - 40, NOW, NOW + 240, -40],
  ["a link of four minutes, the clock ahead", NOW + 300, NOW, NOW + 240, 60],
] as const) {
  test(`offset of a clock: ${what}`, () => assert.equal(clockOffset(device, { before, after }), offset));
}

test("up to half a minute beyond what the link explains is no finding", () => {
  const bracket = { before: NOW, after: NOW + 10 };
  for (const seconds of [NOW - 30, NOW, NOW + 10, NOW + 40]) assert.equal(clockFinding(seconds, bracket), undefined);
  assert.match(
    clockFinding(NOW + 41, bracket) ?? "",
    /^the clock says 2026-09-21T14:14:01Z, the controller 2026-09-21T14:13:30Z: .* - set it \(timedatectl set-time, /,
  );
  assert.match(clockFinding(NOW - 31, bracket) ?? "", /^the clock says 2026-09-21T14:12:49Z, the controller 2026-/);
});

for (const [line, expected] of [
  ["clock 1790000000 0", { seconds: NOW, started: false }],
  ["clock 1790000000 1\r", { seconds: NOW, started: true }],
  ["clock -1 0", undefined],
  ["clock 1790000000", undefined],
  ["clock 9999999999999999 0", undefined],
  ["Welcome, clock 1790000000 0", undefined],
] as const) {
  test(`the line ${JSON.stringify(line)} tells ${expected ? "a clock" : "nothing"}`, () =>
    assert.deepEqual(parseClock(line), expected));
}

test("a wrong clock refuses a device without a cluster, and only warns one that has a cluster", () => {
  const outcome: PushOutcome = {
    ...{ id: "a", state: "pushed", sentBytes: 7, reason: undefined, message: "k3s", artifacts: [] },
  };
  const judge = (...lines: string[]) => {
    const watch = new ClockWatch(() => NOW);
    const heard = lines.map((line) => watch.hear(line));
    return { heard, refused: watch.refused, ...watch.conclude(outcome) };
  };
  assert.deepEqual(judge("Welcome", `clock ${NOW} 0`), { heard: [false, true], refused: false, ...outcome });
  assert.deepEqual(judge("Welcome"), { heard: [false], refused: false, ...outcome });
  const fresh = judge("clock 1000 0");
  assert.deepEqual([fresh.refused, fresh.state, fresh.reason, fresh.sentBytes], [true, "failed", "clock", 0]);
  assert.match(
    fresh.message,
    /^the clock says 1970-01-01T00:16:40Z, the controller 2026-09-21T14:13:20Z: .* - set it /,
  );
  const running = judge("clock 1000 1");
  assert.deepEqual([running.refused, running.state], [false, "pushed"]);
  assert.match(running.message, /^k3s; warning: clock: the clock says 1970-/);
});

test("the paths that tell a cluster are those of the preflight", () => {
  const preflight = readFileSync(join(import.meta.dirname, "../../../components/device/program/preflight.sh"), "utf8");
  const [, body = ""] = /\nstarted\(\) \{\n([\s\S]*?)\n\}/.exec(preflight) ?? [];
  const paths = [...body.matchAll(/"\$VAR(\/[^"]+)"/g)].map(([, path]) => `/var${path}`);
  assert.deepEqual(paths.sort(), Object.values(STARTED_PATHS).flat().sort());
});

/** A device with its own root and clock, as a shell that runs what the controller sends. */
function fakeDevice(context: TestContext, date: string) {
  const root = temporaryDirectory(context);
  const put = (path: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), "");
  };
  const say = ([shell = "", ...args]: readonly string[], distribution: Parameters<typeof clockCommand>[0]) => {
    const script = `waits=0; sleep() { waits=$((waits + 1)); }; ${date}\n${clockCommand(distribution, NOW)}; echo "waited $waits"`;
    const env = { PATH: process.env.PATH, EDGE_FLEET_ROOT: root };
    const { stdout, stderr } = spawnSync(shell, [...args, "-c", script], { encoding: "utf8", env });
    assert.equal(stderr, "");
    return stdout.trim().split("\n");
  };
  return { root, put, say };
}

for (const shell of SHELLS) {
  const name = shell.join(" ");
  const fixed = (seconds: number): string => `date() { echo ${seconds}; }`;

  test(`${name}: a device says its time at once where it is right, and whether it has a cluster`, (context) => {
    const device = fakeDevice(context, fixed(NOW + 5));
    device.put("/run/systemd/timesync/x");
    assert.deepEqual(device.say(shell, "k3s"), [`clock ${NOW + 5} 0`, "waited 0"]);
    device.put("/var/lib/rancher/k3s/agent/client-ca.crt");
    assert.deepEqual(device.say(shell, "k3s"), [`clock ${NOW + 5} 1`, "waited 0"]);
    assert.deepEqual(device.say(shell, "k0s"), [`clock ${NOW + 5} 0`, "waited 0"]);
  });

  test(`${name}: one whose clock is off waits for the time service, and no longer than that takes`, (context) => {
    const set = `date() { if [ "$w" -lt 4 ]; then echo 1000; else echo $((${NOW} + w)); fi; }`;
    const device = fakeDevice(context, set);
    assert.deepEqual(device.say(shell, "k3s"), ["clock 1000 0", "waited 0"]);
    device.put("/run/systemd/timesync/x");
    assert.deepEqual(device.say(shell, "k3s"), [`clock ${NOW + 4} 0`, "waited 4"]);
    device.put("/run/systemd/timesync/synchronized");
    assert.deepEqual(device.say(shell, "k3s"), ["clock 1000 0", "waited 0"]);
    const never = fakeDevice(context, fixed(1000));
    never.put("/run/systemd/timesync/x");
    assert.deepEqual(never.say(shell, "microk8s"), ["clock 1000 0", "waited 20"]);
  });
}

test("the clock is told before anything else, in commands that survive two shells", () => {
  const sha256 = "a".repeat(64);
  for (const distribution of ["k3s", "k0s", "microk8s"] as const) {
    const before = clockCommand(distribution, NOW);
    for (const command of [receiveCommand([{ sha256, size: 1 }], before), installCommand("edge", sha256, 1, before)]) {
      const [, inner = ""] = /^exec \/bin\/sh -c '([^']*)'$/.exec(command) ?? [];
      assert.ok(inner.startsWith(`${before}`), command);
      assert.equal(spawnSync("dash", ["-n", "-c", inner]).status, 0);
      const checked = spawnSync("shellcheck", ["-s", "sh", "-e", "SC2086,SC2064,SC2034", "-"], { input: before });
      assert.equal(checked.status, 0, String(checked.stdout));
    }
  }
});

test("a device whose clock is wrong gets nothing until its cluster was started", { skip: SKIP }, async (context) => {
  const directory = temporaryDirectory(context);
  const client = await startAgent(context, directory);
  const server = await startSshd(context, directory, client);
  const root = join(server.state, "..", "root");
  const artifact = Buffer.from("an artifact");
  const sha256 = createHash("sha256").update(artifact).digest("hex");
  mkdirSync(join(directory, "cache"));
  writeFileSync(join(directory, "cache", sha256), artifact);
  const file = `{ url: "http://127.0.0.1:9/k3s", sha256: ${sha256} }`;
  const device = `{ id: a, host: 127.0.0.1, model: box, ssh: { port: ${server.port} }, hostKey: ${server.hostKey} }`;
  const stacks = writeInventory(context, {
    "artifacts.lock.yaml": `k3s:\n  v1.34.2+k3s1:\n    amd64: ${file}\n    arm64: ${file}\n`,
    "tokyo.yaml": `region: tokyo\nartifacts: { delivery: push }\ndevices:\n  - ${device}\n`,
  });
  /** Pushes with a controller whose clock is off by so much: to it, all others are. */
  const push = async (seconds: number) => {
    const preload = join(directory, `clock${seconds}.mjs`);
    writeFileSync(preload, `const real = Date.now; Date.now = () => real() + ${seconds * 1000};\n`);
    const args = ["push", "tokyo", "--inventory", stacks, "--cache", join(directory, "cache"), "--json"];
    const environment = { ...client.environment, NODE_OPTIONS: `--import=${preload}` };
    const { exitCode, stdout } = await edgeFleet(args, { environment });
    const [outcome] = (JSON.parse(stdout) as { devices: PushOutcome[] }).devices;
    return { exitCode, ...outcome };
  };
  const store = join(server.state, "artifacts");

  const ahead = await push(-3600);
  assert.deepEqual([ahead.exitCode, ahead.state, ahead.reason, ahead.sentBytes], [1, "failed", "clock", 0]);
  assert.match(ahead.message ?? "", /^the clock says \S+Z, the controller \S+Z: .* - set it /);
  assert.deepEqual([existsSync(join(root, PROGRAM_PATH)), existsSync(store)], [false, false]);

  assert.deepEqual([(await push(0)).state, readdirSync(store)], ["pushed", [sha256]]);
  writeFileSync(join(store, sha256), "damaged on flash");
  const later = await push(3600);
  assert.deepEqual([later.exitCode, later.state, later.reason], [1, "failed", "clock"]);
  assert.equal(readFileSync(join(store, sha256), "utf8"), "damaged on flash");

  mkdirSync(join(root, "var/lib/rancher/k3s/server/tls"), { recursive: true });
  const running = await push(3600);
  assert.deepEqual([running.exitCode, running.state], [0, "pushed"]);
  assert.match(running.message ?? "", /^k3s; warning: clock: the clock says /);
  assert.deepEqual(readFileSync(join(store, sha256)), artifact);
});
