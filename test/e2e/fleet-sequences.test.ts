/**
 * Property test of a region by plain `pulumi` on the real engine: whatever people do to the inventory, the runs and the state,
 * in whatever order, no device is erased whose removal was not declared, what merely vanishes is refused, and in the end
 * everything is as the inventory says. The same sequence in each run, as one takes minutes; `EDGE_FLEET_SEED` makes another,
 * `EDGE_FLEET_SEQUENCES` more of them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import type { RegionOutputs } from "../../components/index.ts";
import { type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import {
  ask,
  type EngineRun,
  editState,
  enterLab,
  exportStack,
  registered,
  type StateResource,
  signalRun,
  up,
  upAfterPreview,
} from "../lab/scenario.ts";

const toolchain = await enterLab();
const IDS = ["one", "two", "three"] as const;
const SEQUENCES = Number(process.env.EDGE_FLEET_SEQUENCES ?? 1);
const STEPS = 12;
const seed = Number(process.env.EDGE_FLEET_SEED ?? 488_230);
/** Planted on each device that runs; an erasure takes it, and an apply leaves it. */
const MARKER = "/var/lib/edge-fleet/planted-by-the-lab";

type Id = (typeof IDS)[number];

/** What people, the network and the power do. */
type Step =
  | { readonly do: "up" | "label" }
  | { readonly do: "target" | "remove" | "put back" | "vanish" | "dark" | "light" | "lose outputs"; readonly id: Id }
  | { readonly do: "kill"; readonly after: number };

const named = (...names: readonly Extract<Step, { id: Id }>["do"][]) =>
  fc.record({ do: fc.constantFrom(...names), id: fc.constantFrom(...IDS) });
const steps = fc.array(
  fc.oneof(
    { arbitrary: fc.constant<Step>({ do: "up" }), weight: 5 },
    { arbitrary: fc.constant<Step>({ do: "label" }), weight: 2 },
    { arbitrary: named("target", "lose outputs", "vanish"), weight: 3 },
    { arbitrary: named("remove", "put back"), weight: 5 },
    { arbitrary: named("dark", "light"), weight: 3 },
    {
      arbitrary: fc.record({ do: fc.constant("kill" as const), after: fc.integer({ min: 500, max: 9000 }) }),
      weight: 2,
    },
  ),
  { minLength: STEPS, maxLength: STEPS },
);

test(`sequences of events, seed ${seed}`, async (t) => {
  const devices = IDS.map((id) => ({ id, model: "nuc-4g", ring: "broad" }) as const);
  const fleet = await startLabFleet({ toolchain, devices, withHub: false });
  t.after(() => fleet.stop());
  const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  const model = new Model(fleet);
  for (const [index, sequence] of fc.sample(steps, { seed, numRuns: SEQUENCES }).entries()) {
    await t.test(`sequence ${index + 1}: ${sequence.map(describe).join(", ")}`, async () => {
      await model.reset();
      for (const step of sequence) await model.take(step);
      await model.converge();
    });
  }
});

function describe(step: Step): string {
  return "id" in step ? `${step.do} ${step.id}` : step.do === "kill" ? `kill after ${step.after} ms` : step.do;
}

/** What should be so of one device. */
interface Device {
  /** Its entry in the inventory. */
  entry: "present" | "removed" | "absent";
  dark: boolean;
  /** The marker is on it, and nobody has declared that it may go. */
  planted: boolean;
}

class Model {
  readonly #fleet: LabFleet;
  readonly #entries: ReadonlyMap<string, object>;
  readonly #devices = new Map<string, Device>(IDS.map((id) => [id, { entry: "present", dark: false, planted: false }]));
  #label = 0;

  constructor(fleet: LabFleet) {
    this.#fleet = fleet;
    const entries = new Map<string, object>();
    fleet.edit(`${REGION}.yaml`, (region) => {
      const { devices } = region.toJSON() as { readonly devices: readonly { readonly id: string }[] };
      for (const device of devices) entries.set(device.id, { ...device, decommission: "wipe" });
    });
    this.#entries = entries;
  }

