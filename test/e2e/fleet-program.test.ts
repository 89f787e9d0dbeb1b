/**
 * Devices whose program or artifacts are not current, through the real engine and without a hub: what a plain `pulumi up`
 * says, and that `edge-fleet up` brings both before it begins, to those devices alone.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { deviceProgram, PROGRAM_PATH } from "../../components/device/program.ts";
import { K3S_VERSIONS, REGION, startLabFleet } from "../lab/fleet.ts";
import { ask, deviceState, enterLab, logIns, type RegionReport, up } from "../lab/scenario.ts";

const toolchain = await enterLab();
const { sha256 } = deviceProgram();
const IDS = ["one", "two"];

test("programs and artifacts of a region", async (t) => {
  const devices = IDS.map((id) => ({ id, model: "nuc-4g", ring: "broad" }) as const);
  const fleet = await startLabFleet({ toolchain, devices, withHub: false });
  t.after(() => fleet.stop());
  const installed = (id: string) => ask(fleet.devices, id, `sha256sum ${PROGRAM_PATH} | cut -d ' ' -f 1`);
  const report = () => fleet.outputs<RegionReport & { programs: Record<string, string> }>(REGION);
  const logInsOf = async (work: () => Promise<unknown>) => {
    const before = logIns(fleet.devices);
    await work();
    return logIns(fleet.devices) - before;
  };
  const edgeFleetUp = async () => {
    const { code, stdout, stderr } = await fleet.edgeFleet(["up", REGION, "--yes"]);
    assert.equal(code, 0, stdout + stderr);
    return stderr;
  };

  await t.test("enrolment installs it, and an up logs in once per device", async () => {
    assert.equal(await logInsOf(() => fleet.edgeFleet(["enroll", REGION, "--yes"])), 2);
    assert.deepEqual(await Promise.all(IDS.map(installed)), [sha256, sha256]);
    assert.equal(await logInsOf(edgeFleetUp), 2);
    assert.equal(await logInsOf(edgeFleetUp), 0);
    assert.deepEqual((await report()).programs, { one: sha256, two: sha256 });
  });

  await t.test(
    "a plain up fails where it is another one, with the mend, and the next edge-fleet up brings it",
    async () => {
      await ask(fleet.devices, "two", `echo '# of another release' >>${PROGRAM_PATH}`);
      fleet.edit("fleet.yaml", (file) => file.setIn(["kubelet", "maxPods"], 40));
      const { code } = await up(fleet);
      assert.notEqual(code, 0);
      const { failed, devices: applied } = await report();
      assert.deepEqual(Object.keys(failed), ["two"]);
      assert.match(failed.two ?? "", /^failed: program: .* - run edge-fleet push loopback$/);
      assert.equal((await deviceState(fleet.devices, "one")).hash, applied.one);
      assert.equal(await logInsOf(async () => assert.match(await edgeFleetUp(), /supplied 1 of 1 devices/)), 2);
      assert.equal(await installed("two"), sha256);
      const { failed: none, devices: all } = await report();
      assert.deepEqual([none, all.two], [{}, (await deviceState(fleet.devices, "two")).hash]);
    },
  );

  await t.test("artifacts that are pushed are brought when they change, and only then", async () => {
    fleet.edit("fleet.yaml", (file) => file.setIn(["artifacts", "delivery"], "push"));
    assert.equal(await logInsOf(edgeFleetUp), 4);
    fleet.edit("fleet.yaml", (file) => file.setIn(["kubelet", "maxPods"], 50));
    assert.equal(await logInsOf(edgeFleetUp), 2);
    fleet.edit("fleet.yaml", (file) => file.setIn(["k3s", "version"], K3S_VERSIONS[1]));
    assert.equal(await logInsOf(edgeFleetUp), 4);
    for (const id of IDS) assert.equal((await deviceState(fleet.devices, id)).version, K3S_VERSIONS[1]);
  });

  await t.test("the state of a device stays below 12 KB", async () => {
    const { stdout } = await fleet.pulumi(["stack", "export", "--stack", REGION]);
    const { deployment } = JSON.parse(stdout) as { deployment: { resources: { urn: string }[] } };
    for (const id of IDS) {
      const own = deployment.resources.filter(({ urn }) => urn.endsWith(`::${id}`) || urn.endsWith(`::${id}-apply`));
      assert.equal(own.length, 2);
      assert.ok(JSON.stringify(own).length < 12_000, `${JSON.stringify(own).length} bytes`);
    }
  });
});
