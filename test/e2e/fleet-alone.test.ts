/** A region whose stack has a passphrase of its own: what it says without access to the hub, and how it gets it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import type { RegionOutputs } from "../../components/index.ts";
import { type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import { listApi } from "../lab/hub/api.ts";
import { enterLab, logIns, touched, up } from "../lab/scenario.ts";

const toolchain = await enterLab();
const DEVICE = "shop-1";
const OWN = { env: { PULUMI_CONFIG_PASSPHRASE: "of-the-region-alone" } };
const SECRETS = `/api/v1/namespaces/argocd-${REGION}/secrets?labelSelector=argocd.argoproj.io%2Fsecret-type%3Dcluster`;

test("a region that cannot decrypt the hub's state", async (t) => {
  const devices = [{ id: DEVICE, model: "nuc-4g", ring: "broad" }] as const;
  const fleet = await startLabFleet({ toolchain, devices });
  t.after(() => fleet.stop());
  const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  const hub = await up(fleet, "hub");
  assert.equal(hub.code, 0, hub.text);
  for (const args of [
    ["stack", "rm", REGION, "--yes"],
    ["stack", "init", REGION],
  ]) {
    const { code, stderr } = await fleet.pulumi(args, OWN);
    assert.equal(code, 0, stderr);
  }

  await t.test("is told so before anything is registered", async () => {
    const before = logIns(fleet.devices);
    const run = await up(fleet, REGION, OWN);
    assert.notEqual(run.code, 0);
    assert.match(
      run.text,
      /output kubeconfig-loopback of the hub's stack hub cannot be decrypted - use that stack's pass/,
    );
    assert.doesNotMatch(run.text, /^\s+at .*:\d+/m, "no stack trace");
    assert.equal(logIns(fleet.devices), before);
    assert.equal(run.operations.has(DEVICE), false);
  });

  await t.test("works from its own stack alone once it has the hub's output as a secret", async () => {
    const yielded = await fleet.pulumi(["stack", "output", `kubeconfig-${REGION}`, "--show-secrets", "--stack", "hub"]);
    const set = ["config", "set", "--secret", "edge-fleet:hubKubeconfig", "--stack", REGION];
    const { code, stderr } = await fleet.pulumi(set, { ...OWN, input: yielded.stdout });
    assert.equal(code, 0, stderr);
    const run = await up(fleet, REGION, OWN);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(await registered(fleet), [`cluster-${DEVICE}`]);
    const again = await up(fleet, REGION, OWN, ["--expect-no-changes"]);
    assert.equal(again.code, 0, again.text);
    assert.deepEqual(touched(again), []);
  });

  await t.test("is refused where that leads to another cluster than before, and nothing is changed", async () => {
    const { stdout } = await fleet.pulumi(["config", "get", "edge-fleet:hubKubeconfig", "--stack", REGION], OWN);
    const { clusters } = parse(stdout) as { clusters: { name: string }[] };
    const other = stdout.replaceAll(clusters[0]?.name ?? "", "hub-00000000-0000-0000-0000-000000000000");
    const set = ["config", "set", "--secret", "edge-fleet:hubKubeconfig", "--stack", REGION];
    assert.equal((await fleet.pulumi(set, { ...OWN, input: other })).code, 0);
    const run = await up(fleet, REGION, OWN, ["--continue-on-error"]);
    assert.notEqual(run.code, 0);
    assert.match(run.text, /leads to hub-00000000-[-0]+, and the stack's objects are on hub-\S+ - set the right one/);
    assert.deepEqual(touched(run), []);
    assert.deepEqual(await registered(fleet), [`cluster-${DEVICE}`]);
  });

  await t.test("takes nothing from a hub that the fleet has no more, until its state is told so", async () => {
    fleet.edit("fleet.yaml", (file) => file.set("hub", "none"));
    const run = await up(fleet, REGION, OWN, ["--continue-on-error"]);
    assert.notEqual(run.code, 0);
    assert.deepEqual(touched(run), []);
    const [, command = ""] = /to leave the hub as it is, run: pulumi (state delete .*)$/m.exec(run.text) ?? [];
    const args = command.replaceAll("'", "").split(" ");
    const deleted = await fleet.pulumi([...args, "--yes"], OWN);
    assert.equal(deleted.code, 0, `${command}: ${deleted.stdout}${deleted.stderr}`);
    const alone = await up(fleet, REGION, OWN);
    assert.equal(alone.code, 0, alone.text);
    assert.deepEqual(await registered(fleet), [`cluster-${DEVICE}`]);
    const { stdout } = await fleet.pulumi(["stack", "output", "--json", "--stack", REGION], OWN);
    assert.equal((JSON.parse(stdout) as RegionOutputs).devices.applied, 1);
  });
});

async function registered({ kubeconfig = "" }: LabFleet): Promise<string[]> {
  const items = (await listApi(kubeconfig, SECRETS)) as unknown as { metadata: { name: string } }[];
  return items.map(({ metadata }) => metadata.name);
}
