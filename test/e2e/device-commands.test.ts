/**
 * What a person does with devices that run, through the real engine, OpenSSH and a real Kubernetes API: the status of a
 * region, logs, one command on all devices, and the cluster of one through a tunnel. Each subtest continues where the last
 * one ended.
 */
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { K3S_VERSIONS, REGION, startLabFleet } from "../lab/fleet.ts";
import { runCommand } from "../lab/run-command.ts";
import { ask, enterLab, up } from "../lab/scenario.ts";

const toolchain = await enterLab();
const [RELEASE] = K3S_VERSIONS;
const MAIN = join(import.meta.dirname, "../../cli/main.ts");

/** Asks the API of a kubeconfig for its namespaces as kubectl does: its CA, its client certificate, the name of its server. */
const CLIENT = `const { readFileSync } = require("node:fs");
const { checkServerIdentity } = require("node:tls");
const { clusters: [{ cluster }], users: [{ user }] } = require("yaml").parse(readFileSync(process.env.KUBECONFIG, "utf8"));
const bytes = (text) => Buffer.from(text, "base64");
require("node:https").get(cluster.server + process.argv[1], {
  ca: bytes(cluster["certificate-authority-data"]),
  cert: bytes(user["client-certificate-data"]),
  key: bytes(user["client-key-data"]),
  checkServerIdentity: (_, certificate) => checkServerIdentity(cluster["tls-server-name"], certificate),
}, (answer) => answer.setEncoding("utf8").on("data", (text) => process.stdout.write(text)));`;

test("devices that run are looked at and used", async (t) => {
  const devices = [
    { id: "one", model: "nuc-4g", ring: "canary" },
    { id: "two", model: "nuc-4g", ring: "broad" },
  ] as const;
  const fleet = await startLabFleet({ toolchain, devices });
  t.after(() => fleet.stop());
  // The API server that runs beside the devices is the cluster of one of them here.
  fleet.edit("fleet.yaml", (file) => file.set("hub", "none"));
  const temporary = mkdtempSync("/run/ef-e2e-");
  const env = { ...fleet.env, KUBECONFIG: "", TMPDIR: temporary };
  const run = (...args: string[]) => runCommand(process.execPath, [MAIN, ...args], { cwd: fleet.path("."), env });

  await t.test("before the first run every device is new", async () => {
    const { code, stdout, stderr } = await run("status");
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^one +nuc-4g +new +canary +no-run: /m);
    assert.match(stdout, /^loopback: 2 new \(no run yet\)\nNext: edge-fleet up loopback\n$/m);
  });

  await t.test("after a run the stack says what each device runs, and why one does not", async () => {
    const enrolled = await run("enroll", REGION, "--yes");
    assert.equal(enrolled.code, 0, enrolled.stderr);
    await fleet.devices.setMode("two", "refusing");
    const applied = await up(fleet);
    assert.equal(applied.code, 0, applied.text);
    const { code, stdout, stderr } = await run("status");
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, new RegExp(`^one +nuc-4g +applied +${RELEASE.replaceAll("+", "\\+")} +canary$`, "m"));
    assert.match(stdout, /^two +nuc-4g +pending +broad +refused: nothing listens on the port/m);
    assert.match(stdout, /^loopback: 1 applied, 1 pending \(last run \d+m ago\)$/m);
    const pending = JSON.parse((await run("status", "--pending", "--json")).stdout) as object;
    assert.deepEqual(Object.keys(pending), ["two"]);
  });

  await t.test("logs has the steps of the run and what the service said", async () => {
    await ask(fleet.devices, "one", "echo 'leader elected' >>/var/log/k3s.service.log");
    const { code, stdout, stderr } = await run("logs", "one", "apply", "unit", "-n", "200");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^apply {2}\| \d{4}-\d\d-\d\dT\S+ \S+ begin$/m);
    assert.match(stdout, /^unit {3}\| leader elected$/m);
  });

  await t.test("ssh and exec run a command on devices, and say which could not be reached", async () => {
    const shell = await run("ssh", "one", "--", "hostname; exit 4");
    assert.deepEqual([shell.code, shell.stdout], [4, "one\n"]);
    const { code, stdout } = await run("exec", REGION, "--yes", "--", "hostname");
    assert.equal(code, 3);
    assert.match(stdout, /^one: one$/m);
    assert.match(stdout, /^two +pending +refused /m);
    assert.match(stdout, /^loopback: 1 done, 1 pending, 0 failed$/m);
  });

  await t.test("kubeconfig reaches the API that the device's own one leads to", async () => {
    const root = fleet.devices.devices.find(({ id }) => id === "one")?.root ?? "";
    assert.ok(fleet.kubeconfig);
    copyFileSync(fleet.kubeconfig, join(root, "etc/rancher/k3s/k3s.yaml"));
    const asked = ["--exec", process.execPath, "-e", CLIENT, "/api/v1/namespaces"];
    const { code, stdout, stderr } = await run("kubeconfig", "one", ...asked);
    assert.deepEqual([code, stderr], [0, ""]);
    const { items } = JSON.parse(stdout) as { items: { metadata: { name: string } }[] };
    assert.ok(items.some(({ metadata }) => metadata.name === "kube-system"));
    assert.deepEqual(readdirSync(temporary), [], "nothing is left behind");
  });
});
