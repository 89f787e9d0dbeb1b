/**
 * A region that changes, through the real engine and without a hub: a release that reaches some devices, is rolled back
 * on one and waits for another, and devices that leave the inventory. Each subtest continues where the last one ended.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isMap, isSeq } from "yaml";
import { K3S_VERSIONS, type LabDeviceRequest, type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import {
  ask,
  type DeviceState,
  deviceState,
  deviceStates,
  type EngineRun,
  enterLab,
  exportStack,
  logIns,
  type RegionReport,
  touched,
  up,
} from "../lab/scenario.ts";

const toolchain = await enterLab();

const [OLD, NEW] = K3S_VERSIONS;
const DARK = "dark";
const BROKEN = "broken";
const OTHERS = ["other-0", "other-1", "other-2", "other-3", "other-4", "other-5"];
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
  await t.test("a new release reaches every device that answers and can run it", () => story.upgrade());
  await t.test("a device that went dark is held: in the state as it was, with the reason", () => story.held());
  await t.test("a device that does not get ready is rolled back and says so", () => story.rolledBack());
  await t.test("the next up mends the device that can run the release now, and no other", () => story.mended());
  await t.test("a held device that comes back is brought up to date, and no other", () => story.back());
  await t.test("three devices that leave at once are refused, and nothing is done", () => story.guarded());
  await t.test("a device that leaves alone is dropped from the state and left as it is", () => story.left());
  await t.test("three may leave where the operator says so", () => story.allowed());
});

class Story {
  readonly #fleet: LabFleet;
  readonly #first: RegionReport;
  readonly #before: Record<string, DeviceState>;
  #run: EngineRun | undefined;

  static async begin(fleet: LabFleet): Promise<Story> {
    const run = await up(fleet);
    assert.equal(run.code, 0, run.text);
    const report = await fleet.outputs<RegionReport>(REGION);
    assert.deepEqual(Object.keys(report.devices), ALL);
    return new Story(fleet, report, await deviceStates(fleet.devices, ALL));
  }

  constructor(fleet: LabFleet, first: RegionReport, before: Record<string, DeviceState>) {
    this.#fleet = fleet;
    this.#first = first;
    this.#before = before;
  }

  #report(): Promise<RegionReport> {
    return this.#fleet.outputs<RegionReport>(REGION);
  }

  async upgrade(): Promise<void> {
    const { devices } = this.#fleet;
    await ask(devices, BROKEN, `mkdir -p /etc/edge-fleet-lab && echo never-ready ${NEW} >/etc/edge-fleet-lab/fault`);
    await devices.setMode(DARK, "dark");
    this.#fleet.edit("fleet.yaml", (file) => file.setIn(["k3s", "version"], NEW));
    const before = logIns(devices);
    const run = await up(this.#fleet);
    this.#run = run;
    assert.notEqual(run.code, 0);
    assert.equal(logIns(devices) - before, OTHERS.length + 1, "one log-in for each device that answers");
    assert.deepEqual(touched(run), [`${BROKEN}-apply`, ...OTHERS.map((id) => `${id}-apply`)]);
    const report = await this.#report();
    for (const id of OTHERS) {
      const { hash, version, pid, ready } = await deviceState(devices, id);
      assert.deepEqual({ hash, version, ready }, { hash: report.devices[id], version: NEW, ready: "ok" }, id);
      assert.notEqual(hash, this.#first.devices[id], id);
      assert.notEqual(pid, this.#before[id]?.pid, `${id} runs the new binary`);
    }
  }

  async held(): Promise<void> {
    const { devices, pending, failed } = await this.#report();
    assert.equal(this.#run?.operations.get(`${DARK}-apply`), "same");
    assert.equal(devices[DARK], this.#first.devices[DARK]);
    assert.deepEqual(Object.keys(pending), [DARK]);
    assert.match(pending[DARK] ?? "", /no answer within 3 s/);
    assert.equal(failed[DARK], undefined);
    assert.deepEqual(await deviceState(this.#fleet.devices, DARK), this.#before[DARK], "it works on");
  }

  async rolledBack(): Promise<void> {
    const { devices, pending, failed } = await this.#report();
    assert.equal(devices[BROKEN], this.#first.devices[BROKEN]);
    assert.deepEqual(Object.keys(failed), [BROKEN]);
    assert.match(failed[BROKEN] ?? "", /^rolled-back: not-ready: .*back on the previous state/);
    assert.equal(pending[BROKEN], undefined);
    const { pid, ...now } = await deviceState(this.#fleet.devices, BROKEN);
    const { pid: pidBefore, ...before } = this.#before[BROKEN] ?? { pid: "" };
    assert.deepEqual(now, before);
    assert.equal(now.version, OLD);
    assert.notEqual(pid, pidBefore);
  }

  async mended(): Promise<void> {
    await ask(this.#fleet.devices, BROKEN, "rm /etc/edge-fleet-lab/fault");
    await this.#updatesOnly(BROKEN);
    assert.deepEqual(Object.keys((await this.#report()).pending), [DARK]);
  }

  async back(): Promise<void> {
    await this.#fleet.devices.setMode(DARK, "up");
    await this.#updatesOnly(DARK);
    assert.deepEqual((await this.#report()).pending, {});
  }

  async #updatesOnly(id: string): Promise<void> {
    const { devices } = this.#fleet;
    const before = { logIns: logIns(devices), states: await deviceStates(devices, OTHERS) };
    const run = await up(this.#fleet);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(touched(run), [`${id}-apply`]);
    assert.equal(run.operations.get(`${id}-apply`), "update");
    assert.equal(logIns(devices) - before.logIns, 1);
    assert.deepEqual(await deviceStates(devices, OTHERS), before.states);
    const report = await this.#report();
    const { hash, version, ready } = await deviceState(devices, id);
    assert.deepEqual({ hash, version, ready }, { hash: report.devices[id], version: NEW, ready: "ok" });
    assert.deepEqual(report.failed, {});
  }

  async guarded(): Promise<void> {
    const { devices } = this.#fleet;
    const leaving = OTHERS.slice(0, 3);
    const before = { report: await this.#report(), states: await deviceStates(devices, ALL), logIns: logIns(devices) };
    const file = join(this.#fleet.inventory, `${REGION}.yaml`);
    const complete = readFileSync(file);
    this.#remove(leaving);
    for (const operation of ["preview", "up"]) {
      const run = await this.#fleet.edgeFleet([operation, REGION, ...(operation === "up" ? ["--yes"] : [])]);
      assert.equal(run.code, 1, run.stdout + run.stderr);
      assert.ok((run.stdout + run.stderr).includes(leaving.join(", ")), run.stdout + run.stderr);
      assert.match(run.stdout + run.stderr, /edge-fleet:allowRemovals 3/);
    }
    assert.deepEqual(await this.#report(), before.report);
    assert.deepEqual(await deviceStates(devices, ALL), before.states);
    assert.equal(logIns(devices), before.logIns);
    assert.deepEqual(await this.#registered(), ALL);
    writeFileSync(file, complete);
  }

  async left(): Promise<void> {
    await this.#leave(["other-5"]);
    assert.deepEqual(await this.#registered(), ALL.slice(0, -1));
  }

  async allowed(): Promise<void> {
    const leaving = OTHERS.slice(0, 3);
    const { code } = await this.#fleet.pulumi(["config", "set", "edge-fleet:allowRemovals", "2", "--stack", REGION]);
    assert.equal(code, 0);
    await this.#leave(leaving);
    assert.deepEqual(await this.#registered(), [BROKEN, DARK, "other-3", "other-4"]);
  }

  /** Takes devices out of the inventory and sees that they leave the stack and are not touched. */
  async #leave(ids: readonly string[]): Promise<void> {
    const { devices } = this.#fleet;
    const before = { states: await deviceStates(devices, ALL), logIns: logIns(devices) };
    this.#remove(ids);
    const run = await up(this.#fleet);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(
      touched(run),
      ids.flatMap((id) => [id, `${id}-apply`]),
    );
    assert.ok([...run.operations.values()].every((operation) => ["same", "read", "delete"].includes(operation)));
    assert.equal(logIns(devices), before.logIns);
    assert.deepEqual(await deviceStates(devices, ALL), before.states);
    const { devices: applied } = await this.#report();
    for (const id of ids) assert.equal(applied[id], undefined);
  }

  #remove(ids: readonly string[]): void {
    this.#fleet.edit(`${REGION}.yaml`, (region) => {
      const list = region.get("devices");
      assert.ok(isSeq(list));
      const count = list.items.length;
      list.items = list.items.filter((item) => !(isMap(item) && ids.includes(String(item.get("id")))));
      assert.equal(list.items.length, count - ids.length);
    });
  }

  async #registered(): Promise<string[]> {
    const { resources } = await exportStack(this.#fleet);
    const names = resources.flatMap(({ type, urn }) =>
      type === "edge-fleet:index:Device" ? [urn.split("::").at(-1)] : [],
    );
    return names.map(String).sort();
  }
}
