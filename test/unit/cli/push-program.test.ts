import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { PushOutcome } from "../../../cli/push/outcome.ts";
import { installCommand, mergeOutcomes } from "../../../cli/push/program.ts";
import { deviceProgram, PROGRAM_PATH, packText } from "../../../components/device/program.ts";
import { edgeFleet } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";
import { SKIP, startAgent, startSshd } from "./sshd.ts";

const { text, sha256 } = deviceProgram();

test("a device without the program gets it, one that has it is left alone, an old one is replaced", {
  skip: SKIP,
}, async (context) => {
  const directory = temporaryDirectory(context);
  const client = await startAgent(context, directory);
  const server = await startSshd(context, directory, client);
  const device = `{ id: a, host: 127.0.0.1, model: box, ssh: { port: ${server.port} }, hostKey: ${server.hostKey} }`;
  const stacks = writeInventory(context, {
    "tokyo.yaml": `region: tokyo\ndevices:\n  - ${device}\n  - { id: new, host: h, model: box }\n`,
  });
  const installed = join(server.state, "..", "root", PROGRAM_PATH);
  const push = async () => {
    const args = ["push", "tokyo", "--inventory", stacks, "--cache", join(directory, "cache"), "--json"];
    const { exitCode, stdout } = await edgeFleet(args, { environment: client.environment });
    const { devices } = JSON.parse(stdout) as { devices: PushOutcome[] };
    return [exitCode, ...devices.map(({ state, message }) => `${state}: ${message}`)];
  };
  const pending = "pending: no pinned host key - run: edge-fleet enroll tokyo";
  assert.deepEqual(await push(), [3, "pushed: device program", pending]);
  assert.equal(readFileSync(installed, "utf8"), text);
  assert.deepEqual(await push(), [3, "present: already there", pending]);
  writeFileSync(installed, "#!/bin/sh\n# another release\n");
  assert.deepEqual(await push(), [3, "pushed: device program", pending]);
  assert.equal(readFileSync(installed, "utf8"), text);
});

/** A folder that stands for a device of a log-in user other than root, whose sudo allows what `allowed` says. */
function userDevice(context: TestContext, allowed: "all" | "program" | "nothing") {
  const directory = temporaryDirectory(context);
  const root = join(directory, "root");
  const bin = join(directory, "bin");
  for (const folder of [bin, join(root, "etc/sudoers.d"), join(root, "usr/local/sbin")])
    mkdirSync(folder, { recursive: true });
  const refuse = "echo 'sudo: a password is required' >&2; exit 1";
  const sudo = {
    all: 'shift; SUDO_USER=edge; export SUDO_USER; IDENTITY=0 exec "$@"',
    program: `case $2 in */edge-fleet-device) shift; SUDO_USER=edge; export SUDO_USER; IDENTITY=0 exec "$@" ;; esac; ${refuse}`,
    nothing: refuse,
  }[allowed];
  for (const [name, body] of [
    ["sudo", sudo],
    ["id", '[ "$1" != -u ] || printenv IDENTITY || echo 1000'],
  ] as const) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const environment = { ...process.env, PATH: `${bin}:${process.env.PATH}`, EDGE_FLEET_ROOT: root };
  const run = (sum: string, program: string) =>
    spawnSync("/bin/sh", ["-c", installCommand("edge", sum)], {
      input: `${packText(program)}\n`,
      encoding: "utf8",
      env: environment,
    });
  return { root, run };
}

test("a user with full sudo gets the program and the one rule for it", { skip: SKIP }, (context) => {
  const { root, run } = userDevice(context, "all");
  const { status, stdout, stderr } = run(sha256, text);
  assert.deepEqual([status, stdout, stderr], [0, `program ${sha256}\n`, ""]);
  assert.equal(readFileSync(root + PROGRAM_PATH, "utf8"), text);
  assert.match(
    readFileSync(join(root, "etc/sudoers.d/edge-fleet"), "utf8"),
    new RegExp(`^edge ALL=\\(root\\) NOPASSWD: sha256:${sha256} `),
  );
});

test("a user whose only right is the program has it replace itself, and the rule with it", {
  skip: SKIP,
}, (context) => {
  const { root, run } = userDevice(context, "program");
  const old = `${text}# of another release\n`;
  writeFileSync(root + PROGRAM_PATH, old, { mode: 0o755 });
  const { status, stdout, stderr } = run(sha256, text);
  assert.deepEqual([status, stdout, stderr], [0, `program ${sha256}\n`, ""]);
  assert.equal(readFileSync(root + PROGRAM_PATH, "utf8"), text);
  const rule = readFileSync(join(root, "etc/sudoers.d/edge-fleet"), "utf8");
  assert.equal(rule, `edge ALL=(root) NOPASSWD: sha256:${sha256} ${PROGRAM_PATH}\n`);
  writeFileSync(root + PROGRAM_PATH, old);
  assert.match(run(sha256, `${text}# damaged\n`).stderr, /arrived damaged - run again/);
  assert.equal(readFileSync(root + PROGRAM_PATH, "utf8"), old);
});

test("a user without sudo gets nothing, and sudo's own words", { skip: SKIP }, (context) => {
  const { root, run } = userDevice(context, "nothing");
  const { status, stderr } = run(sha256, text);
  assert.equal(status, 1);
  assert.match(stderr, /a password is required/);
  assert.equal(existsSync(root + PROGRAM_PATH), false);
});

test("a damaged program is not installed", { skip: SKIP }, (context) => {
  const { root, run } = userDevice(context, "all");
  const { status, stderr } = run(sha256, `${text}# more\n`);
  assert.equal(status, 1);
  assert.match(stderr, /arrived damaged - run again/);
  assert.equal(existsSync(root + PROGRAM_PATH), false);
});

const outcome = (state: PushOutcome["state"], message: string): PushOutcome => ({
  id: "a",
  state,
  sentBytes: 0,
  reason: undefined,
  message,
  artifacts: [],
});

for (const [program, artifacts, expected] of [
  [outcome("pushed", "device program"), outcome("pushed", "k3s"), "pushed: device program, k3s"],
  [outcome("present", "already there"), outcome("pushed", "k3s"), "pushed: k3s"],
  [outcome("pushed", "device program"), outcome("present", "already there"), "pushed: device program"],
  [outcome("present", "already there"), outcome("present", "already there"), "present: already there"],
  [outcome("pushed", "device program"), outcome("failed", "no room"), "failed: no room"],
] as const) {
  test(`${program.state} program and ${artifacts.state} artifacts are ${expected}`, () => {
    const [merged] = mergeOutcomes([program], [artifacts]);
    assert.equal(`${merged?.state}: ${merged?.message}`, expected);
  });
}
