/** A device that leaves the fleet, or changes its distribution: what is erased, what is refused, and what goes on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { parseDeviceAnswer } from "../../components/device/result.ts";
import type { Profile } from "../../components/inventory/types.ts";
import {
  type Device,
  LOCK,
  OLD,
  profileWith,
  removeCommand,
  sha256,
  underEachShell,
} from "../lab/standins/apply-device.ts";
import { assertFirewallIsOurs, fillFirewall } from "../lab/standins/firewall.ts";
import { k0sStandin } from "../lab/standins/others.ts";
import type { Sandbox } from "../lab/standins/sandbox.ts";

const old = profileWith(OLD);
const K0S = "v1.36.3+k0s.2";
const binary = k0sStandin(K0S);
const file = { url: "http://127.0.0.1:9/k0s", sha256: sha256(binary), size: binary.length };
const lock = { ...LOCK, k0s: { [K0S]: { amd64: file, arm64: file } } };
const other: Profile = { ...old, distribution: "k0s", k0s: { ...old.k0s, version: K0S } };

/** What edge-fleet or K3s has put anywhere. */
const leftovers = (device: Device): string =>
  device.sh(`ls -d /etc/rancher /var/lib/rancher /run/k3s /usr/local/bin/k3s /usr/local/bin/containerd-shim-* \\
    /etc/systemd/system/k3s* /etc/systemd/system/edge-fleet-* /etc/sysctl.d/90-edge-fleet.conf /etc/modules-load.d/90-edge-fleet.conf \\
    /etc/systemd/journald.conf.d/90-edge-fleet.conf /var/lib/edge-fleet /var/log/edge-fleet \\
    /var/log/pods /var/log/containers /usr/libexec/kubernetes /sys/fs/cgroup/kubepods* /usr/local/bin/kubectl \
    /usr/local/bin/k3s-* ${PROGRAM_PATH} /run/edge-fleet.* 2>/dev/null || :`);

/** What a node that has run pods has on its disk: the kubelet's logs and folders, and what K3s' installer puts beside it. */
const runPods = (device: Device): string =>
  device.sh(`mkdir -p /var/log/pods/default_web_1 /var/log/containers /usr/libexec/kubernetes/kubelet-plugins /etc/rancher/node
    mkdir -p /sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice /sys/fs/cgroup/kubepods/besteffort
    echo secret >/var/log/pods/default_web_1/0.log; echo password >/etc/rancher/node/password
    ln -sf k3s /usr/local/bin/kubectl; : >/usr/local/bin/k3s-killall.sh; : >/usr/local/bin/k3s-uninstall.sh`);

function remove(sandbox: Sandbox, id: string) {
  const { code, stdout, stderr } = sandbox.run(removeCommand(id));
  assert.equal(stderr, "");
  return { exitCode: code, ...parseDeviceAnswer(stdout) };
}

underEachShell("removal", (get) => {
  test("a device that is removed has nothing of edge-fleet or its cluster left, and a second time too", () => {
    const { device, sandbox } = get();
    device.installProgram();
    device.install(old);
    runPods(device);
    device.sh(`echo key >/var/lib/edge-fleet/identity.key
      echo mine >/etc/sysctl.d/10-mine.conf`);
    fillFirewall(device, "/var/lib/rancher/k3s/data/current/bin/aux");
    const answer = { device: old.id, result: "removed", hash: device.sh("head -n 1 /var/lib/edge-fleet/applied") };
    assert.deepEqual(remove(sandbox, old.id), {
      exitCode: 0,
      ...answer,
      code: "",
      version: OLD,
      engine: "",
      reason: "",
    });
    assert.equal(leftovers(device), "");
    assertFirewallIsOurs(device);
    assert.equal(device.sh("cat /etc/sysctl.d/10-mine.conf; rm /etc/sysctl.d/10-mine.conf"), "mine");
    assert.equal(device.pid(), "0");
    device.installProgram();
    const again = remove(sandbox, old.id);
    assert.deepEqual([again.exitCode, again.result], [0, "removed"]);
    device.installProgram();
    device.install(old);
    device.assertIs(old);
  });

  test("another device than the one that is meant removes nothing", () => {
    const { device, sandbox } = get();
    device.installProgram();
    device.install(old);
    const { exitCode, result, code, reason } = remove(sandbox, "edge-0002");
    assert.deepEqual([exitCode, result, code], [1, "failed", "device"]);
    assert.match(reason ?? "", /^device: this is edge-0001, not edge-0002 - correct its address/);
    device.assertIs(old);
  });

  for (const point of ["erase", "forget"]) {
    test(`a removal that is killed at ${point} is finished by the next one`, () => {
      const { device, sandbox } = get();
      device.installProgram();
      device.install(old);
      device.killAt(point);
      assert.notEqual(sandbox.run(removeCommand(old.id)).code, 0);
      assert.notEqual(leftovers(device), "");
      device.killAt("");
      assert.equal(remove(sandbox, old.id).result, "removed");
      assert.equal(leftovers(device), "");
    });
  }
});

underEachShell("another distribution", (get) => {
  test("is refused without replace, and nothing is changed", () => {
    const { device } = get();
    device.install(old);
    device.store(binary);
    const { result, reason } = device.apply(other, lock);
    assert.equal(result, "failed");
    assert.match(reason, /replace: true/);
    device.assertIs(old);
  });

  for (const point of ["", "replace", "backup", "put3", "gate"]) {
    test(`replaces the cluster with replace: true${point === "" ? "" : `, also when it is killed at ${point}`}`, () => {
      const { device } = get();
      device.sh(
        "systemctl stop k0scontroller 2>/dev/null || :; rm -rf /var/lib/k0s /etc/k0s /usr/local/bin/k0s /etc/systemd/system/k0scontroller.service",
      );
      device.install(old);
      device.store(binary);
      const target = { ...other, replace: true };
      if (point !== "") {
        device.killAt(point);
        assert.match(device.apply(target, lock).reason, /^interrupted: /);
        device.killAt("");
      }
      const { result, reason } = device.apply(target, lock);
      assert.equal(result, "applied", reason);
      assert.equal(
        device.sh(`ls -d /etc/rancher /var/lib/rancher /usr/local/bin/k3s /etc/systemd/system/k3s.service 2>/dev/null || :
          systemctl show -p MainPID --value k3s; k0s kubectl get --raw=/readyz`),
        "0\nok",
      );
      assert.equal(device.apply(target, lock).result, "unchanged");
    });
  }
});
