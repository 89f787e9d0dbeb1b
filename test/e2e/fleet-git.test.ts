/**
 * A private Git repository: the password of a region's stack reaches the engines of its devices and nobody else, and another
 * one reaches also a device that was off when it was changed. Each subtest continues where the last one ended.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RegionOutputs } from "../../components/index.ts";
import { type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import { ask, deviceStates, enterLab, logIns, touched, up } from "../lab/scenario.ts";
import { SecretWatch } from "../lab/secret-watch.ts";

const toolchain = await enterLab();
const IDS = ["near", "far"];
const [FIRST, SECOND] = ["loopback0git0token0one", "loopback0git0token0two"];
const KEY = "edge-fleet:git-password";
const FOLDER = "/var/lib/rancher/k3s/server/manifests";

test("a private Git repository", async (t) => {
  const devices = IDS.map((id) => ({ id, model: "nuc-4g", ring: "broad" }) as const);
  const fleet = await startLabFleet({ toolchain, devices, withHub: false });
  t.after(() => fleet.stop());
  const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  fleet.edit("fleet.yaml", (file) => file.setIn(["gitops"], { engine: "argocd", access: { type: "https" } }));
  const git = new PrivateGit(fleet);
  await t.test("without the password no device is dialled, and the command is named", () => git.withoutPassword());
  await t.test("the first up brings it, and says what the engine waits for", () => git.firstUp());
  await t.test("another one reaches a device without a restart, and one that is off later", () => git.rotates());
  await t.test("it is in no plain state, log, argument or output", () => git.secrets());
});

class PrivateGit {
  readonly #fleet: LabFleet;
  readonly #watch: SecretWatch;

  constructor(fleet: LabFleet) {
    this.#fleet = fleet;
    this.#watch = new SecretWatch(fleet, [FIRST, SECOND]);
  }

  async #set(password: string): Promise<void> {
    const set = await this.#fleet.pulumi(["config", "set", "--secret", KEY, "--stack", REGION], { input: password });
    assert.equal(set.code, 0, set.stderr);
  }

  /** The password that a device's engine logs in with. */
  #passwordOf(id: string): Promise<string> {
    return ask(this.#fleet.devices, id, `sed -n 's/^  password: //p' ${FOLDER}/edge-fleet-git-credentials.yaml`);
  }

  async withoutPassword(): Promise<void> {
    const before = logIns(this.#fleet.devices);
    const run = await up(this.#fleet);
    assert.notEqual(run.code, 0);
    assert.match(
      run.text,
      /2 failed \(refused\): [^\n]*gitops\.access: the stack has no secret git-password - run pulumi config set --secret edge-fleet:git-password/,
    );
    assert.equal(logIns(this.#fleet.devices), before);
  }

  async firstUp(): Promise<void> {
    await this.#set(FIRST);
    const run = await this.#watch.up();
    assert.equal(run.code, 0, run.text);
    const { applied, waiting } = await this.#fleet.outputs<RegionOutputs>(REGION);
    assert.deepEqual(Object.keys(applied), IDS.toSorted());
    for (const id of IDS) {
      assert.match(waiting[id] ?? "", /^ImagePullBackOff lab\.invalid\/absent\/argocd:v1@sha256:[0-9a-f]{64}$/);
      assert.equal(await this.#passwordOf(id), FIRST);
      const entry = await ask(
        this.#fleet.devices,
        id,
        `grep -A1 'targetRevision: main' ${FOLDER}/edge-fleet-entry.yaml`,
      );
      assert.match(entry, /path: fleet\/entry\/broad\/loopback\/nuc-4g/);
    }
    assert.match(run.text, /2 applied, and waiting \(engine\): far, near: ImagePullBackOff/);
  }

  async rotates(): Promise<void> {
    const { devices } = this.#fleet;
    const before = await deviceStates(devices, IDS);
    await this.#set(SECOND);
    await devices.setMode("far", "dark");
    const first = await this.#watch.up();
    assert.equal(first.code, 0, first.text);
    assert.match(first.text, /another secret: 2 devices \(far, near\)/);
    assert.equal(await this.#passwordOf("near"), SECOND);
    await devices.setMode("far", "up");
    const second = await this.#watch.up();
    assert.equal(second.code, 0, second.text);
    assert.deepEqual(
      touched(second).filter((name) => IDS.includes(name)),
      ["far"],
    );
    assert.equal(await this.#passwordOf("far"), SECOND);
    assert.deepEqual(await deviceStates(devices, IDS), before);
  }

  async secrets(): Promise<void> {
    await this.#watch.assertNowhere(IDS);
  }
}
