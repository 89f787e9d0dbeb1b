/**
 * A run that is killed with SIGKILL in the middle of its applies, through the real engine: what it leaves on the devices,
 * on the hub and in the state, and that the next run takes all of it over.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type LabDeviceRequest, type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import { listApi } from "../lab/hub/api.ts";
import { ask, deviceState, enterLab, exportStack, type RegionReport, touched, up } from "../lab/scenario.ts";

const toolchain = await enterLab();

const ALL = Array.from({ length: 8 }, (_, index) => `shop-${index}`);
const requests = ALL.map((id): LabDeviceRequest => ({ id, model: "nuc-4g", ring: "broad" }));
/** Long enough for the kill to come while every device waits for its health gate. */
const READY_SECONDS = 6;
const SECRETS = `/api/v1/namespaces/argocd-${REGION}/secrets?labelSelector=argocd.argoproj.io%2Fsecret-type%3Dcluster`;

test("a run that is killed in the middle", async (t) => {
  const fleet = await startLabFleet({ toolchain, devices: requests, readySeconds: READY_SECONDS });
  t.after(() => fleet.stop());
  const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  const hub = await up(fleet, "hub", { env: { PULUMI_SKIP_CHECKPOINTS: "false" } });
  assert.equal(hub.code, 0, hub.text);
  const journals = () => Promise.all(ALL.map((id) => ask(fleet.devices, id, "cat /var/lib/edge-fleet/journal || :")));

  await t.test(
    "leaves devices in the middle, objects on the hub that no state knows, and the stack's lock",
    async () => {
      const killed = up(fleet);
      await until(async () => {
        const gated = (await journals()).filter((journal) => /^gate\t/m.test(journal) && !/^end\t/m.test(journal));
        return gated.length > 0 && (await listApi(fleet.kubeconfig ?? "", SECRETS)).length === ALL.length;
      });
      killDescendants();
      assert.notEqual((await killed).code, 0);
      assert.ok(
        (await journals()).some((journal) => !/^end\t/m.test(journal)),
        "an apply goes on after the kill",
      );
      const { resources } = await exportStack(fleet);
      assert.deepEqual(
        resources.filter(({ type }) => type !== "pulumi:pulumi:Stack"),
        [],
      );
      const locked = await up(fleet);
      assert.notEqual(locked.code, 0);
      assert.match(locked.text, /locked/);
    },
  );

  await t.test("is taken over by the next one, once the lock is lifted", async () => {
    const cancelled = await fleet.pulumi(["cancel", "--yes", "--stack", REGION]);
    assert.equal(cancelled.code, 0, cancelled.stderr);
    const run = await up(fleet);
    assert.equal(run.code, 0, run.text);
    const { devices, pending, failed } = await fleet.outputs<RegionReport>(REGION);
    assert.deepEqual({ ids: Object.keys(devices), pending, failed }, { ids: ALL, pending: {}, failed: {} });
    assert.equal((await listApi(fleet.kubeconfig ?? "", SECRETS)).length, ALL.length);
    for (const id of ALL) await assertWhole(fleet, id, devices[id]);
  });

  await t.test("leaves nothing to do after that", async () => {
    const run = await up(fleet);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(touched(run), []);
  });
});

/** One finished transaction and one running server, and nothing of an interrupted run. */
async function assertWhole({ devices }: LabFleet, id: string, hash: string | undefined): Promise<void> {
  const state = await deviceState(devices, id);
  assert.deepEqual(
    { hash: state.hash, ready: state.ready, leftovers: state.leftovers },
    { hash, ready: "ok", leftovers: "" },
    id,
  );
  assert.match(await ask(devices, id, "tail -n 1 /var/lib/edge-fleet/journal"), /^end\tapplied\t/, id);
  const partial = "find /etc/rancher /usr/local/bin /etc/systemd/system /var/lib/edge-fleet -name '.edge-fleet.*'";
  assert.equal(await ask(devices, id, partial), "", id);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 60_000; !(await condition()); await sleep(200)) {
    assert.ok(Date.now() < deadline, "the moment to kill the run did not come within 60 s");
  }
}

/** Kills the CLI and all that it has started: the plugins and the language host lead process groups of their own. */
function killDescendants(): void {
  const processes = execFileSync("ps", ["-e", "-o", "pid=,ppid=,comm="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  const found = processes.filter(([, parent, name]) => Number(parent) === process.pid && name === "pulumi");
  assert.equal(found.length, 1, "one pulumi runs");
  for (const [pid] of found) found.push(...processes.filter(([, parent]) => parent === pid));
  for (const [pid] of found) process.kill(Number(pid), "SIGKILL");
}
