/**
 * A region through the real engine: preview, a first up on a bad day, ups that change nothing, what the state holds, and
 * an inventory with a mistake. One lab, one story: each subtest continues where the one before it ended.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type LabDeviceRequest, type LabFleet, PASSPHRASE, REGION, startLabFleet } from "../lab/fleet.ts";
import {
  ask,
  type DeviceState,
  deviceStates,
  enterLab,
  exportStack,
  logIns,
  preview,
  type RegionReport,
  type StackExport,
  touched,
  up,
} from "../lab/scenario.ts";

const toolchain = await enterLab();

const STEADY = ["steady-0", "steady-1", "steady-2", "steady-3"];
const ABSENT = ["gone-dark", "never-seen", "refusing", "silent"];
const SWAPPED = "swapped";
const ALL = [...STEADY, ...ABSENT, SWAPPED];
const MODELS = ["nuc-4g", "rpi4-4g", "iot-2g"] as const;
const RINGS = ["canary", "early", "broad"] as const;
/** Files of a device that nobody but root may read. */
const PRIVATE_FILES = [
  "/etc/rancher/k3s/config.yaml",
  "/etc/rancher/k3s/psa.yaml",
  "/etc/rancher/k3s/audit.yaml",
  "/etc/rancher/k3s/config.yaml.d/10-labels.yaml",
  "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-edge-fleet.conf",
];

const requests = ALL.map(
  (id, index): LabDeviceRequest => ({
    id,
    model: MODELS[index % MODELS.length] ?? "nuc-4g",
    ring: RINGS[index % RINGS.length] ?? "broad",
    mode: id === "never-seen" ? "dark" : "up",
  }),
);

test("a region through its life", async (t) => {
  const fleet = await startLabFleet({ toolchain, devices: requests });
  t.after(() => fleet.stop());
  const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
  assert.equal(enrolled.code, 3, enrolled.stderr);
  const hub = await up(fleet, "hub", { env: { PULUMI_SKIP_CHECKPOINTS: "false" } });
  assert.equal(hub.code, 0, hub.text);
  const story = new Story(fleet);
  await t.test("a preview dials nobody and writes nothing", () => story.preview());
  await t.test("a first up on a bad day applies what answers and says why the rest could not be", () =>
    story.firstUp(),
  );
  await t.test("what was applied runs on the device, with files that only root can read", () => story.onDevices());
  await t.test("an up without changes logs in nowhere, restarts nothing and keeps the outputs", () => story.noOp());
  await t.test("devices that come back or are enrolled anew are applied, and no other", () => story.recovery());
  await t.test("then nothing is left to do", () => story.converged());
  await t.test("the state holds no secret in plain text", () => story.secrets());
  await t.test("a mistake in the inventory is shown with its place and stops everything", () => story.badInventory());
});

class Story {
  readonly #fleet: LabFleet;
  #before: Record<string, DeviceState> = {};

  constructor(fleet: LabFleet) {
    this.#fleet = fleet;
  }

