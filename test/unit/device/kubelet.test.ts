import assert from "node:assert/strict";
import { test } from "node:test";
import { kubeletDropIn } from "../../../components/plan/distributions/kubelet.ts";
import { buildProfile } from "./profile.ts";

for (const [memoryMiB, role, memory] of [
  [1024, "server", ["80Mi", "100Mi", "520Mi"]],
  [2048, "server", ["120Mi", "200Mi", "600Mi"]],
  [4096, "server", ["200Mi", "200Mi", "600Mi"]],
  [8192, "server", ["300Mi", "300Mi", "800Mi"]],
  [512, "agent", ["60Mi", "80Mi", "160Mi"]],
  [4096, "agent", ["200Mi", "200Mi", "300Mi"]],
] as const) {
  test(`a ${role} of ${memoryMiB} MiB evicts and reserves by its memory, and repeats the disk thresholds of the map that it replaces`, () => {
    const [eviction, system, kubernetes] = memory;
    const { evictionHard, systemReserved, kubeReserved } = kubeletDropIn(buildProfile({ memoryMiB }), role);
    assert.deepEqual(evictionHard, {
      "memory.available": eviction,
      "nodefs.available": "5%",
      "imagefs.available": "5%",
    });
    assert.deepEqual(systemReserved, { cpu: "100m", memory: system });
    assert.deepEqual(kubeReserved, { cpu: "200m", memory: kubernetes });
  });
}

test("the number of pods is the profile's", () => {
  assert.equal(kubeletDropIn(buildProfile({ kubelet: { maxPods: 12 } }), "server").maxPods, 12);
});

test("logs of containers, image pulls and unused images are bounded for the sake of the flash", () => {
  const settings = kubeletDropIn(buildProfile(), "server");
  const expected = {
    serializeImagePulls: true,
    imageGCHighThresholdPercent: 80,
    imageGCLowThresholdPercent: 70,
    containerLogMaxSize: "5Mi",
    containerLogMaxFiles: 2,
    podPidsLimit: 1024,
    shutdownGracePeriod: "30s",
    shutdownGracePeriodCriticalPods: "10s",
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(settings[name], value, name);
});

test("the default seccomp profile belongs to cis alone", () => {
  assert.equal(kubeletDropIn(buildProfile(), "server").seccompDefault, true);
  assert.equal("seccompDefault" in kubeletDropIn(buildProfile({ security: "baseline" }), "server"), false);
});