  #device(id: Id): Device {
    const device = this.#devices.get(id);
    assert.ok(device !== undefined);
    return device;
  }

  /** Every device runs and holds its marker. */
  async reset(): Promise<void> {
    for (const [id, device] of this.#devices) {
      await this.#setDark(id as Id, false);
      device.entry = "present";
    }
    await this.#up();
    assert.ok([...this.#devices.values()].every(({ planted }) => planted));
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case "up":
        await this.#up();
        break;
      case "target":
        await this.#target(step.id);
        break;
      case "kill":
        await this.#kill(step.after);
        break;
      case "label":
        this.#label++;
        break;
      case "lose outputs":
        await this.#loseOutputs(step.id);
        break;
      case "dark":
      case "light":
        await this.#setDark(step.id, step.do === "dark");
        break;
      default:
        this.#device(step.id).entry = ENTRIES[step.do];
    }
    await this.#assertNothingLost();
  }

  async #setDark(id: Id, dark: boolean): Promise<void> {
    await this.#fleet.devices.setMode(id, dark ? "dark" : "up");
    this.#device(id).dark = dark;
  }

  #write(): void {
    const devices = [...this.#devices].flatMap(([id, { entry }]) => {
      if (entry === "absent") return [];
      return [{ ...this.#entries.get(id), ...(entry === "removed" ? { state: "removed" } : {}) }];
    });
    this.#fleet.edit(`${REGION}.yaml`, (region) => {
      region.set("devices", devices);
      region.set("labels", { step: `s${this.#label}` });
    });
  }

  /** Writes the inventory. @returns devices that no run may let go */
  async #vanished(): Promise<Id[]> {
    this.#write();
    const { deployment } = JSON.parse((await exportStack(this.#fleet)).text) as {
      deployment: { resources?: StateResource[] };
    };
    const dials = (deployment.resources ?? []).filter(({ type }) => type === "command:local:Command");
    const staying = dials.filter(({ outputs }) => !String(outputs?.stdout).includes('"result":"removed"'));
    return IDS.filter(
      (id) => this.#device(id).entry === "absent" && staying.some(({ urn }) => urn.endsWith(`::${id}`)),
    );
  }

  async #up(): Promise<void> {
    const vanished = await this.#vanished();
    if (vanished.length > 0) return assertRefused(await upAfterPreview(this.#fleet), vanished);
    const run = await up(this.#fleet);
    assert.equal(run.code, 0, run.text);
    for (const id of IDS) await this.#assertDone(id);
    assert.deepEqual(await registered(this.#fleet), this.#registrable());
  }

  async #target(id: Id): Promise<void> {
    const vanished = await this.#vanished();
    const { resources } = await exportStack(this.#fleet);
    const urn = resources.find((resource) => resource.urn.endsWith(`::${id}`))?.urn;
    if (urn === undefined || this.#device(id).entry === "absent") return;
    const args = ["--target", urn];
    if (vanished.length > 0) return assertRefused(await upAfterPreview(this.#fleet, REGION, {}, args), vanished);
    const run = await up(this.#fleet, REGION, {}, args);
    assert.equal(run.code, 0, run.text);
    await this.#assertDone(id);
  }

  /** What an `up` has to have done with a device. */
  async #assertDone(id: Id): Promise<void> {
    const device = this.#device(id);
    const { applied, pending, removed } = await this.#fleet.outputs<RegionOutputs>(REGION);
    if (device.entry === "absent") return;
    if (device.dark && applied[id] === undefined && removed[id] === undefined) {
      assert.notEqual(pending[id], undefined, id);
    } else if (device.entry === "removed") {
      assert.equal(removed[id], "wiped", id);
      if (!device.dark) assert.equal(await this.#binary(id), "", `${id} is erased`);
      device.planted = false;
    } else {
      assert.notEqual(applied[id], undefined, id);
      await ask(this.#fleet.devices, id, `touch ${MARKER}`);
      device.planted = true;
    }
  }

  /** A run that is killed may have begun to erase what it was told to, and goes on with it on the device. */
  async #kill(after: number): Promise<void> {
    const vanished = await this.#vanished();
    const run = vanished.length > 0 ? upAfterPreview(this.#fleet) : up(this.#fleet);
    const ended = await Promise.race([run.then(() => true), sleep(after, false)]);
    if (!ended) signalRun("SIGKILL");
    await run;
    await this.#fleet.pulumi(["cancel", "--yes", "--stack", REGION]);
    if (vanished.length > 0) return;
    for (const device of this.#devices.values()) if (device.entry === "removed" && !device.dark) device.planted = false;
  }

  async #loseOutputs(id: Id): Promise<void> {
    if ((await registered(this.#fleet)).length === 0) return;
    await editState(this.#fleet, (resources) => {
      for (const resource of resources) {
        if (/^(pulumi:pulumi:Stack|edge-fleet:index:Region)$/.test(resource.type)) delete resource.outputs;
        if (resource.outputs !== undefined && resource.urn.endsWith(`::${id}`)) resource.outputs.stdout = "";
      }
    });
  }

  #binary(id: Id): Promise<string> {
    return ask(this.#fleet.devices, id, "ls /usr/local/bin/k3s 2>/dev/null || :");
  }

  #registrable(): string[] {
    return [...this.#devices].flatMap(([id, { entry }]) => (entry === "absent" ? [] : [id])).sort();
  }

  async #assertNothingLost(): Promise<void> {
    for (const [id, { planted }] of this.#devices) {
      if (!planted) continue;
      await ask(this.#fleet.devices, id, `test -e ${MARKER} && test -x /usr/local/bin/k3s`);
    }
  }

  /** Everybody answers, and what has vanished is put back: then one `up` is enough, and the next has nothing to do. */
  async converge(): Promise<void> {
    for (const id of IDS) await this.#setDark(id, false);
    for (const id of await this.#vanished()) this.#device(id).entry = "present";
    await this.#up();
    await this.#assertNothingLost();
    const last = await up(this.#fleet, REGION, {}, ["--expect-no-changes"]);
    assert.equal(last.code, 0, last.text);
    for (const id of IDS) {
      if (this.#device(id).entry !== "present") continue;
      const labels = await ask(this.#fleet.devices, id, "cat /etc/rancher/k3s/config.yaml.d/10-labels.yaml");
      assert.ok(labels.includes(`step=s${this.#label}`), `${id}: ${labels}`);
      assert.equal(await ask(this.#fleet.devices, id, "k3s kubectl get --raw=/readyz"), "ok");
    }
  }
}

const ENTRIES = { remove: "removed", "put back": "present", vanish: "absent" } as const;

function assertRefused(run: EngineRun, vanished: readonly string[]): void {
  assert.notEqual(run.code, 0, run.text);
  for (const id of vanished)
    assert.match(run.text, new RegExp(`${id}.* in the stack ${REGION} and no longer in its inventory`));
  assert.deepEqual(
    [...run.operations.values()].filter((operation) => operation !== "same"),
    [],
  );
}
