/**
 * Devices that leave the inventory and some that are put back, through the real engine and without a hub: what is erased,
 * what is not, and what the run says of it. Each subtest continues where the last one ended.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isSeq, type YAMLMap } from "yaml";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import {
  ask,
  deviceState,
  editDevices,
  enterLab,
  logIns,
  type RegionReport,
  registered,
  touched,
  unpin,
  up,
} from "../lab/scenario.ts";

const toolchain = await enterLab();
const ALL = ["back", "dark", "kept", "later", "leaves", "stays"];
const WIPED = ["back", "dark", "leaves", "stays"];
const OVERDUE = "to be wiped: no answer within 3 s - run up again once it answers";

test("devices that leave the inventory", async (t) => {
  const devices = ALL.map((id) => ({ id, model: "nuc-4g", ring: "broad" }) as const);
  const fleet = await startLabFleet({ toolchain, devices, withHub: false });
  t.after(() => fleet.stop());
  const story = await Story.begin(fleet);
  await t.test("one with wipe is drained and erased, one with retain and a neighbour are left as they are", () =>
    story.leave(),
  );
  await t.test("those with wipe that do not answer are pending, and stay as they are", () => story.overdue());
  await t.test("one that is put back meanwhile is not erased, also while it cannot be applied", () => story.putBack());
  await t.test("once it can be, it is applied anew and then left alone", () => story.appliedAnew());
  await t.test("an erasure that fails says why and what to do, and is not forgotten", () => story.failed());
  await t.test("it is erased by the first up that can, which says so", () => story.wiped());
  await t.test("one that stays and has lost its pinned key is not erased", () => story.unpinned());
});

class Story {
  readonly #fleet: LabFleet;
  readonly #entries: ReadonlyMap<string, unknown>;
  #before: Record<string, object> = {};

  static async begin(fleet: LabFleet): Promise<Story> {
    const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
    assert.equal(enrolled.code, 0, enrolled.stderr);
    editDevices(fleet, WIPED, (entry) => entry.set("decommission", "wipe"));
    await fleet.pulumi(["config", "set", "edge-fleet:allowRemovals", "1", "--stack", REGION]);
    const first = await up(fleet);
    assert.equal(first.code, 0, first.text);
    const entries = new Map<string, unknown>();
    editDevices(fleet, ALL, (entry) => entries.set(String(entry.get("id")), entry.toJSON()));
    const story = new Story(fleet, entries);
    story.#before = Object.fromEntries(await Promise.all(ALL.map(async (id) => [id, await story.#look(id)] as const)));
    const complete = await story.#traces("stays");
    for (const path of ["bin/k3s", "etc/rancher", "identity.key", PROGRAM_PATH])
      assert.ok(complete.includes(path), path);
    return story;
  }

  constructor(fleet: LabFleet, entries: ReadonlyMap<string, unknown>) {
    this.#fleet = fleet;
    this.#entries = entries;
  }

  async leave(): Promise<void> {
    const { devices } = this.#fleet;
    this.#delete("kept", "leaves");
    const before = logIns(devices);
    const run = await up(this.#fleet);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(touched(run), ["kept", "kept-apply", "leaves-apply"]);
    assert.equal(logIns(devices) - before, 1, "one log-in, to the device that is erased");
    await this.#assertErased("leaves");
    await this.#assertUntouched("back", "dark", "kept", "later", "stays");
    const { removed, pending, failed } = await this.#report();
    assert.deepEqual(
      { removed, pending, failed },
      {
        removed: { kept: "retained", leaves: "wiped" },
        pending: {},
        failed: {},
      },
    );
  }

  async overdue(): Promise<void> {
    const { devices } = this.#fleet;
    this.#delete("back", "dark");
    for (const id of ["back", "dark"]) await devices.setMode(id, "dark");
    const before = logIns(devices);
    const run = await up(this.#fleet);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(touched(run), ["leaves", "leaves-apply"], "what was wiped leaves the stack with the next run");
    assert.equal(logIns(devices), before);
    assert.deepEqual(await this.#edgeFleetUp(3), [
      { id: "back", state: "pending", reason: OVERDUE },
      { id: "dark", state: "pending", reason: OVERDUE },
      { id: "later", state: "applied", reason: "" },
      { id: "stays", state: "applied", reason: "" },
    ]);
    assert.deepEqual(await registered(this.#fleet), ["back", "dark", "later", "stays"]);
    await this.#assertUntouched("back", "dark");
  }

  async putBack(): Promise<void> {
    const { devices } = this.#fleet;
    this.#add("back");
    const dark = await up(this.#fleet);
    assert.deepEqual([dark.code, touched(dark)], [0, []], dark.text);
    assert.equal((await this.#report()).pending.back, "no answer within 3 s");
    await devices.setMode("back", "up");
    unpin(this.#fleet, "back");
    const before = logIns(devices);
    const unpinned = await up(this.#fleet);
    assert.deepEqual([unpinned.code, touched(unpinned)], [0, []], unpinned.text);
    assert.equal(logIns(devices), before);
    const { pending } = await this.#report();
    assert.deepEqual(pending, { back: `not enrolled - run edge-fleet enroll ${REGION}`, dark: OVERDUE });
    await this.#assertUntouched("back", "dark");
  }

  async appliedAnew(): Promise<void> {
    const { devices } = this.#fleet;
    this.#delete("back");
    this.#add("back");
    await ask(devices, "back", "rm /etc/rancher/k3s/config.yaml");
    const before = logIns(devices);
    const run = await up(this.#fleet);
    assert.deepEqual([run.code, touched(run)], [0, ["back-apply"]], run.text);
    assert.equal(logIns(devices) - before, 1, "although nothing of it has changed: an erasure might have begun");
    const { hash, version, ready } = await deviceState(devices, "back");
    const { devices: applied } = await this.#report();
    assert.deepEqual([applied.back, ready], [hash, "ok"], version);
    await ask(devices, "back", "test -s /etc/rancher/k3s/config.yaml");
    for (const expected of [["back-apply"], []]) assert.deepEqual(touched(await up(this.#fleet)), expected);
  }

  async failed(): Promise<void> {
    const { devices } = this.#fleet;
    await devices.setMode("dark", "up");
    await ask(devices, "dark", "sed -i 's/^set DEVICE .*/set DEVICE other/' /var/lib/edge-fleet/settings");
    this.#delete("later");
    const rows = await this.#edgeFleetUp(1);
    assert.deepEqual(
      rows.find(({ id }) => id === "later"),
      { id: "later", state: "retained", reason: "" },
    );
    assert.deepEqual(
      rows.find(({ id }) => id === "dark"),
      {
        id: "dark",
        state: "failed",
        reason: "wipe failed: device: this is other, not dark - correct its address in the inventory",
      },
    );
    assert.deepEqual(await registered(this.#fleet), ["back", "dark", "stays"]);
    await this.#assertUntouched("dark", "later");
  }

  async wiped(): Promise<void> {
    await ask(this.#fleet.devices, "dark", "sed -i 's/^set DEVICE .*/set DEVICE dark/' /var/lib/edge-fleet/settings");
    const rows = await this.#edgeFleetUp(0);
    assert.deepEqual(
      rows.find(({ id }) => id === "dark"),
      { id: "dark", state: "wiped", reason: "" },
    );
    await this.#assertErased("dark");
    assert.deepEqual(
      (await this.#edgeFleetUp(0)).map(({ id }) => id),
      ["back", "stays"],
    );
    assert.deepEqual(await registered(this.#fleet), ["back", "stays"]);
  }

  async unpinned(): Promise<void> {
    unpin(this.#fleet, "stays");
    const run = await up(this.#fleet);
    assert.deepEqual([run.code, touched(run)], [0, []], run.text);
    assert.deepEqual((await this.#report()).pending, { stays: `not enrolled - run edge-fleet enroll ${REGION}` });
    await this.#assertUntouched("stays");
    assert.deepEqual(await registered(this.#fleet), ["back", "stays"]);
  }

  /** @returns the rows of `--json` */
  async #edgeFleetUp(code: number): Promise<{ id: string; state: string; reason: string }[]> {
    const run = await this.#fleet.edgeFleet(["up", REGION, "--yes", "--json"]);
    assert.equal(run.code, code, run.stdout + run.stderr);
    return (JSON.parse(run.stdout) as { devices: { id: string; state: string; reason: string }[] }).devices;
  }

  #report(): Promise<RegionReport> {
    return this.#fleet.outputs<RegionReport>(REGION);
  }

  #delete(...ids: string[]): void {
    editDevices(this.#fleet, ids, () => false);
  }

  /** Puts a device back as it was. */
  #add(id: string): void {
    this.#fleet.edit(`${REGION}.yaml`, (region) => {
      const list = region.get("devices");
      assert.ok(isSeq(list));
      list.items.push(region.createNode(this.#entries.get(id)) as YAMLMap);
    });
  }

  async #look(id: string): Promise<object> {
    return {
      ...(await deviceState(this.#fleet.devices, id)),
      traces: await this.#traces(id),
      drained: await this.#drained(id),
    };
  }

  #traces(id: string): Promise<string> {
    return ask(
      this.#fleet.devices,
      id,
      `ls -d /usr/local/bin/k3s /etc/rancher /var/lib/rancher /var/lib/edge-fleet /var/lib/edge-fleet/identity.key \\
        ${PROGRAM_PATH} /var/log/edge-fleet /etc/systemd/system/k3s* /etc/systemd/system/edge-fleet-* \\
        /etc/systemd/system/multi-user.target.wants/k3s* 2>/dev/null || :`,
    );
  }

  #drained(id: string): Promise<string> {
    return ask(this.#fleet.devices, id, "cat /run/standin-k3s/drained 2>/dev/null || :");
  }

  async #assertErased(id: string): Promise<void> {
    assert.equal(await this.#traces(id), "", id);
    assert.equal(await this.#drained(id), id);
    assert.equal(await ask(this.#fleet.devices, id, "systemctl show -p MainPID --value k3s"), "0");
  }

  async #assertUntouched(...ids: string[]): Promise<void> {
    for (const id of ids) assert.deepEqual(await this.#look(id), this.#before[id], id);
  }
}
