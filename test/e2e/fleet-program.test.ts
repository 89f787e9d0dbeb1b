/**
 * Another release of edge-fleet and artifacts that are sent, by plain `pulumi up` on the real engine and without a hub: both
 * come to every device in its one dial, with no step before it. Each part continues where the one before it ended.
 */
import assert from "node:assert/strict";
import { appendFileSync, cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { deviceProgram, PROGRAM_PATH } from "../../components/device/program.ts";
import type { RegionOutputs } from "../../components/index.ts";
import { K3S_VERSIONS, type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import {
  ask,
  deviceState,
  deviceStates,
  enterLab,
  exportStack,
  logIns,
  preview,
  touched,
  up,
} from "../lab/scenario.ts";

const toolchain = await enterLab();
const REPOSITORY = join(import.meta.dirname, "../..");
const { sha256 } = deviceProgram();
const IDS = ["one", "two"];

test("programs and artifacts of a region", async (t) => {
  const devices = IDS.map((id) => ({ id, model: "nuc-4g", ring: "broad" }) as const);
  const fleet = await startLabFleet({ toolchain, devices, withHub: false });
  t.after(() => fleet.stop());
  const installed = (id: string) => ask(fleet.devices, id, `sha256sum ${PROGRAM_PATH} | cut -d ' ' -f 1`);
  const upWith = async (expectedLogIns: number) => {
    const before = logIns(fleet.devices);
    const run = await up(fleet);
    assert.equal(run.code, 0, run.text);
    assert.equal(logIns(fleet.devices) - before, expectedLogIns, run.text);
    return run;
  };

  await t.test("an up brings the program and everything else in one log-in a device", async () => {
    const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
    assert.equal(enrolled.code, 0, enrolled.stderr);
    await upWith(IDS.length);
    assert.deepEqual(await Promise.all(IDS.map(installed)), [sha256, sha256]);
    await upWith(0);
  });

  await t.test(
    "an up with another release brings its program to each device in one dial, and restarts nothing",
    async () => {
      useNextRelease(fleet);
      const states = await deviceStates(fleet.devices, IDS);
      const shown = await preview(fleet);
      assert.match(shown.text, /another release of edge-fleet: 2 devices \(one, two\)/);
      await fleet.devices.setMode("two", "dark");
      assert.deepEqual(touched(await upWith(1)), IDS);
      await fleet.devices.setMode("two", "up");
      assert.deepEqual(touched(await upWith(1)), ["two"]);
      const [one, two] = await Promise.all(IDS.map(installed));
      assert.equal(one, two);
      assert.notEqual(one, sha256);
      for (const id of IDS) await ask(fleet.devices, id, `grep -q '^of_the_next_release()' ${PROGRAM_PATH}`);
      assert.deepEqual(await deviceStates(fleet.devices, IDS), states);
      await upWith(0);
    },
  );

  await t.test("a program that was damaged on the device is brought again with the next change", async () => {
    const [wanted] = await Promise.all(IDS.map(installed));
    await ask(fleet.devices, "two", `echo '# damaged' >>${PROGRAM_PATH}`);
    fleet.edit("fleet.yaml", (file) => file.setIn(["kubelet", "maxPods"], 40));
    await upWith(IDS.length);
    assert.equal(await installed("two"), wanted);
  });

  await t.test("artifacts that are sent come in the same dial, and only when they change", async () => {
    fleet.edit("fleet.yaml", (file) => file.setIn(["artifacts", "delivery"], "push"));
    await upWith(IDS.length);
    fleet.edit("fleet.yaml", (file) => file.setIn(["k3s", "version"], K3S_VERSIONS[1]));
    await upWith(IDS.length);
    for (const id of IDS) assert.equal((await deviceState(fleet.devices, id)).version, K3S_VERSIONS[1]);
    const { applied } = await fleet.outputs<RegionOutputs>(REGION);
    assert.deepEqual(applied, Object.fromEntries(IDS.map((id) => [id, K3S_VERSIONS[1]])));
  });

  await t.test("the state of a device stays below 12 KB", async () => {
    const { resources } = await exportStack(fleet);
    for (const id of IDS) {
      const own = resources.filter(({ urn }) => urn.endsWith(`::${id}`));
      assert.equal(own.length, 1);
      assert.ok(JSON.stringify(own).length < 12_000, `${JSON.stringify(own).length} bytes`);
    }
  });
});

/** Puts a copy of the program in the place of the project's, as an update would, whose device program has one line more. */
function useNextRelease(fleet: LabFleet): void {
  for (const name of ["index.ts", "components"]) {
    rmSync(fleet.path(name));
    cpSync(join(REPOSITORY, name), fleet.path(name), { recursive: true });
  }
  appendFileSync(fleet.path("components/device/program/kept.sh"), "of_the_next_release() { :; }\n");
}
