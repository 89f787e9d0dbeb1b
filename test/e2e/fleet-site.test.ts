/**
 * A machine that joins another's cluster with a secret token, by plain `pulumi` on the real engine and without a hub: it is
 * applied after its server in the same run, and never without it. Each subtest continues where the last one ended.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RegionOutputs } from "../../components/index.ts";
import { K3S_BROKEN, K3S_VERSIONS, type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import {
  ask,
  deviceState,
  type EngineRun,
  editDevices,
  enterLab,
  logIns,
  registered,
  touched,
  up,
} from "../lab/scenario.ts";
import { SecretWatch } from "../lab/secret-watch.ts";

const toolchain = await enterLab();
const [OLD, NEW] = K3S_VERSIONS;
const SERVER = "site-1";
const AGENT = "site-2";
const BOTH = [SERVER, AGENT];
const TOKEN = "loopback0join0token0f00d5eed";

test("a machine that joins another one", async (t) => {
  const devices = BOTH.map((id) => ({ id, model: "nuc-4g", ring: "broad" }) as const);
  const fleet = await startLabFleet({ toolchain, devices, withHub: false });
  t.after(() => fleet.stop());
  const site = await Site.begin(fleet);
  await t.test("without the token nothing begins, and the fix is named", () => site.withoutToken());
  await t.test("the first up applies the server, then the agent", () => site.firstUp());
  await t.test("a new release reaches the server, then the agent, in one run", () => site.newRelease());
  await t.test("the agent of a server that is unreachable waits for it, undialled", () => site.darkServer());
  await t.test("the agent of a server that fails waits for it, undialled", () => site.failingServer());
  await t.test("the token is in no plain state, log, argument or output", () => site.secrets());
  await t.test("with all applied the next up dials nobody", () => site.converged());
});

/** What an agent is. */
interface AgentState {
  readonly version: string;
  readonly enabled: string;
  /** Another one means that it was restarted. */
  readonly pid: string;
  readonly serverUnit: string;
  /** Hash of the state that it holds as applied. */
  readonly hash: string;
}

class Site {
  readonly #fleet: LabFleet;
  readonly #watch: SecretWatch;

  static async begin(fleet: LabFleet): Promise<Site> {
    const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
    assert.equal(enrolled.code, 0, enrolled.stderr);
    fleet.edit(`${REGION}.yaml`, (region) => region.setIn(["network", "shape"], "lan"));
    editDevices(fleet, [AGENT], (entry) => entry.set("joins", SERVER));
    return new Site(fleet);
  }

  constructor(fleet: LabFleet) {
    this.#fleet = fleet;
    this.#watch = new SecretWatch(fleet, [TOKEN]);
  }

  #ask(id: string, command: string): Promise<string> {
    return ask(this.#fleet.devices, id, command);
  }

