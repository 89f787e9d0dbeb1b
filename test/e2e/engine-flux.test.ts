/**
 * Devices that pull with Flux, from plain `pulumi up` to a workload that runs: the real source-controller and
 * kustomize-controller in the pods that edge-fleet's manifests describe, on real API servers, from a Git server with a log-in
 * and an authority of its own. They look every minute, the least that an inventory can ask, and are told to look at
 * once where that wait is not the point. Each part continues where the one before it ended.
 */
import { test } from "node:test";
import { PullFleet } from "../lab/pull-fleet.ts";
import { enterLab } from "../lab/scenario.ts";
import { POD_PARTS } from "../lab/standins/images.ts";
import { FLEET_PARTS, FLUX_PARTS } from "../lab/toolchain/parts.ts";
import { FluxStory, IDS, RINGS } from "./flux-story.ts";

const toolchain = await enterLab([...FLEET_PARTS, ...POD_PARTS, ...FLUX_PARTS]);

test("devices that pull with Flux", async (t) => {
  const devices = IDS.map((id) => ({ id, model: "pod-2g", ring: RINGS[id] }) as const);
  const settings = { rollout: { soak: "0m" } };
  const gitops = { engine: "flux", flux: { reconcileMinutes: 1 } };
  const pull = await PullFleet.start({
    ...{ toolchain, devices, withHub: false, readinessTimeoutSeconds: 120, settings, gitops },
  });
  t.after(() => pull.stop());
  const story = new FluxStory(pull, (text) => t.diagnostic(text));
  t.after(() => story.stop());
  await t.test("an up brings the cluster, both controllers and the way into Git", () => story.install());
  await t.test("a workload that is promoted comes and runs, with the values of its device", () => story.first());
  await t.test(
    "what its project forbids a workload is refused with the reason, a kind that it allows comes and goes",
    () => story.bounded(),
  );
  await t.test("a canary that cannot run a commit holds the next ring, and takes the next commit at once", () =>
    story.badCanary(),
  );
  await t.test("with Git gone for longer than the interval, drift heals at the pinned commit", () => story.gitGone());
  await t.test("a device that reboots meanwhile heals all the same, from the archives on its disk", () =>
    story.rebootOffline(),
  );
  await t.test("with Git back, all catch up by themselves", () => story.catchUp());
  await t.test("a workload that is removed goes, with its objects", () => story.removed());
  await t.test("a device that was off during a promotion takes it when it boots", () => story.wasOff());
  await t.test("another password reaches the devices with one up", () => story.rotate());
  await t.test("a deploy key reads Git over SSH, and no server with another host key is asked", () =>
    story.gitOverSsh(),
  );
  await t.test("Argo CD takes over what Flux runs, and nothing restarts", () => story.toArgoCd());
  await t.test("Flux takes it back, with the fields that only Argo CD has set", () => story.backToFlux());
  await t.test(
    "outside of its window a device was installed at once, then takes nothing new and heals; inside it follows",
    () => story.window(),
  );
  await t.test("without an engine the workloads run on", () => story.none());
});
