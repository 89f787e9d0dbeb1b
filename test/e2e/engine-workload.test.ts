/**
 * Devices that pull, from plain `pulumi up` to a workload that runs, through all that comes between a device and Git: the
 * real Argo CD in the pods that edge-fleet's manifests describe, on real API servers, from a Git server with a log-in and an
 * authority of its own. Each part continues where the one before it ended.
 */
import { test } from "node:test";
import { PullFleet } from "../lab/pull-fleet.ts";
import { enterLab } from "../lab/scenario.ts";
import { POD_PARTS } from "../lab/standins/images.ts";
import { FLEET_PARTS } from "../lab/toolchain/parts.ts";
import { IDS, RINGS, SPARE, Story } from "./engine-story.ts";

const toolchain = await enterLab([...FLEET_PARTS, ...POD_PARTS]);

test("devices that pull", async (t) => {
  const devices = [
    ...IDS.map((id) => ({ id, model: "pod-4g", ring: RINGS[id] }) as const),
    { id: SPARE, model: "pod-4g", ring: "broad", spare: true } as const,
  ];
  const settings = { rollout: { soak: "0m" } };
  const pull = await PullFleet.start({ toolchain, devices, withHub: false, readinessTimeoutSeconds: 120, settings });
  t.after(() => pull.stop());
  const story = new Story(pull, (text) => t.diagnostic(text));
  t.after(() => story.stop());
  await t.test("an up brings the cluster, the engine and the way into Git", () => story.install());
  await t.test("a workload that is promoted through the rings comes and runs", () => story.first());
  await t.test("a canary that fails is not healthy, and the rings behind it are not touched", () => story.badCanary());
  await t.test(
    "a region that is added while a release is held gets what its ring runs, and nobody else gets anything",
    () => story.newRegion(),
  );
  await t.test("with Git gone for longer than every cache, drift heals at the pinned commit and at no branch", () =>
    story.gitGone(),
  );
  await t.test("a device that reboots meanwhile heals all the same", () => story.rebootOffline());
  await t.test("with Git back, all catch up by themselves", () => story.catchUp());
  await t.test("a device that was off during two promotions and an uninstall does all of it", () => story.wasOff());
  await t.test("a power cut in the middle of a sync ends with the sync", () => story.powerCut());
  await t.test("another password reaches the devices with one up", () => story.rotate());
  await t.test(
    "a deploy key reads Git over SSH, changes with one up, and no server with another host key is asked",
    () => story.gitOverSsh(),
  );
  await t.test("another model changes no object's identity", () => story.changeModel());
  await t.test("outside its window a device takes nothing new and heals what it has", () => story.window());
  await t.test("another release of the engine replaces its pods and no workload's", () => story.upgrade());
  await t.test("without an engine the workloads run on", () => story.none());
});