  #report(): Promise<RegionReport> {
    return this.#fleet.outputs<RegionReport>(REGION);
  }

  #connections(): Record<string, number> {
    return Object.fromEntries(ALL.map((id) => [id, this.#fleet.devices.connections(id)]));
  }

  async preview(): Promise<void> {
    this.#fleet.devices.resetConnections();
    const before = await exportStack(this.#fleet);
    const run = await preview(this.#fleet);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(
      Object.entries(this.#connections()).filter(([, count]) => count > 0),
      [],
    );
    assert.equal(existsSync(this.#fleet.tree), false, "the tree was written");
    assert.equal((await exportStack(this.#fleet)).text, before.text);
    assert.equal(run.operations.get("steady-0-apply"), "create");
    assert.equal(run.operations.get("never-seen-apply"), undefined);
  }

  async firstUp(): Promise<void> {
    const { devices } = this.#fleet;
    await devices.setMode("gone-dark", "dark");
    await devices.setMode("silent", "silent");
    await devices.setMode("refusing", "refusing");
    await devices.changeHostKey(SWAPPED);
    devices.resetConnections();
    const before = logIns(devices);
    const run = await this.#fleet.edgeFleet(["up", REGION, "--yes"]);
    assert.equal(run.code, 1, run.stdout + run.stderr);
    assert.ok(run.milliseconds < 60_000, `it took ${run.milliseconds} ms`);
    const report = await this.#report();
    assert.deepEqual(Object.keys(report.devices), STEADY);
    assert.deepEqual(Object.keys(report.pending), ABSENT);
    assert.deepEqual(Object.keys(report.failed), [SWAPPED]);
    assert.match(report.pending["gone-dark"] ?? "", /no answer within 3 s/);
    assert.match(report.pending["never-seen"] ?? "", /not enrolled - run edge-fleet enroll loopback/);
    assert.match(report.pending.refusing ?? "", /refuses the connection/);
    assert.match(report.pending.silent ?? "", /no SSH banner/);
    assert.match(report.failed[SWAPPED] ?? "", /host key is not the pinned one.*--accept-new-key/);
    assert.equal(logIns(devices) - before, STEADY.length, "one log-in for each applied device");
    const probeAndApply = Object.fromEntries([...STEADY, SWAPPED].map((id) => [id, 2]));
    const nothing = Object.fromEntries(ABSENT.map((id) => [id, 0]));
    assert.deepEqual(this.#connections(), { ...probeAndApply, ...nothing });
  }

  async onDevices(): Promise<void> {
    const { devices } = this.#fleet;
    const report = await this.#report();
    this.#before = await deviceStates(devices, STEADY);
    for (const [id, state] of Object.entries(this.#before)) {
      assert.equal(state.hash, report.devices[id], `${id} reports what it holds`);
      assert.deepEqual({ ready: state.ready, leftovers: state.leftovers }, { ready: "ok", leftovers: "" }, id);
      const modes = await ask(devices, id, `stat -c '%a %U' ${PRIVATE_FILES.join(" ")}`);
      assert.deepEqual(modes.split("\n"), Array(PRIVATE_FILES.length).fill("600 root"), id);
    }
    for (const id of [...ABSENT, SWAPPED]) {
      assert.equal(await ask(devices, id, "ls -d /usr/local/bin/k3s /etc/rancher 2>/dev/null || :"), "", id);
    }
  }

  async noOp(): Promise<void> {
    const { devices } = this.#fleet;
    const before = { report: await this.#report(), logIns: logIns(devices) };
    devices.resetConnections();
    const run = await up(this.#fleet);
    assert.notEqual(run.code, 0, "a device still fails");
    assert.doesNotMatch(run.text, /unhandled exception|failed to register/);
    assert.deepEqual(touched(run), [`${SWAPPED}-apply`]);
    assert.equal(logIns(devices), before.logIns);
    assert.deepEqual(
      STEADY.map((id) => devices.connections(id)),
      STEADY.map(() => 1),
      "the probe alone",
    );
    assert.deepEqual(await this.#report(), before.report, "outputs are written although a device failed");
    assert.deepEqual(await deviceStates(devices, STEADY), this.#before);
  }

  async recovery(): Promise<void> {
    const { devices } = this.#fleet;
    for (const id of ABSENT) await devices.setMode(id, "up");
    const enrolment = ["enroll", REGION, "--yes", "--device", SWAPPED, "never-seen", "--accept-new-key", SWAPPED];
    const enrolled = await this.#fleet.edgeFleet(enrolment);
    assert.equal(enrolled.code, 0, enrolled.stdout + enrolled.stderr);
    const before = logIns(devices);
    const run = await this.#fleet.edgeFleet(["up", REGION, "--yes"]);
    assert.equal(run.code, 0, run.stdout + run.stderr);
    assert.equal(logIns(devices) - before, ABSENT.length + 1);
    assert.deepEqual(await deviceStates(devices, STEADY), this.#before);
    const { devices: applied, pending, failed } = await this.#report();
    assert.deepEqual(
      { applied: Object.keys(applied), pending, failed },
      { applied: ALL.toSorted(), pending: {}, failed: {} },
    );
  }

  async converged(): Promise<void> {
    const run = await up(this.#fleet, REGION);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(touched(run), []);
    assert.equal(run.operations.get("steady-0-apply"), "same");
  }

  async secrets(): Promise<void> {
    const { [`kubeconfig-${REGION}`]: kubeconfig = "" } = await this.#fleet.outputs<Record<string, string>>("hub");
    const token = /token: "?(\S+?)"?$/m.exec(kubeconfig)?.[1] ?? "";
    assert.match(token, /^eyJ/);
    const keyLine = readFileSync(this.#fleet.devices.clientKeyPath, "utf8").split("\n")[2] ?? "";
    assert.ok(keyLine.length > 20);
    const secrets = { token, encodedToken: Buffer.from(token).toString("base64"), keyLine, PASSPHRASE };
    for (const stack of [REGION, "hub"]) {
      const { text, resources } = await exportStack(this.#fleet, stack);
      for (const [name, secret] of Object.entries(secrets)) assert.ok(!text.includes(secret), `${name} in ${stack}`);
      assert.doesNotMatch(text, /PRIVATE KEY|eyJ[\w-]{10,}\.eyJ/, stack);
      assert.ok(resources.length > 0);
    }
    const { resources } = await exportStack(this.#fleet);
    const commands = resources.filter(({ type }) => type === "command:remote:Command");
    assert.equal(commands.length, ALL.length);
    for (const { urn, inputs } of commands) {
      const { connection } = inputs as { connection: { ciphertext?: string } };
      assert.equal(typeof connection.ciphertext, "string", urn);
    }
  }

  async badInventory(): Promise<void> {
    const { devices } = this.#fleet;
    const file = join(this.#fleet.inventory, `${REGION}.yaml`);
    this.#fleet.edit(`${REGION}.yaml`, (region) => region.setIn(["devices", 2, "rign"], "broad"));
    const lines = readFileSync(file, "utf8").split("\n");
    const line = lines.findIndex((text) => text.includes("rign:"));
    const place = `${file}:${line + 1}:${(lines[line]?.indexOf("rign") ?? 0) + 1} devices[2].rign`;
    const before = { stack: await exportStack(this.#fleet), report: await this.#report() };
    devices.resetConnections();
    for (const run of [await preview(this.#fleet), await up(this.#fleet)]) {
      assert.notEqual(run.code, 0);
      assert.ok(run.text.includes(`${place}: is not a known field - did you mean ring?`), run.text);
      assert.doesNotMatch(run.text, /^\s+at .*:\d+/m, "no stack trace");
      assert.deepEqual(touched(run), []);
    }
    assert.deepEqual(this.#connections(), Object.fromEntries(ALL.map((id) => [id, 0])));
    assert.deepEqual(await this.#report(), before.report, "the next run still knows what was applied");
    assert.deepEqual(urns(await exportStack(this.#fleet)), urns(before.stack));
  }
}

function urns({ resources }: StackExport): string[] {
  return resources.map(({ urn }) => urn);
}