  #report(): Promise<RegionOutputs> {
    return this.#fleet.outputs<RegionOutputs>(REGION);
  }

  async #agent(): Promise<AgentState> {
    const told = await this.#ask(
      AGENT,
      `k3s --version | sed -n '1s/k3s version \\([^ ]*\\).*/\\1/p'; systemctl is-enabled k3s-agent
      systemctl show -p MainPID --value k3s-agent; ls /etc/systemd/system/k3s.service 2>/dev/null || echo none
      head -n 1 /var/lib/edge-fleet/applied`,
    );
    const [version = "", enabled = "", pid = "", serverUnit = "", hash = ""] = told.split("\n");
    return { version, enabled, pid, serverUnit, hash };
  }

  #up(): Promise<EngineRun> {
    this.#fleet.devices.resetConnections();
    return this.#watch.up();
  }

  /** A run that applies both, the agent after its server. */
  async #appliesBoth(release: string): Promise<void> {
    const run = await this.#up();
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(
      touched(run).filter((name) => BOTH.includes(name)),
      BOTH,
    );
    const { applied, pending, failed } = await this.#report();
    assert.deepEqual(
      { applied, pending, failed },
      { applied: { [SERVER]: release, [AGENT]: release }, pending: {}, failed: {} },
    );
    const nanoseconds = async (id: string, file: string) => BigInt(await this.#ask(id, `date +%s%N -r ${file}`));
    const served = await nanoseconds(SERVER, "/var/lib/edge-fleet/applied");
    const begun = await nanoseconds(AGENT, "/etc/rancher/k3s/config.yaml");
    assert.ok(served < begun, `the server was applied at ${served}, the agent's file written at ${begun}`);
  }

  async withoutToken(): Promise<void> {
    const { code, text } = await up(this.#fleet);
    assert.notEqual(code, 0);
    assert.match(text, /no secret token-site-1, [^\n]*pulumi config set --secret edge-fleet:token-site-1/);
    for (const id of BOTH) assert.equal(await this.#ask(id, "ls /usr/local/bin/k3s 2>/dev/null || echo none"), "none");
    const key = `edge-fleet:token-${SERVER}`;
    const set = await this.#fleet.pulumi(["config", "set", "--secret", key, "--stack", REGION], { input: TOKEN });
    assert.equal(set.code, 0, set.stderr);
  }

  async firstUp(): Promise<void> {
    await this.#appliesBoth(OLD);
    assert.equal((await deviceState(this.#fleet.devices, SERVER)).ready, "ok");
    assert.match(
      await this.#ask(SERVER, "cat /etc/rancher/k3s/config.yaml"),
      /^agent-token-file: \/etc\/rancher\/k3s\/agent-token$/m,
    );
    const { version, enabled, pid, serverUnit } = await this.#agent();
    assert.deepEqual([version, enabled, serverUnit], [OLD, "enabled", "none"]);
    assert.match(await this.#ask(AGENT, `tr '\\0' ' ' </proc/${pid}/cmdline`), /^sleep/);
    const config = await this.#ask(AGENT, "cat /etc/rancher/k3s/config.yaml");
    const host = this.#fleet.devices.devices.find(({ id }) => id === SERVER)?.host;
    assert.ok(config.includes(`server: https://${host}:6443\ntoken-file: /etc/rancher/k3s/token\n`), config);
    for (const [id, file] of [
      [SERVER, "agent-token"],
      [AGENT, "token"],
    ] as const) {
      const path = `/etc/rancher/k3s/${file}`;
      assert.equal(await this.#ask(id, `stat -c %a ${path}; cat ${path}`), `600\n${TOKEN}`);
    }
  }

  async newRelease(): Promise<void> {
    const before = await this.#agent();
    this.#fleet.edit("fleet.yaml", (file) => file.setIn(["k3s", "version"], NEW));
    await this.#appliesBoth(NEW);
    assert.equal((await deviceState(this.#fleet.devices, SERVER)).version, NEW);
    const { version, pid } = await this.#agent();
    assert.equal(version, NEW);
    assert.notEqual(pid, before.pid);
  }

  async darkServer(): Promise<void> {
    const { devices } = this.#fleet;
    const before = await this.#agent();
    this.#fleet.edit("fleet.yaml", (file) => file.setIn(["kubelet", "maxPods"], 40));
    await devices.setMode(SERVER, "dark");
    devices.resetConnections();
    const run = await up(this.#fleet);
    assert.equal(run.code, 0, run.text);
    await this.#waits({ [SERVER]: "unreachable", [AGENT]: "server" }, {}, before);
    await devices.setMode(SERVER, "up");
    await this.#appliesBoth(NEW);
  }

  async failingServer(): Promise<void> {
    const before = await this.#agent();
    this.#fleet.edit("fleet.yaml", (file) => file.setIn(["k3s", "version"], K3S_BROKEN));
    const run = await this.#up();
    assert.notEqual(run.code, 0);
    await this.#waits({ [AGENT]: "server" }, { [SERVER]: "not-ready" }, before);
    this.#fleet.edit("fleet.yaml", (file) => file.setIn(["k3s", "version"], NEW));
    const again = await this.#up();
    assert.equal(again.code, 0, again.text);
    assert.deepEqual((await this.#report()).applied, { [SERVER]: NEW, [AGENT]: NEW });
    assert.deepEqual(await this.#agent(), before);
  }

  /** The agent was not dialled, is as it was before, and its reason names the server. */
  async #waits(pending: object, failed: object, before: AgentState): Promise<void> {
    const report = await this.#report();
    const codes = (reasons: RegionOutputs["failed"]) =>
      Object.fromEntries(Object.entries(reasons).map(([id, { code }]) => [id, code]));
    assert.deepEqual([codes(report.pending), codes(report.failed)], [pending, failed]);
    assert.equal(report.pending[AGENT]?.reason, `its server ${SERVER} comes first and is not applied`);
    assert.equal(this.#fleet.devices.connections(AGENT), 0);
    assert.deepEqual(await this.#agent(), before);
  }

  async secrets(): Promise<void> {
    assert.deepEqual(await registered(this.#fleet), BOTH);
    await this.#watch.assertNowhere(BOTH);
  }

  async converged(): Promise<void> {
    const before = logIns(this.#fleet.devices);
    const run = await up(this.#fleet, REGION, {}, ["--expect-no-changes"]);
    assert.equal(run.code, 0, run.text);
    const { code, stdout, stderr } = await this.#fleet.edgeFleet(["up", REGION, "--yes"]);
    assert.equal(code, 0, stdout + stderr);
    assert.ok(!this.#watch.holds(stdout + stderr));
    assert.equal(logIns(this.#fleet.devices), before);
  }
}
