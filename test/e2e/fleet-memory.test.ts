/**
 * The state as a fleet's only memory, by plain `pulumi` on the real engine and without a hub: what Pulumi's users do to a
 * stack, and that no device is forgotten, dropped, wiped or installed anew by it. Each part continues where the one before
 * it ended.
 */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isSeq, type YAMLMap } from "yaml";
import type { RegionOutputs } from "../../components/index.ts";
import { type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import { runCommand } from "../lab/run-command.ts";
import {
  type DeviceState,
  deviceStates,
  type EngineRun,
  editDevices,
  editState,
  enterLab,
  exportStack,
  logIns,
  preview,
  registered,
  touched,
  up,
} from "../lab/scenario.ts";

const toolchain = await enterLab();
const ALL = ["dark", "late", "one", "two"];
const FIRST = ["dark", "one", "two"];
const RENAMED = "renamed";
/** What the engine puts where it knows no value (UnknownStringValue of sdk/go/common/resource/plugin). */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

test("the memory of a fleet", async (t) => {
  const devices = ALL.map((id) => ({ id, model: "nuc-4g", ring: "broad" }) as const);
  const fleet = await startLabFleet({ toolchain, devices, withHub: false });
  t.after(() => fleet.stop());
  const story = await Story.begin(fleet);
  await t.test("--target of one device leaves exact outputs, with one that no run has seen", () => story.target());
  await t.test("the next up applies what was left out", () => story.targeted());
  await t.test("an unreachable device stays in the state with a plan that it has not got", () => story.dark());
  await t.test("outputs that are gone cost the devices that lack them one dial", () => story.lostOutputs());
  await t.test("a saved plan is carried out as it was shown", () => story.savedPlan());
  await t.test("a refresh changes nothing and dials nobody", () => story.refresh());
  await t.test("the state goes on from another machine's backend and folder", () => story.otherMachine());
  await t.test("a destroy is refused, and nothing is deleted", () => story.destroy());
  await t.test("a renamed stack keeps its devices", () => story.rename());
});

class Story {
  readonly #fleet: LabFleet;
  #states: Record<string, DeviceState> = {};

  static async begin(fleet: LabFleet): Promise<Story> {
    const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
    assert.equal(enrolled.code, 0, enrolled.stderr);
    const story = new Story(fleet);
    const late = story.#take("late");
    const first = await up(fleet);
    assert.equal(first.code, 0, first.text);
    fleet.edit(`${REGION}.yaml`, (region) => {
      const list = region.get("devices");
      assert.ok(isSeq(list));
      list.items.push(region.createNode(late) as YAMLMap);
    });
    await story.#remember();
    return story;
  }

  constructor(fleet: LabFleet) {
    this.#fleet = fleet;
  }

  /** Takes an entry out of the inventory. */
  #take(id: string): unknown {
    let entry: unknown;
    editDevices(this.#fleet, [id], (found) => {
      entry = found.toJSON();
      return false;
    });
    return entry;
  }

  async #remember(): Promise<void> {
    this.#states = await deviceStates(this.#fleet.devices, FIRST);
  }

  #label(tier: string): void {
    this.#fleet.edit("fleet.yaml", (file) => file.setIn(["labels", "tier"], tier));
  }

  async #report(fleet = this.#fleet): Promise<RegionOutputs> {
    const report = await fleet.outputs<RegionOutputs>(REGION);
    assert.equal(JSON.stringify(report).includes(UNKNOWN), false);
    const names = ["agents", "applied", "devices", "failed", "pending", "removed", "waiting"];
    assert.deepEqual(Object.keys(report).sort(), names);
    return report;
  }

  /** Runs something that dials exactly these devices, and installs none anew. */
  async #dials(ids: readonly string[], work: () => Promise<EngineRun>): Promise<EngineRun> {
    const { devices } = this.#fleet;
    devices.resetConnections();
    const before = logIns(devices);
    const run = await work();
    assert.deepEqual(
      ALL.filter((id) => devices.connections(id) > 0),
      ids,
      run.text,
    );
    assert.equal(logIns(devices) - before, ids.length, "one log-in a device");
    return run;
  }

  async #urn(id: string): Promise<string> {
    const { resources } = await exportStack(this.#fleet);
    const urn = resources.find((resource) => resource.urn.endsWith(`::${id}`))?.urn;
    assert.ok(urn !== undefined);
    return urn;
  }

  async target(): Promise<void> {
    this.#label("gold");
    const urn = await this.#urn("one");
    const run = await this.#dials(["one"], () => up(this.#fleet, REGION, {}, ["--target", urn]));
    assert.equal(run.code, 0, run.text);
    const { devices, applied, pending } = await this.#report();
    assert.deepEqual(devices, { applied: 1, pending: 3, failed: 0, removed: 0 });
    assert.deepEqual(Object.keys(applied), ["one"]);
    assert.deepEqual(
      Object.entries(pending).map(([id, { code }]) => [id, code]),
      [
        ["dark", "left-out"],
        ["late", "left-out"],
        ["two", "left-out"],
      ],
    );
    assert.deepEqual(await registered(this.#fleet), FIRST);
  }

  async targeted(): Promise<void> {
    const run = await this.#dials(["dark", "late", "two"], () => up(this.#fleet));
    assert.equal(run.code, 0, run.text);
    assert.deepEqual((await this.#report()).devices, { applied: 4, pending: 0, failed: 0, removed: 0 });
    assert.deepEqual(await registered(this.#fleet), ALL);
    await this.#remember();
  }

  async dark(): Promise<void> {
    await this.#fleet.devices.setMode("dark", "dark");
    this.#label("silver");
    const before = logIns(this.#fleet.devices);
    const run = await up(this.#fleet);
    assert.equal(run.code, 0, run.text);
    assert.equal(logIns(this.#fleet.devices) - before, 3);
    assert.equal((await this.#report()).pending.dark?.code, "unreachable");
    await this.#stays();
    this.#states = { ...(await deviceStates(this.#fleet.devices, FIRST)), dark: this.#states.dark as DeviceState };
  }

  /** The device that is not reached is in the state, and as it was. */
  async #stays(): Promise<void> {
    assert.deepEqual(await registered(this.#fleet), ALL);
    assert.deepEqual((await deviceStates(this.#fleet.devices, ["dark"])).dark, this.#states.dark);
  }

  async lostOutputs(): Promise<void> {
    await editState(this.#fleet, (resources) => {
      for (const resource of resources) {
        const { urn, outputs } = resource;
        if (outputs !== undefined && urn.endsWith("::one")) outputs.stdout = "";
        if (outputs !== undefined && urn.endsWith("::two")) outputs.stdout = "{";
        if (/pulumi:pulumi:Stack|edge-fleet:index:Region/.test(resource.type)) delete resource.outputs;
      }
    });
    const run = await this.#dials(["one", "two"], () => up(this.#fleet));
    assert.equal(run.code, 0, run.text);
    assert.deepEqual((await this.#report()).devices, { applied: 3, pending: 1, failed: 0, removed: 0 });
    await this.#stays();
    assert.deepEqual(await deviceStates(this.#fleet.devices, FIRST), this.#states);
    await this.#dials([], () => up(this.#fleet));
  }

  async savedPlan(): Promise<void> {
    this.#label("bronze");
    const plan = this.#fleet.path("saved-plan.json");
    const options = { env: { PULUMI_EXPERIMENTAL: "true" } };
    const shown = await preview(this.#fleet, REGION, options, ["--diff", "--save-plan", plan]);
    assert.equal(shown.code, 0, shown.text);
    assert.match(shown.text, /~ labels\.tier\s*: "silver" => "bronze"/);
    const run = await this.#dials(["late", "one", "two"], () => up(this.#fleet, REGION, options, ["--plan", plan]));
    assert.equal(run.code, 0, run.text);
    assert.deepEqual((await this.#report()).devices, { applied: 3, pending: 1, failed: 0, removed: 0 });
    await this.#stays();
    this.#states = await deviceStates(this.#fleet.devices, FIRST);
  }

  async refresh(): Promise<void> {
    const before = urns((await exportStack(this.#fleet)).resources);
    const args = ["refresh", "--yes", "--stack", REGION];
    await this.#dials([], async () => {
      const { code, stdout, stderr } = await this.#fleet.pulumi(args);
      assert.equal(code, 0, stdout + stderr);
      return { code, stdout, stderr, milliseconds: 0, operations: new Map(), text: stdout };
    });
    assert.deepEqual(urns((await exportStack(this.#fleet)).resources), before);
    await this.#stays();
    const refreshed = await this.#dials([], () => up(this.#fleet, REGION, {}, ["--refresh"]));
    assert.equal(refreshed.code, 0, refreshed.text);
    assert.deepEqual(touched(refreshed), ["dark"]);
  }

  async otherMachine(): Promise<void> {
    const { text: state } = await exportStack(this.#fleet);
    const project = join(this.#fleet.directory, "other-project");
    const backend = join(this.#fleet.directory, "other-state");
    mkdirSync(backend);
    cpSync(this.#fleet.path("."), project, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.endsWith("/.edge-fleet") && !path.endsWith("/fleet"),
    });
    const env = { ...this.#fleet.env, PULUMI_BACKEND_URL: `file://${backend}` };
    const there = (args: readonly string[], input = "") =>
      runCommand("pulumi", [...args, "--non-interactive", "--stack", REGION], { cwd: project, env, input });
    assert.equal(
      (await runCommand("pulumi", ["stack", "init", REGION, "--non-interactive"], { cwd: project, env })).code,
      0,
    );
    const imported = await there(["stack", "import"], state);
    assert.equal(imported.code, 0, imported.stderr);
    assert.equal(existsSync(join(project, ".edge-fleet")), false);
    await this.#dials([], async () => {
      const run = await there(["up", "--yes", "--json"]);
      assert.equal(run.code, 0, run.stdout + run.stderr);
      return { ...run, operations: new Map(), text: run.stdout + run.stderr };
    });
    const { stdout } = await there(["stack", "output", "--json"]);
    const { devices, pending } = JSON.parse(stdout) as RegionOutputs;
    assert.deepEqual(devices, { applied: 3, pending: 1, failed: 0, removed: 0 });
    assert.equal(pending.dark?.code, "unreachable");
    assert.deepEqual(await deviceStates(this.#fleet.devices, FIRST), this.#states);
    const exported = JSON.parse((await there(["stack", "export"])).stdout) as {
      deployment: { resources: { urn: string }[] };
    };
    assert.deepEqual(urns(exported.deployment.resources), urns((await exportStack(this.#fleet)).resources));
    rmSync(project, { recursive: true });
  }

  async destroy(): Promise<void> {
    const before = commands((await exportStack(this.#fleet)).resources);
    assert.equal(before.length, ALL.length);
    for (const more of [[], ["--skip-preview", "--continue-on-error"]]) {
      const { code, stdout, stderr } = await this.#fleet.pulumi(["destroy", "--yes", "--stack", REGION, ...more]);
      assert.notEqual(code, 0, stdout);
      assert.match(stdout + stderr, /protect/);
    }
    const after = commands((await exportStack(this.#fleet)).resources);
    assert.deepEqual(urns(after), urns(before));
    assert.ok(after.every(({ protect }) => protect === true));
    assert.deepEqual(await deviceStates(this.#fleet.devices, FIRST), this.#states);
  }

  async rename(): Promise<void> {
    await this.#fleet.devices.setMode("dark", "up");
    const brought = await this.#dials(["dark"], () => up(this.#fleet));
    assert.equal(brought.code, 0, brought.text);
    this.#states = await deviceStates(this.#fleet.devices, FIRST);
    const renamed = await this.#fleet.pulumi(["stack", "rename", RENAMED, "--stack", REGION]);
    assert.equal(renamed.code, 0, renamed.stderr);
    for (const kind of ["yaml", "lock.yaml"]) {
      renameSync(join(this.#fleet.inventory, `${REGION}.${kind}`), join(this.#fleet.inventory, `${RENAMED}.${kind}`));
    }
    this.#fleet.edit(`${RENAMED}.yaml`, (file) => file.set("region", RENAMED));
    const run = await this.#dials(ALL, () => up(this.#fleet, RENAMED));
    assert.equal(run.code, 0, run.text);
    const { devices } = await this.#fleet.outputs<RegionOutputs>(RENAMED);
    assert.deepEqual(devices, { applied: 4, pending: 0, failed: 0, removed: 0 });
    const { resources } = await exportStack(this.#fleet, RENAMED);
    assert.equal(commands(resources).length, ALL.length);
    const now = await deviceStates(this.#fleet.devices, FIRST);
    for (const id of FIRST) assert.deepEqual([now[id]?.version, now[id]?.ready], [this.#states[id]?.version, "ok"], id);
    const last = await this.#dials([], () => up(this.#fleet, RENAMED, {}, ["--expect-no-changes"]));
    assert.equal(last.code, 0, last.text);
  }
}

function urns(resources: readonly { readonly urn: string }[]): string[] {
  return resources.map(({ urn }) => urn).sort();
}

function commands<T extends { readonly type: string }>(resources: readonly T[]): T[] {
  return resources.filter(({ type }) => type === "command:local:Command");
}
