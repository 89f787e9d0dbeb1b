/**
 * A site behind one jump host, whose SSH server is as its distribution ships it: it drops connections while more than ten
 * have not logged in yet. By plain `pulumi`, at its own parallelism and at 64, no device that is well may be pending.
 * 40 devices; `EDGE_FLEET_JUMP_DEVICES=200` for more, which takes minutes on two processors.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { RegionOutputs } from "../../components/index.ts";
import { generateSshKey } from "../lab/devices/keys.ts";
import { type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import { type EngineRun, enterLab, up } from "../lab/scenario.ts";

const toolchain = await enterLab();
const COUNT = Number(process.env.EDGE_FLEET_JUMP_DEVICES ?? 40);
const IDS = Array.from({ length: COUNT }, (_, index) => `till-${String(index).padStart(3, "0")}`);
const GONE = "till-007";
const PORT = 2200;

/** OpenSSH's own defaults (sshd_config(5)), with the lab's keys. */
async function startJumpHost(fleet: LabFleet): Promise<{ hostKey: string; logPath: string; stop(): void }> {
  const path = (name: string) => join(fleet.directory, name);
  const key = generateSshKey();
  writeFileSync(path("jump_key"), key.privateKey, { mode: 0o600 });
  const settings = [
    `Port ${PORT}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${path("jump_key")}`,
    `AuthorizedKeysFile ${path("devices/authorized_keys")}`,
    "StrictModes no",
  ];
  writeFileSync(path("jump_config"), `${settings.join("\n")}\n`);
  const told = execFileSync("/usr/sbin/sshd", ["-T", "-f", path("jump_config")], { encoding: "utf8" });
  assert.match(told, /^maxstartups 10:30:100$/m);
  const logPath = path("jump.log");
  const sshd = spawn("/usr/sbin/sshd", ["-D", "-E", logPath, "-f", path("jump_config")], { stdio: "ignore" });
  for (let tries = 0; !readFileSync(logPath, { encoding: "utf8", flag: "a+" }).includes("listening"); tries++) {
    assert.ok(tries < 100, "the jump host does not start");
    await sleep(100);
  }
  return { hostKey: key.publicKey, logPath, stop: () => sshd.kill() };
}

test("a site behind a jump host", { timeout: 900_000 }, async (t) => {
  const devices = IDS.map((id) => ({ id, model: "nuc-4g", ring: "broad" }) as const);
  const fleet = await startLabFleet({ toolchain, devices, withHub: false });
  t.after(() => fleet.stop());
  const jump = await startJumpHost(fleet);
  t.after(() => jump.stop());
  const { hostKey } = jump;
  fleet.edit(`${REGION}.yaml`, (region) =>
    region.setIn(["ssh", "proxy"], { host: "127.0.0.1", port: PORT, user: "root", hostKey }),
  );
  const logIns = () => readFileSync(jump.logPath, "utf8").split("Accepted publickey").length - 1;
  const report = () => fleet.outputs<RegionOutputs>(REGION);
  const applies = async (run: EngineRun) => {
    const { devices: counts, pending, failed } = await report();
    assert.deepEqual({ pending, failed }, { pending: {}, failed: {} }, run.text);
    assert.equal(counts.applied, COUNT);
    assert.equal(run.code, 0, run.text);
  };

  await t.test("enroll reaches every device", async () => {
    const { code, stdout, stderr } = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
    assert.equal(code, 0, stdout.replaceAll(/^.* enrolled .*\n/gm, "") + stderr);
  });

  await t.test("up at the engine's own parallelism applies all", async () => applies(await up(fleet)));

  await t.test("up at 64 applies all", async () => {
    fleet.edit("fleet.yaml", (file) => file.setIn(["labels", "round"], "two"));
    await applies(await up(fleet, REGION, {}, ["--parallel", "64"]));
  });

  await t.test("a device that does not answer is the one that is pending", async () => {
    fleet.edit("fleet.yaml", (file) => file.setIn(["labels", "round"], "three"));
    await fleet.devices.setMode(GONE, "dark");
    const run = await up(fleet, REGION, {}, ["--parallel", "64"]);
    assert.equal(run.code, 0, run.text.replaceAll(/^ .*\n/gm, ""));
    const { devices: counts, pending } = await report();
    assert.deepEqual(counts, { applied: COUNT - 1, pending: 1, failed: 0, removed: 0 });
    // OpenSSH's client says no more of it than that no banner came.
    assert.equal(pending[GONE]?.code, "silent", JSON.stringify(pending));
  });

  await t.test("the jump host has seen one log-in a run and dropped nobody", () => {
    assert.ok(logIns() > 0 && logIns() <= 4, `${logIns()} log-ins`);
    assert.doesNotMatch(readFileSync(jump.logPath, "utf8"), /MaxStartups|drop connection/i);
  });
});
