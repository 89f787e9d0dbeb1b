/**
 * Devices and a region that leave, by plain `pulumi` on the real engine and without a hub: what is erased, what is not, what
 * the run says of it, and that what merely vanishes from the inventory is refused. Each part continues where the one
 * before it ended.
 */
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isSeq } from "yaml";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import type { RegionOutputs } from "../../components/index.ts";
import { type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import {
  ask,
  deviceState,
  type EngineRun,
  editDevices,
  enterLab,
  exportStack,
  logIns,
  preview,
  registered,
  touched,
  up,
  upAfterPreview,
} from "../lab/scenario.ts";

const toolchain = await enterLab();
const ALL = ["dark", "kept", "leaves", "old", "stays"];

test("devices that leave", async (t) => {
  const devices = ALL.map((id) => ({ id, model: "nuc-4g", ring: "broad" }) as const);
  const fleet = await startLabFleet({ toolchain, devices, withHub: false });
  t.after(() => fleet.stop());
  const story = await Story.begin(fleet);
  await t.test("one is drained and erased, one is left as it is, and the run says so", () => story.leave());
  await t.test("an entry that merely vanishes is refused, and nothing else is deleted", () => story.entryVanishes());
  await t.test("so is a whole region file", () => story.fileVanishes());
  await t.test("a device that is put back after it was erased is installed anew", () => story.putBack());
  await t.test("the entry of a device that has left may go, without a dial", () => story.gone());
  await t.test("one that does not answer is pending, may not vanish, and is erased once it answers", () =>
    story.overdue(),
  );
  await t.test("one whose address is another device's now is not erased", () => story.heir());
  await t.test("a region that is removed erases its devices, and can be destroyed then", () => story.region());
});

class Story {
  readonly #fleet: LabFleet;
  readonly #file: string;
  #before: Record<string, object> = {};

  static async begin(fleet: LabFleet): Promise<Story> {
    const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
    assert.equal(enrolled.code, 0, enrolled.stderr);
    const story = new Story(fleet);
    story.#set(ALL, "decommission", "wipe");
    story.#set(["kept"], "decommission", "retain");
    const first = await up(fleet);
    assert.equal(first.code, 0, first.text);
    await story.#remember();
    const complete = await story.#traces("stays");
    for (const path of ["bin/k3s", "etc/rancher", PROGRAM_PATH]) assert.ok(complete.includes(path), path);
    return story;
  }

  constructor(fleet: LabFleet) {
    this.#fleet = fleet;
    this.#file = join(fleet.inventory, `${REGION}.yaml`);
  }

  async #remember(): Promise<void> {
    const all = ALL.map(async (id) => [id, await this.#look(id)] as const);
    this.#before = Object.fromEntries(await Promise.all(all));
  }

  #set(ids: readonly string[], key: string, value: unknown): void {
    editDevices(this.#fleet, ids, (entry) => entry.set(key, value));
  }

  #report(): Promise<RegionOutputs> {
    return this.#fleet.outputs<RegionOutputs>(REGION);
  }

  /** An `up` that logs in so often. */
  async #up(expectedLogIns: number): Promise<EngineRun> {
    const before = logIns(this.#fleet.devices);
    const run = await up(this.#fleet);
    assert.equal(logIns(this.#fleet.devices) - before, expectedLogIns, run.text);
    return run;
  }

  async leave(): Promise<void> {
    this.#set(["kept", "leaves"], "state", "removed");
    const run = await this.#up(1);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(touched(run), ["kept", "leaves"]);
    await this.#assertErased("leaves");
    await this.#assertUntouched("dark", "kept", "old", "stays");
    const { devices, removed } = await this.#report();
    assert.deepEqual(removed, { kept: "retained", leaves: "wiped" });
    assert.deepEqual(devices, { applied: 3, pending: 0, failed: 0, removed: 2 });
    assert.deepEqual(await registered(this.#fleet), ALL);
    assert.deepEqual(touched(await this.#up(0)), []);
  }

  /** Refused by a preview and by an up in whatever way, naming the fix, and nothing happens. */
  async #assertRefused(told: RegExp): Promise<void> {
    const before = { stack: urns(await exportStack(this.#fleet)), logIns: logIns(this.#fleet.devices) };
    for (const run of [
      await preview(this.#fleet),
      await upAfterPreview(this.#fleet),
      await up(this.#fleet, REGION, {}, ["--continue-on-error"]),
    ]) {
      assert.notEqual(run.code, 0, run.text);
      assert.match(run.text, told);
      assert.deepEqual(
        [...run.operations].filter(([, operation]) => operation.startsWith("delete")),
        [],
      );
    }
    assert.deepEqual(urns(await exportStack(this.#fleet)), before.stack);
    assert.equal(logIns(this.#fleet.devices), before.logIns);
  }

  /** `leaves` may go, and does not, because of the other. */
  async entryVanishes(): Promise<void> {
    const complete = readFileSync(this.#file);
    editDevices(this.#fleet, ["leaves", "stays"], () => false);
    await this.#assertRefused(
      /stays: is in the stack loopback and no longer in its inventory - put it back; .*write state: removed/,
    );
    await this.#assertUntouched("dark", "kept", "old", "stays");
    writeFileSync(this.#file, complete);
  }

  async fileVanishes(): Promise<void> {
    const lock = join(this.#fleet.inventory, `${REGION}.lock.yaml`);
    const [complete, pins] = [readFileSync(this.#file), readFileSync(lock)];
    rmSync(this.#file);
    await this.#assertRefused(/loopback\.lock\.yaml:1:1 \(file\): there is no loopback\.yaml - restore it/);
    rmSync(lock);
    await this.#assertRefused(/loopback is no region[\s\S]*restored in \S*loopback\.yaml with state: removed/);
    await this.#assertUntouched("dark", "kept", "old", "stays");
    writeFileSync(this.#file, complete);
    writeFileSync(lock, pins);
  }

  async putBack(): Promise<void> {
    editDevices(this.#fleet, ["leaves"], (entry) => entry.delete("state"));
    const run = await this.#up(1);
    assert.deepEqual([run.code, touched(run)], [0, ["leaves"]], run.text);
    const { applied, removed } = await this.#report();
    const { version, ready } = await deviceState(this.#fleet.devices, "leaves");
    assert.deepEqual([applied.leaves, ready], [version, "ok"]);
    assert.deepEqual(removed, { kept: "retained" });
    const command = (await exportStack(this.#fleet)).resources.find(({ urn }) => urn.endsWith("::leaves"));
    assert.equal(command?.protect, true, "protected again");
    assert.deepEqual(touched(await this.#up(0)), []);
  }

  async gone(): Promise<void> {
    editDevices(this.#fleet, ["kept"], () => false);
    const run = await this.#up(0);
    assert.deepEqual([run.code, touched(run)], [0, ["kept"]], run.text);
    assert.equal(run.operations.get("kept"), "delete");
    assert.deepEqual(await registered(this.#fleet), ["dark", "leaves", "old", "stays"]);
    assert.deepEqual((await this.#report()).removed, {});
    await this.#assertUntouched("dark", "kept", "old", "stays");
  }

  async overdue(): Promise<void> {
    const { devices } = this.#fleet;
    await devices.setMode("dark", "dark");
    this.#set(["dark"], "state", "removed");
    for (let attempt = 0; attempt < 2; attempt++) {
      const run = await this.#up(0);
      assert.deepEqual([run.code, touched(run)], [0, ["dark"]], run.text);
      assert.deepEqual((await this.#report()).pending.dark?.code, "unreachable");
    }
    await this.#assertUntouched("dark");
    const complete = readFileSync(this.#file);
    editDevices(this.#fleet, ["dark"], () => false);
    await this.#assertRefused(/dark: is in the stack loopback and no longer in its inventory/);
    writeFileSync(this.#file, complete);
    await devices.setMode("dark", "up");
    const run = await this.#up(1);
    assert.deepEqual([run.code, touched(run)], [0, ["dark"]], run.text);
    assert.deepEqual((await this.#report()).removed, { dark: "wiped" });
    await this.#assertErased("dark");
    editDevices(this.#fleet, ["dark"], () => false);
    assert.equal((await this.#up(0)).operations.get("dark"), "delete");
  }

  async heir(): Promise<void> {
    this.#set(["old"], "state", "removed");
    this.#fleet.edit(`${REGION}.yaml`, (region) => {
      const list = region.get("devices");
      assert.ok(isSeq(list));
      const entries = region.toJSON() as { readonly devices: readonly { readonly id: string }[] };
      const { state, ...entry } = entries.devices.find(({ id }) => id === "old") as { id: string; state?: string };
      assert.equal(state, "removed");
      list.items.push(region.createNode({ ...entry, id: "heir" }));
    });
    const run = await this.#up(0);
    assert.notEqual(run.code, 0);
    const { failed, pending } = await this.#report();
    assert.equal(failed.old?.code, "address");
    assert.match(failed.old?.reason ?? "", /^heir has its address now, so it is not wiped - /);
    assert.equal(pending.heir?.code, "not-enrolled");
    await this.#assertUntouched("old");
    this.#set(["heir"], "decommission", "retain");
    this.#set(["heir"], "state", "removed");
    const both = await this.#up(1);
    assert.equal(both.code, 0, both.text);
    assert.deepEqual((await this.#report()).removed, { heir: "retained", old: "wiped" });
    await this.#assertErased("old");
  }

  async region(): Promise<void> {
    this.#fleet.edit(`${REGION}.yaml`, (region) => region.set("state", "removed"));
    const run = await this.#up(2);
    assert.deepEqual([run.code, touched(run)], [0, ["leaves", "stays"]], run.text);
    const { removed } = await this.#report();
    assert.deepEqual(removed, { heir: "retained", leaves: "wiped", old: "wiped", stays: "wiped" });
    for (const id of ["leaves", "stays"]) await this.#assertErased(id);
    const before = logIns(this.#fleet.devices);
    const destroyed = await this.#fleet.pulumi(["destroy", "--yes", "--stack", REGION]);
    assert.equal(destroyed.code, 0, destroyed.stdout + destroyed.stderr);
    assert.equal(logIns(this.#fleet.devices), before);
    assert.deepEqual((await exportStack(this.#fleet)).resources, []);
    await this.#assertUntouched("kept");
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

function urns({ resources }: { readonly resources: readonly { readonly urn: string }[] }): string[] {
  return resources.map(({ urn }) => urn).sort();
}
