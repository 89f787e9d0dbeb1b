/**
 * A region by plain `pulumi`, on the real engine: a preview, a first up on a bad day, ups that change nothing, what the
 * state and the workstation hold, and an inventory with a mistake. One story: each part continues where the one before
 * it ended.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { RegionOutputs } from "../../components/index.ts";
import { K3S_BROKEN, type LabDeviceRequest, type LabFleet, PASSPHRASE, REGION, startLabFleet } from "../lab/fleet.ts";
import {
  ask,
  type DeviceState,
  deviceStates,
  editDevices,
  enterLab,
  exportStack,
  logIns,
  preview,
  type StackExport,
  touched,
  upAfterPreview as up,
} from "../lab/scenario.ts";

const toolchain = await enterLab();

const STEADY = ["steady-0", "steady-1", "steady-2", "steady-3"];
/** What is wrong with each of the others, and how the run calls it. */
const PENDING = {
  dark: "unreachable",
  lost: "lost",
  mute: "silent",
  never: "not-enrolled",
  refusing: "refused",
  silent: "silent",
};
const FAILED = { stranger: "log-in", swapped: "host-key", unfit: "architecture", ungated: "not-ready" };
const BAD = [...Object.keys(PENDING), ...Object.keys(FAILED)].sort();
const ALL = [...STEADY, ...BAD];
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
/** Of a registry that one device uses. */
const PASSWORD = "pass-of-the-mirror-0123456789";
const REGISTRIES = {
  "docker.io": { endpoints: ["https://m.example.com"], username: "edge", passwordSecret: "mirror" },
};

const requests = ALL.map(
  (id, index): LabDeviceRequest => ({
    id,
    model: id === "unfit" ? "nuc-4g" : (MODELS[index % MODELS.length] ?? "nuc-4g"),
    ring: RINGS[index % RINGS.length] ?? "broad",
    mode: id === "never" ? "dark" : "up",
  }),
);

test("a region through its life", async (t) => {
  const fleet = await startLabFleet({ toolchain, devices: requests, readySeconds: 2 });
  t.after(() => fleet.stop());
  const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
  assert.equal(enrolled.code, 3, enrolled.stderr);
  editDevices(fleet, ["steady-0"], (entry) => entry.set("registries", REGISTRIES));
  const config = ["config", "set", "--secret", "edge-fleet:mirror", PASSWORD, "--stack", REGION];
  assert.equal((await fleet.pulumi(config)).code, 0);
  const hub = await up(fleet, "hub");
  assert.equal(hub.code, 0, hub.text);
  const story = new Story(fleet);
  await t.test("a preview dials nobody and writes nothing", () => story.preview());
  await t.test("a first up on a bad day applies what it can and says of each other device what is wrong", () =>
    story.firstUp(),
  );
  await t.test("what was applied runs on the device, with files that only root can read", () => story.onDevices());
  await t.test("the second up dials those that are not as wanted, and no other", () => story.secondUp());
  await t.test("devices that come back are applied, and no other is touched", () => story.recovery());
  await t.test("with all applied an up changes nothing and dials nobody", () => story.converged());
  await t.test("a preview tells a change by its cause, for a terminal and for a pull request", () => story.review());
  await t.test("neither the state nor the workstation holds a secret", () => story.secrets());
  await t.test("a mistake in the inventory is shown with its place and stops everything", () => story.badInventory());
});

class Story {
  readonly #fleet: LabFleet;
  #before: Record<string, DeviceState> = {};

  constructor(fleet: LabFleet) {
    this.#fleet = fleet;
  }

