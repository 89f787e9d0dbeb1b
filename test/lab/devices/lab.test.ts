import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { test } from "node:test";
import { enterNamespaces } from "../namespace.ts";
import { DEVICE_PORT } from "./address.ts";
import { runCommand } from "./command.ts";
import { startDevices } from "./lab.ts";

await enterNamespaces();

const directory = mkdtempSync("/run/edge-fleet-lab-test-");
const architecture = "amd64" as const;
const devices = Array.from({ length: 20 }, (_, index) => ({ id: `device-${index + 1}`, architecture }));

async function assertNothingLeft(): Promise<void> {
  assert.doesNotMatch(readFileSync("/proc/self/mountinfo", "utf8"), /edge-fleet-lab\//);
  assert.doesNotMatch((await runCommand("ps", ["-eo", "args"])).stdout, /sleep|sshd|ssh-agent|dispatcher-process/);
  assert.doesNotMatch((await runCommand("nft", ["list", "ruleset"])).stdout, /edge_fleet_lab/);
}

for (const [what, options, reason] of [
  ["an id with a space", { devices: [{ id: "A b", architecture }] }, /"A b" - use lower-case/],
  ["the same id twice", { devices: [...devices, ...devices.slice(0, 1)] }, /device-1 occurs twice/],
  ["a mode for no device", { devices, mode: { ghost: "up" } }, /mode names ghost/],
] as const) {
  test(`${what} is refused with the reason`, async () => {
    await assert.rejects(startDevices({ directory, ...options }), reason);
    await assertNothingLeft();
  });
}

test("a stopped lab leaves no process, mount or packet filter, and another one starts within two seconds", async () => {
  for (const round of ["first", "second"]) {
    const started = performance.now();
    const lab = await startDevices({ directory, devices, mode: { "device-2": "dark" } });
    const elapsed = performance.now() - started;
    const command = "test ! -e /root/round && hostname | tee /root/round && { nohup sleep 1000 >/dev/null 2>&1 & }";
    assert.deepEqual(await lab.exec("device-2", command), { code: 0, stdout: "device-2\n", stderr: "" }, round);
    await lab.stop();
    await lab.stop();
    await assertNothingLeft();
    assert.ok(elapsed < 2000, `20 devices took ${Math.round(elapsed)} ms`);
  }
});

test("a second lab beside a running one is refused and leaves the first alone", async (t) => {
  const lab = await startDevices({ directory, devices });
  t.after(() => lab.stop());
  await assert.rejects(startDevices({ directory, devices }), /stop the other lab/);
  assert.equal((await lab.exec("device-1", "hostname")).stdout, "device-1\n");
  assert.throws(() => lab.connections("ghost"), /ghost is no device/);
});

test("a taken port is reported and the half-started lab is removed", async (t) => {
  const other = createServer().listen(DEVICE_PORT, "0.0.0.0");
  t.after(() => other.close());
  await once(other, "listening");
  await assert.rejects(startDevices({ directory, devices }), /EADDRINUSE/);
  await assertNothingLeft();
});

test("300 devices start within twenty seconds", async (t) => {
  const many = Array.from({ length: 300 }, (_, index) => ({ id: `many-${index + 1}`, architecture }));
  const started = performance.now();
  const lab = await startDevices({ directory, devices: many });
  const elapsed = performance.now() - started;
  t.after(() => lab.stop());
  t.diagnostic(`${Math.round(elapsed)} ms`);
  assert.equal((await lab.exec("many-300", "hostname; cat /etc/hostname")).stdout, "many-300\nmany-300\n");
  assert.ok(elapsed < 20_000, `300 devices took ${Math.round(elapsed)} ms`);
});
