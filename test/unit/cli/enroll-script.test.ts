import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ENROLL_SCRIPT } from "../../../cli/enroll/connect.ts";
import { parseAnswer } from "../../../cli/enroll/outcome.ts";
import { temporaryDirectory } from "./inventory.ts";

const SHELLS: readonly (readonly string[])[] = [["dash"], ["busybox", "ash"]];
const ROOT = process.getuid?.() === 0 ? false : "needs root";

/** Runs the script as `ssh` does: on stdin. */
function run([command = "", ...args]: readonly string[], directory: string, environment: NodeJS.ProcessEnv = {}) {
  return spawnSync(command, [...args, "-s"], {
    input: ENROLL_SCRIPT,
    encoding: "utf8",
    env: {
      ...process.env,
      EDGE_FLEET_STATE: join(directory, "state"),
      EDGE_FLEET_MACHINE_ID: join(directory, "machine-id"),
      EDGE_FLEET_OS_RELEASE: join(directory, "os-release"),
      ...environment,
    },
  });
}

for (const shell of SHELLS) {
  const name = shell.join(" ");

  test(`${name}: makes the identity once and tells the facts`, { skip: ROOT }, (context) => {
    const directory = temporaryDirectory(context);
    writeFileSync(join(directory, "machine-id"), `${"1".repeat(32)}\n`);
    writeFileSync(join(directory, "os-release"), 'NAME=x\nPRETTY_NAME="Edge \\"OS\\" 1\t(ä)"\n');
    const first = run(shell, directory);
    assert.equal(first.stderr, "");
    const answer = parseAnswer(first.stdout);
    assert.match(answer?.identityKey ?? "", /^ecdsa-sha2-nistp256 [A-Za-z0-9+/]+=*$/);
    assert.equal(answer?.os, "Edge OS 1(ä)");
    const hash = spawnSync("sha256sum", { input: "1".repeat(32), encoding: "utf8" }).stdout.split(" ")[0];
    assert.equal(answer?.machineId, hash);
    const key = join(directory, "state", "identity.key");
    assert.match(readFileSync(key, "utf8"), /^-----BEGIN PRIVATE KEY-----\n/);
    assert.equal(statSync(key).mode & 0o777, 0o600);
    assert.equal(statSync(join(directory, "state")).mode & 0o777, 0o700);
    assert.deepEqual(readdirSync(join(directory, "state")), ["identity.key"]);
    assert.ok(Math.abs((answer?.time ?? 0) - Date.now() / 1000) < 30);
    const again = parseAnswer(run(shell, directory).stdout);
    assert.deepEqual({ ...again, time: 0 }, { ...answer, time: 0 });
    assert.ok(!`${first.stdout}${first.stderr}`.includes("PRIVATE"));
  });

  test(`${name}: a device without machine-id and os-release still enrols`, { skip: ROOT }, (context) => {
    const { stdout, stderr } = run(shell, temporaryDirectory(context));
    assert.equal(stderr, "");
    assert.deepEqual([parseAnswer(stdout)?.os, parseAnswer(stdout)?.machineId], ["", ""]);
  });

  test(`${name}: a damaged identity key is reported and not replaced`, { skip: ROOT }, (context) => {
    const directory = temporaryDirectory(context);
    mkdirSync(join(directory, "state"));
    writeFileSync(join(directory, "state", "identity.key"), "");
    const { status, stdout, stderr } = run(shell, directory);
    assert.equal(status, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /^edge-fleet: .*identity\.key is not an ECDSA P-256 key .* - remove it and enroll again\n$/);
    assert.equal(readFileSync(join(directory, "state", "identity.key"), "utf8"), "");
  });

  test(`${name}: without ssh-keygen the device says so and nothing is made`, { skip: ROOT }, (context) => {
    const directory = temporaryDirectory(context);
    const bin = join(directory, "bin");
    mkdirSync(bin);
    const shellPath = spawnSync("which", [shell[0] ?? ""], { encoding: "utf8" }).stdout.trim();
    for (const tool of ["uname", "id", "mkdir", "chmod"]) {
      const path = spawnSync("which", [tool], { encoding: "utf8" }).stdout.trim();
      symlinkSync(path, join(bin, tool));
    }
    const { status, stderr } = run([shellPath, ...shell.slice(1)], directory, { PATH: bin });
    assert.equal(status, 1);
    assert.match(stderr, /^edge-fleet: ssh-keygen is missing - install /);
    assert.ok(!existsSync(join(directory, "state")));
  });

  test(`${name}: a script that is cut off in transit does nothing`, { skip: ROOT }, (context) => {
    const directory = temporaryDirectory(context);
    const [command = "", ...args] = shell;
    const cut = ENROLL_SCRIPT.slice(0, ENROLL_SCRIPT.lastIndexOf("main </dev/null"));
    spawnSync(command, [...args, "-s"], {
      input: cut,
      env: { ...process.env, EDGE_FLEET_STATE: join(directory, "state") },
    });
    assert.ok(!existsSync(join(directory, "state")));
  });
}

test("enrolling twice at the same time ends with one identity", { skip: ROOT }, async (context) => {
  const directory = temporaryDirectory(context);
  const { runProgram } = await import("../../../cli/process.ts");
  const environment = { EDGE_FLEET_STATE: join(directory, "state") };
  const runs = await Promise.all(
    Array.from({ length: 6 }, () =>
      runProgram("dash", ["-s"], { stdin: ENROLL_SCRIPT, environment, timeoutMs: 30_000 }),
    ),
  );
  const keys = new Set(runs.map(({ stdout }) => parseAnswer(stdout)?.identityKey));
  assert.equal(keys.size, 1);
  assert.ok(!keys.has(undefined));
});

test("log-in noise around the answer does no harm, a forged answer is not accepted", () => {
  const key = `ecdsa-sha2-nistp256 ${Buffer.from("k").toString("base64")}`;
  const facts = { architecture: "arm64", memoryMiB: 1, os: "", kernel: "", machineId: "" };
  const line = JSON.stringify({ edgeFleet: 1, identityKey: key, ...facts, time: 1_790_000_000 });
  assert.equal(parseAnswer(`Welcome!\n${line}\nbye\n`)?.identityKey, key);
  assert.equal(parseAnswer(line.replace(key, `${key}\\nssh-rsa AAAA`)), undefined);
  assert.equal(parseAnswer(line.replace("ecdsa-sha2-nistp256", "ssh-rsa")), undefined);
  assert.equal(parseAnswer(line.slice(0, -1)), undefined);
  assert.equal(parseAnswer(""), undefined);
});