  #report(): Promise<RegionOutputs> {
    return this.#fleet.outputs<RegionOutputs>(REGION);
  }

  #connected(): string[] {
    return ALL.filter((id) => this.#fleet.devices.connections(id) > 0).sort();
  }

  async preview(): Promise<void> {
    this.#fleet.devices.resetConnections();
    const before = await exportStack(this.#fleet);
    const run = await preview(this.#fleet);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(this.#connected(), []);
    assert.equal(existsSync(this.#fleet.tree), false, "the tree was written");
    assert.equal(existsSync(this.#fleet.path(".edge-fleet")), false, "the dials' folder was written");
    assert.equal((await exportStack(this.#fleet)).text, before.text);
    for (const id of ALL) assert.equal(run.operations.get(id), "create", id);
    assert.match(run.text, new RegExp(`region ${REGION}:\\n +new: ${ALL.length} devices \\(`));
  }

  async firstUp(): Promise<void> {
    const { devices } = this.#fleet;
    for (const mode of ["dark", "silent", "mute", "refusing"] as const) await devices.setMode(mode, mode);
    await devices.changeHostKey("swapped");
    await ask(
      devices,
      "unfit",
      `printf '%s\\n' '#!/bin/sh' 'echo riscv64' >/usr/local/bin/uname; chmod +x /usr/local/bin/uname`,
    );
    editDevices(this.#fleet, ["stranger"], (entry) => entry.setIn(["ssh", "user"], "stranger"));
    editDevices(this.#fleet, ["ungated"], (entry) => entry.setIn(["k3s", "version"], K3S_BROKEN));
    const before = logIns(devices);
    const running = up(this.#fleet);
    await this.#loseInTheMiddle("lost");
    const run = await running;
    assert.notEqual(run.code, 0, "devices have failed");
    assert.ok(run.milliseconds < 180_000, `it took ${run.milliseconds} ms`);
    assert.doesNotMatch(run.text, /unhandled exception|failed to register|^\s+at .*:\d+/m);
    const { devices: counts, applied, pending, failed } = await this.#report();
    assert.deepEqual(Object.keys(applied), STEADY);
    assert.deepEqual(codes(pending), PENDING);
    assert.deepEqual(codes(failed), FAILED);
    assert.deepEqual(counts, { applied: 4, pending: 6, failed: 4, removed: 0 });
    for (const [id, { reason }] of Object.entries({ ...pending, ...failed })) {
      assert.ok(run.text.includes(reason), `${id}: ${reason}`);
      assert.ok(reason.length > 10, id);
    }
    assert.equal(logIns(devices) - before, STEADY.length + ["lost", "unfit", "ungated"].length, "one log-in a device");
  }

  /** Packets to and from a device are dropped once its server starts. */
  async #loseInTheMiddle(id: string): Promise<void> {
    const journal = () => ask(this.#fleet.devices, id, "cat /var/lib/edge-fleet/journal 2>/dev/null || :");
    for (const end = Date.now() + 90_000; !/^gate\t/m.test(await journal()); await sleep(50))
      assert.ok(Date.now() < end, "the device does not come to its gate");
    await this.#fleet.devices.setMode(id, "dark");
  }

  async onDevices(): Promise<void> {
    const { devices } = this.#fleet;
    this.#before = await deviceStates(devices, STEADY);
    for (const [id, state] of Object.entries(this.#before)) {
      assert.match(state.hash, /^[0-9a-f]{64}$/, id);
      assert.deepEqual({ ready: state.ready, leftovers: state.leftovers }, { ready: "ok", leftovers: "" }, id);
      const modes = await ask(devices, id, `stat -c '%a %U' ${PRIVATE_FILES.join(" ")}`);
      assert.deepEqual(modes.split("\n"), Array(PRIVATE_FILES.length).fill("600 root"), id);
    }
    for (const id of BAD.filter((bad) => !["lost", "ungated"].includes(bad)))
      assert.equal(await ask(devices, id, "ls -d /usr/local/bin/k3s /etc/rancher 2>/dev/null || :"), "", id);
    assert.equal(await ask(devices, "ungated", "ls -d /usr/local/bin/k3s 2>/dev/null || :"), "", "rolled back");
  }

  async secondUp(): Promise<void> {
    const { devices } = this.#fleet;
    devices.resetConnections();
    const before = await this.#report();
    const run = await up(this.#fleet);
    assert.notEqual(run.code, 0);
    assert.deepEqual(
      touched(run),
      BAD.filter((id) => id !== "never"),
    );
    assert.deepEqual(
      this.#connected().filter((id) => STEADY.includes(id)),
      [],
    );
    const after = await this.#report();
    assert.deepEqual(codes(after.failed), codes(before.failed));
    assert.deepEqual(codes(after.pending), { ...PENDING, lost: "unreachable" });
    assert.deepEqual(await deviceStates(devices, STEADY), this.#before);
  }

  async recovery(): Promise<void> {
    const { devices } = this.#fleet;
    for (const id of Object.keys(PENDING)) await devices.setMode(id, "up");
    await ask(devices, "unfit", "rm /usr/local/bin/uname");
    editDevices(this.#fleet, ["stranger"], (entry) => entry.deleteIn(["ssh", "user"]));
    editDevices(this.#fleet, ["ungated"], (entry) => entry.delete("k3s"));
    const enrollment = ["enroll", REGION, "--yes", "--device", "swapped", "never", "--accept-new-key", "swapped"];
    const enrolled = await this.#fleet.edgeFleet(enrollment);
    assert.equal(enrolled.code, 0, enrolled.stdout + enrolled.stderr);
    const before = logIns(devices);
    const run = await up(this.#fleet);
    assert.equal(run.code, 0, run.text);
    assert.equal(logIns(devices) - before, BAD.length);
    assert.deepEqual(await deviceStates(devices, STEADY), this.#before);
    const { applied, pending, failed } = await this.#report();
    assert.deepEqual(
      { applied: Object.keys(applied), pending, failed },
      { applied: ALL.toSorted(), pending: {}, failed: {} },
    );
  }

  async converged(): Promise<void> {
    this.#fleet.devices.resetConnections();
    const run = await up(this.#fleet, REGION, {}, ["--expect-no-changes"]);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(touched(run), []);
    assert.deepEqual(this.#connected(), []);
    assert.equal(run.operations.get("steady-0"), "same");
  }

  async review(): Promise<void> {
    const maxPods = ["nuc-4g", "kubelet", "maxPods"];
    this.#fleet.edit("models.yaml", (models) => models.setIn(maxPods, 40));
    const file = this.#fleet.path("summary.md");
    const run = await preview(this.#fleet, REGION, { env: { EDGE_FLEET_SUMMARY: file } }, ["--diff"]);
    assert.equal(run.code, 0, run.text);
    const cause = /models\.yaml:\d+:\d+ nuc-4g\.kubelet\.maxPods: 30 -> 40 \(device \S+ and \d+ more devices\)/;
    assert.match(run.text, cause);
    assert.match(run.text, /^ +~ kubelet\.maxPods +: 30 => 40$/m);
    assert.doesNotMatch(run.text, /[A-Za-z0-9+/]{100}/, "no packed text");
    assert.equal(run.text.includes(PASSWORD), false);
    const markdown = readFileSync(file, "utf8");
    assert.match(markdown, new RegExp(`^### region ${REGION}\n\n- `, "m"));
    assert.match(markdown, /^- .*models\.yaml:\d+:\d+ nuc-4g\.kubelet\.maxPods: 30 -\\> 40 \(device /m);
    this.#fleet.edit("models.yaml", (models) => models.deleteIn(maxPods));
    assert.deepEqual(touched(await preview(this.#fleet)), []);
  }

  async secrets(): Promise<void> {
    const { [`kubeconfig-${REGION}`]: kubeconfig = "" } = await this.#fleet.outputs<Record<string, string>>("hub");
    const token = /token: "?(\S+?)"?$/m.exec(kubeconfig)?.[1] ?? "";
    assert.match(token, /^eyJ/);
    const keyLine = readFileSync(this.#fleet.devices.clientKeyPath, "utf8").split("\n")[2] ?? "";
    assert.ok(keyLine.length > 20);
    const folder = this.#fleet.path(".edge-fleet");
    for (const [name, secret] of Object.entries({ token, keyLine, PASSPHRASE, PASSWORD })) {
      const forms = [secret, Buffer.from(secret).toString("base64"), Buffer.from(secret).toString("hex")];
      for (const stack of [REGION, "hub"]) {
        const { text } = await exportStack(this.#fleet, stack);
        for (const form of forms) assert.equal(text.includes(form), false, `${name} in the state of ${stack}`);
      }
      const patterns = forms.flatMap((form) => ["-e", form]);
      const { status, stdout } = spawnSync("grep", ["-rlF", ...patterns, folder, this.#fleet.tree], {
        encoding: "utf8",
      });
      assert.deepEqual([status, stdout], [1, ""], `${name} on the workstation`);
    }
    assert.equal((statSync(folder).mode & 0o777).toString(8), "700");
  }

  async badInventory(): Promise<void> {
    const { devices } = this.#fleet;
    const file = join(this.#fleet.inventory, `${REGION}.yaml`);
    this.#fleet.edit(`${REGION}.yaml`, (region) => region.setIn(["devices", 2, "rign"], "broad"));
    const lines = readFileSync(file, "utf8").split("\n");
    const line = lines.findIndex((text) => text.includes("rign:"));
    const place = `stacks/${REGION}.yaml:${line + 1}:${(lines[line]?.indexOf("rign") ?? 0) + 1} devices[2].rign`;
    const before = { stack: await exportStack(this.#fleet), report: await this.#report() };
    devices.resetConnections();
    for (const run of [await preview(this.#fleet), await up(this.#fleet)]) {
      assert.notEqual(run.code, 0);
      assert.ok(run.text.includes(`${place}: is not a known field - did you mean ring?`), run.text);
      assert.doesNotMatch(run.text, /^\s+at .*:\d+/m, "no stack trace");
      assert.deepEqual(touched(run), []);
    }
    assert.deepEqual(this.#connected(), []);
    assert.deepEqual(await this.#report(), before.report, "the next run still knows what was applied");
    assert.deepEqual(urns(await exportStack(this.#fleet)), urns(before.stack));
  }
}

function codes(reasons: RegionOutputs["failed"]): Record<string, string> {
  return Object.fromEntries(Object.entries(reasons).map(([id, { code }]) => [id, code]));
}

function urns({ resources }: StackExport): string[] {
  return resources.map(({ urn }) => urn);
}
