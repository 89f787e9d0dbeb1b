/**
 * Devices that pull, from plain `pulumi up` to a workload that runs: the real Argo CD in the pods that edge-fleet's manifests
 * describe, on real API servers, from a Git server with a log-in. Each part continues where the one before it ended.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { REGION } from "../lab/fleet.ts";
import { PullFleet } from "../lab/pull-fleet.ts";
import { enterLab, until, up } from "../lab/scenario.ts";
import { POD_PARTS } from "../lab/standins/images.ts";
import { FLEET_PARTS } from "../lab/toolchain/parts.ts";

const toolchain = await enterLab([...FLEET_PARTS, ...POD_PARTS]);
const IDS = ["one", "two", "three"];
const RINGS = ["canary", "early", "broad"] as const;

test("devices that pull", async (t) => {
  const devices = IDS.map((id, index) => ({ id, model: "pod-4g", ring: RINGS[index] ?? "broad" }) as const);
  const pull = await PullFleet.start({ toolchain, devices, withHub: false, readinessTimeoutSeconds: 120 });
  t.after(() => pull.stop());
  const { fleet } = pull;

  await t.test("an up brings the cluster, the engine and the way into Git", async () => {
    pull.writeBase("first");
    await pull.push("First");
    const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
    assert.equal(enrolled.code, 0, enrolled.stderr);
    const run = await up(fleet);
    assert.equal(run.code, 0, run.text);
    for (const id of IDS) {
      await until(
        `${id}: edge-root is synced`,
        async () => (await pull.application(id, "edge-root"))?.sync === "Synced",
      );
    }
  });

  await t.test("a promoted workload comes and runs", async () => {
    await pull.promote("canary", "--to", "HEAD");
    await pull.push("Entries");
    await pull.quicken("one");
    await until("first", async () => (await pull.level("one")) === "first").catch(async (e) => { console.error((await pull.fleet.devices.exec("one", "k3s kubectl -n argocd get applications -o yaml | grep -v patch: | tail -n 120; k3s kubectl get pods -A; tail -n 20 /var/log/pods/argocd_argocd-*/*/*.log | cut -c1-700 | grep -v grpc.code")).stdout); throw e; });
  });
});
