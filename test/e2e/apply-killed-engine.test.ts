/**
 * The device program killed with SIGKILL at every step and file while it brings the engine to a device that has none, and
 * while it takes it away: the next run finishes it, and the secrets that the device has made stay as they are.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Profile } from "../../components/inventory/types.ts";
import { distributionOf } from "../../components/plan/distributions/index.ts";
import { countFaults } from "../lab/faults.ts";
import { Device, OLD as K3S, profileWith as k3sProfile, underEachShellAs } from "../lab/standins/apply-device.ts";
import { OLD as K0S, K0sDevice, profileWith as k0sProfile } from "../lab/standins/k0s-device.ts";
import { finishAfterKill, killPoints } from "../lab/standins/kills.ts";
import { OLD as MICROK8S, MicroK8sDevice, profileWith as microk8sProfile } from "../lab/standins/microk8s-device.ts";
import type { Sandbox } from "../lab/standins/sandbox.ts";
import { gitopsOf } from "../unit/device/profile.ts";

const FILES = ["crd-application", "crd-appproject", "engine-argocd", "engine-secrets", "git"];

const DISTRIBUTIONS: readonly (readonly [name: string, Kind: new (sandbox: Sandbox) => Device, profile: Profile])[] = [
  ["K3s", Device, k3sProfile(K3S)],
  ["K0s", K0sDevice, k0sProfile(K0S)],
  ["MicroK8s", MicroK8sDevice, microk8sProfile(MICROK8S)],
];

for (const [name, Kind, profile] of DISTRIBUTIONS) {
  const faults = countFaults();
  const folder = distributionOf(profile).manifests;
  const bare = { ...profile, gitops: gitopsOf("none") };
  const pulling = { ...profile, gitops: gitopsOf("argocd") };
  const manifests = (device: Device) => device.sh(`ls ${folder} 2>/dev/null | sed -n 's/^edge-fleet-//p' | sort`);
  const assertPulls = (device: Device) => {
    assert.equal(manifests(device), FILES.map((file) => `${file}.yaml`).join("\n"));
    assert.equal(device.sh("stat -c '%a %u' /var/lib/edge-fleet/engine/repo"), "700 999");
  };
  const assertBare = (device: Device) => {
    assert.equal(manifests(device), "");
    assert.equal(device.sh("ls -d /var/lib/edge-fleet/engine 2>/dev/null || :"), "");
  };

  underEachShellAs(Kind, `an engine on ${name}, interrupted`, (get, shell) => {
    // The steps are the same for every distribution, so the others are killed under one shell each.
    const killed = name === "K3s" || shell === (name === "K0s" ? "dash" : "busybox");
    test("one that is killed while it comes is finished by the next run, and one that goes as well", (t) => {
      const { device } = get();
      if (profile.distribution === "k3s") device.install(bare);
      else assert.equal(device.apply(bare).result, "applied");
      if (!killed) return t.skip("under the other shell");
      const goes = killPoints(shell, "upgrade");
      for (const [index, point] of killPoints(shell, "install").entries()) {
        faults.survive("killed", () => finishAfterKill(device, point, pulling, pulling));
        assertPulls(device);
        const secrets = device.sh(`cat ${folder}/edge-fleet-engine-secrets.yaml`);
        assert.equal(device.apply({ ...pulling, ring: "broad" }).result, "applied");
        assert.equal(device.sh(`cat ${folder}/edge-fleet-engine-secrets.yaml`), secrets);
        faults.survive("killed", () => finishAfterKill(device, goes[index] ?? "commit", bare, bare));
        assertBare(device);
      }
    });

    test("comes, changes and goes without a restart where nothing interrupts it", () => {
      const { device } = get();
      const pid = device.pid();
      const { engine } = device.apply(pulling);
      assert.match(engine, /^waiting: ImagePullBackOff lab\.invalid\/argocd:v1@sha256:a{64}$/);
      assertPulls(device);
      assert.equal(device.apply(pulling).result, "unchanged");
      assert.equal(device.apply(bare).engine, "");
      assertBare(device);
      assert.equal(device.apply(pulling).result, "applied");
      assert.equal(device.pid(), pid);
    });

    test("is copied with its secrets, which a restore brings back", () => {
      const { device } = get();
      const file = `${folder}/edge-fleet-engine-secrets.yaml`;
      device.sh("rm -rf /var/lib/edge-fleet/backups; edge-fleet-device maintain");
      const before = device.sh(`cat ${file}`);
      device.sh(`echo other >${file}`);
      assert.match(device.sh("edge-fleet-device restore"), /"result":"restored"/);
      assert.equal(device.sh(`cat ${file}; stat -c %a ${file}`), `${before}\n600`);
    });

    test("is erased with the device", () => {
      const { device } = get();
      assertPulls(device);
      device.wipe();
      assertBare(device);
    });
  });
}
