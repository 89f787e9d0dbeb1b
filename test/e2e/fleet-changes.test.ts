/**
 * A region that changes, by plain `pulumi` on the real engine and without a hub: a release that reaches some devices, is
 * rolled back on one and waits for another. Each part continues where the one before it ended.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RegionOutputs } from "../../components/index.ts";
import { K3S_VERSIONS, type LabDeviceRequest, type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import {
  ask,
  type DeviceState,
  deviceState,
  deviceStates,
  enterLab,
  logIns,
  preview,
  registered,
  touched,
  up,
} from "../lab/scenario.ts";

const toolchain = await enterLab();

const [OLD, NEW] = K3S_VERSIONS;
const DARK = "dark";
const BROKEN = "broken";
const OTHERS = ["other-0", "other-1", "other-2", "other-3"];
const ALL = [BROKEN, DARK, ...OTHERS];
const requests = ALL.map(
  (id, index): LabDeviceRequest => ({ id, model: index % 2 ? "rpi4-4g" : "nuc-4g", ring: "broad" }),
);

test("a region that changes", async (t) => {
  const options = { toolchain, devices: requests, withHub: false, readinessTimeoutSeconds: 15 };
  const fleet = await startLabFleet(options);
  t.after(() => fleet.stop());
  const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  const story = await Story.begin(fleet);
  await t.test("a preview tells the change and its place once for all devices", () => story.preview());
  await t.test("a new release reaches every device that answers and can run it", () => story.upgrade());
  await t.test("a device that does not answer stays in the state, with the reason", () => story.dark());
  await t.test("a device that does not get ready is rolled back and says so", () => story.rolledBack());
  await t.test("the next up fixes the device that can run the release now, and touches no other that answers", () =>
    story.fixed(),
  );
  await t.test("a device that comes back is brought up to date, and no other is touched", () => story.back());
});

class Story {
  readonly #fleet: LabFleet;
  readonly #before: Record<string, DeviceState>;

  static async begin(fleet: LabFleet): Promise<Story> {
    const run = await up(fleet);
    assert.equal(run.code, 0, run.text);
    const { applied } = await fleet.outputs<RegionOutputs>(REGION);
    assert.deepEqual(applied, Object.fromEntries(ALL.map((id) => [id, OLD])));
    return new Story(fleet, await deviceStates(fleet.devices, ALL));
  }

  constructor(fleet: LabFleet, before: Record<string, DeviceState>) {
    this.#fleet = fleet;
    this.#before = before;
  }

  #report(): Promise<RegionOutputs> {
    return this.#fleet.outputs<RegionOutputs>(REGION);
  }

  async preview(): Promise<void> {
    this.#fleet.edit("fleet.yaml", (file) => file.setIn(["k3s", "version"], NEW));
    const before = logIns(this.#fleet.devices);
    const run = await preview(this.#fleet, REGION, {}, ["--diff"]);
    assert.equal(run.code, 0, run.text);
    assert.match(
      run.text,
      /fleet\.yaml:\d+:\d+ k3s\.version: v1\.36\.2\+k3s1 -> v1\.36\.3\+k3s1 \(device broken and 5 more devices\)/,
    );
    assert.match(run.text, /~ k3s\.version\s*: "v1\.36\.2\+k3s1" => "v1\.36\.3\+k3s1"/);
    assert.equal(logIns(this.#fleet.devices), before);
  }

  async upgrade(): Promise<void> {
    const { devices } = this.#fleet;
    await ask(devices, BROKEN, `mkdir -p /etc/edge-fleet-lab && echo never-ready ${NEW} >/etc/edge-fleet-lab/fault`);
    await devices.setMode(DARK, "dark");
    const before = logIns(devices);
    const run = await up(this.#fleet);
    assert.notEqual(run.code, 0);
    assert.equal(logIns(devices) - before, OTHERS.length + 1, "one log-in for each device that answers");
    assert.deepEqual(touched(run), ALL);
    const { applied } = await this.#report();
    assert.deepEqual(applied, Object.fromEntries(OTHERS.map((id) => [id, NEW])));
    for (const id of OTHERS) {
      const { hash, version, pid, ready } = await deviceState(devices, id);
      assert.deepEqual({ version, ready }, { version: NEW, ready: "ok" }, id);
      assert.notEqual(hash, this.#before[id]?.hash, id);
      assert.notEqual(pid, this.#before[id]?.pid, `${id} runs the new binary`);
    }
  }

  async dark(): Promise<void> {
    const { pending } = await this.#report();
    assert.deepEqual(Object.keys(pending), [DARK]);
    assert.equal(pending[DARK]?.code, "unreachable");
    assert.deepEqual(await registered(this.#fleet), ALL);
    assert.deepEqual(await deviceState(this.#fleet.devices, DARK), this.#before[DARK], "it works on");
  }

  async rolledBack(): Promise<void> {
    const { failed } = await this.#report();
    assert.deepEqual(Object.keys(failed), [BROKEN]);
    assert.equal(failed[BROKEN]?.code, "not-ready");
    assert.match(failed[BROKEN]?.reason ?? "", /^rolled back: .*back on the previous state/);
    const { pid, ...now } = await deviceState(this.#fleet.devices, BROKEN);
    const { pid: pidBefore, ...before } = this.#before[BROKEN] ?? { pid: "" };
    assert.deepEqual(now, before);
    assert.equal(now.version, OLD);
    assert.notEqual(pid, pidBefore);
  }

  async fixed(): Promise<void> {
    await ask(this.#fleet.devices, BROKEN, "rm /etc/edge-fleet-lab/fault");
    await this.#updates(BROKEN, [BROKEN, DARK]);
    assert.deepEqual(Object.keys((await this.#report()).pending), [DARK]);
  }

  async back(): Promise<void> {
    await this.#fleet.devices.setMode(DARK, "up");
    await this.#updates(DARK, [DARK]);
    assert.deepEqual((await this.#report()).pending, {});
    const run = await up(this.#fleet, REGION, {}, ["--expect-no-changes"]);
    assert.equal(run.code, 0, run.text);
  }

  /** An `up` that brings one device up to date and leaves the others alone. */
  async #updates(id: string, tried: readonly string[]): Promise<void> {
    const { devices } = this.#fleet;
    const before = { logIns: logIns(devices), states: await deviceStates(devices, OTHERS) };
    const run = await up(this.#fleet);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(touched(run), tried);
    assert.equal(run.operations.get(id), "update");
    assert.equal(logIns(devices) - before.logIns, 1);
    assert.deepEqual(await deviceStates(devices, OTHERS), before.states);
    const { version, ready } = await deviceState(devices, id);
    assert.deepEqual({ version, ready }, { version: NEW, ready: "ok" });
    const { applied, failed } = await this.#report();
    assert.deepEqual([applied[id], failed], [NEW, {}]);
  }
}
