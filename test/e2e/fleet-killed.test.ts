/**
 * Runs of plain `pulumi up` that are cut off in the middle of their applies, by Ctrl-C and by SIGKILL, the first run and
 * later ones: what is left on the devices, on the hub and in the state, and that the next run takes all of it over. Each
 * part continues where the one before it ended.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RegionOutputs } from "../../components/index.ts";
import { type LabDeviceRequest, type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import { listApi } from "../lab/hub/api.ts";
import {
  ask,
  deviceState,
  deviceStates,
  enterLab,
  isGated,
  logIns,
  registered,
  signalRun,
  touched,
  until,
  up,
} from "../lab/scenario.ts";

const toolchain = await enterLab();

const ALL = ["shop-0", "shop-1", "shop-2", "shop-3", "shop-4"];
const DARK = "shop-4";
const LIT = ALL.filter((id) => id !== DARK);
const requests = ALL.map((id): LabDeviceRequest => ({ id, model: "nuc-4g", ring: "broad" }));
/** Long enough for the cut to come while devices wait for their health gate. */
const READY_SECONDS = 6;
const SECRETS = `/api/v1/namespaces/argocd-${REGION}/secrets?labelSelector=argocd.argoproj.io%2Fsecret-type%3Dcluster`;

test("runs that are cut off in the middle", async (t) => {
  const fleet = await startLabFleet({ toolchain, devices: requests, readySeconds: READY_SECONDS });
  t.after(() => fleet.stop());
  const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  const hub = await up(fleet, "hub");
  assert.equal(hub.code, 0, hub.text);
  const story = new Story(fleet);
  await t.test("Ctrl-C in the first run ends it soon, and the devices go on", () => story.interruptFirst());
  await t.test("the next run takes it over, whole, also where one device no longer answers", () => story.takeOver());
  await t.test("SIGKILL in a later run leaves the lock and nothing else", () => story.kill());
  await t.test("the next run takes that over too, once the lock is lifted", () => story.takeOverKilled());
  await t.test("Ctrl-C in a later run costs each device one more dial at most", () => story.interruptLater());
  await t.test("what was unreachable all the while is applied once it is back, and nothing is left to do", () =>
    story.converge(),
  );
});

class Story {
  readonly #fleet: LabFleet;

  constructor(fleet: LabFleet) {
    this.#fleet = fleet;
  }

  /** Starts an `up` and cuts it off while a device waits for its gate. @returns the milliseconds that it went on */
  async #cut(signal: "SIGINT" | "SIGKILL"): Promise<number> {
    const { devices } = this.#fleet;
    const cut = up(this.#fleet);
    await until("a device at its gate", async () => {
      const gated = await Promise.all(LIT.map((id) => isGated(devices, id)));
      return gated.includes(true);
    });
    const start = Date.now();
    signalRun(signal);
    const run = await cut;
    assert.notEqual(run.code, 0, run.text);
    return Date.now() - start;
  }

  #label(tier: string): void {
    this.#fleet.edit("fleet.yaml", (file) => file.setIn(["labels", "tier"], tier));
  }

  /** The next run dials each device once at most, and ends with all of those that answer applied. */
  async #whole(tier?: string): Promise<void> {
    const { devices } = this.#fleet;
    const before = logIns(devices);
    const run = await up(this.#fleet);
    assert.equal(run.code, 0, run.text);
    assert.ok(logIns(devices) - before <= LIT.length, "one log-in a device at most");
    assert.deepEqual(await registered(this.#fleet), ALL);
    const { devices: counts, applied, pending } = await this.#fleet.outputs<RegionOutputs>(REGION);
    assert.deepEqual(counts, { applied: 4, pending: 1, failed: 0, removed: 0 }, run.text);
    assert.deepEqual(Object.keys(applied), LIT);
    assert.equal(pending[DARK]?.code, "unreachable");
    for (const id of LIT) await assertWhole(this.#fleet, id, tier);
  }

  async interruptFirst(): Promise<void> {
    const milliseconds = await this.#cut("SIGINT");
    assert.ok(milliseconds < 60_000, `it went on for ${milliseconds} ms`);
  }

  async takeOver(): Promise<void> {
    await this.#fleet.devices.setMode(DARK, "dark");
    await this.#whole();
    const secrets = await listApi(this.#fleet.kubeconfig ?? "", SECRETS);
    assert.equal(secrets.length, ALL.length);
  }

  async kill(): Promise<void> {
    this.#label("gold");
    await this.#cut("SIGKILL");
    assert.deepEqual(await registered(this.#fleet), ALL);
    const locked = await up(this.#fleet);
    assert.notEqual(locked.code, 0);
    assert.match(locked.text, /locked/);
  }

  async takeOverKilled(): Promise<void> {
    const cancelled = await this.#fleet.pulumi(["cancel", "--yes", "--stack", REGION]);
    assert.equal(cancelled.code, 0, cancelled.stderr);
    await this.#whole("gold");
  }

  async interruptLater(): Promise<void> {
    this.#label("silver");
    await this.#cut("SIGINT");
    assert.deepEqual(await registered(this.#fleet), ALL);
    await this.#whole("silver");
  }

  async converge(): Promise<void> {
    const { devices } = this.#fleet;
    await devices.setMode(DARK, "up");
    const before = { states: await deviceStates(devices, LIT), logIns: logIns(devices) };
    const run = await up(this.#fleet);
    assert.equal(run.code, 0, run.text);
    assert.ok(touched(run).includes(DARK));
    assert.equal(logIns(devices) - before.logIns, 1);
    await assertWhole(this.#fleet, DARK, "silver");
    assert.deepEqual(await deviceStates(devices, LIT), before.states);
    const last = await up(this.#fleet, REGION, {}, ["--expect-no-changes"]);
    assert.equal(last.code, 0, last.text);
    assert.equal(logIns(devices) - before.logIns, 1);
  }
}

/** One finished transaction and one running server with what was asked for, and nothing of an interrupted run. */
async function assertWhole({ devices }: LabFleet, id: string, tier: string | undefined): Promise<void> {
  const { ready, leftovers } = await deviceState(devices, id);
  assert.deepEqual({ ready, leftovers }, { ready: "ok", leftovers: "" }, id);
  assert.match(await ask(devices, id, "tail -n 1 /var/lib/edge-fleet/journal"), /^end\tapplied\t/, id);
  const partial = "find /etc/rancher /usr/local/bin /etc/systemd/system /var/lib/edge-fleet -name '.edge-fleet.*'";
  assert.equal(await ask(devices, id, partial), "", id);
  const labels = await ask(devices, id, "cat /etc/rancher/k3s/config.yaml.d/10-labels.yaml");
  if (tier !== undefined) assert.ok(labels.includes(`tier=${tier}`), `${id}: ${labels}`);
}
