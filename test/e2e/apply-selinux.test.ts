/**
 * Labels on a device whose SELinux enforces, as the stand-ins of restorecon and chcon write them down: whatever a run puts
 * has the label of its place, also after a rollback, and shares its inode with nothing in another place.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BROKEN, NEW, OLD, profileWith, underEachShell } from "../lab/standins/apply-device.ts";
import { enforceSelinux, labelOf } from "../lab/standins/selinux.ts";

const old = profileWith(OLD);
const UNIT = "/etc/systemd/system/k3s.service";
const KUBELET = "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d";

underEachShell("SELinux", (get) => {
  for (const policy of [true, false]) {
    test(`${policy ? "with" : "without"} k3s-selinux every file has the label of its place, and K3s its own`, () => {
      const { device, sandbox } = get();
      const labels = (): string[] =>
        ["/usr/local/bin/k3s", UNIT, KUBELET, `${KUBELET}/50-edge-fleet.conf`, "/etc/rancher/k3s/config.yaml"].map(
          (path) => labelOf(device, path),
        );
      const expected = [
        "container_runtime_exec_t",
        policy ? "container_unit_file_t" : "systemd_unit_file_t",
        ...Array(2).fill(policy ? "container_var_lib_t" : "var_lib_t"),
        "etc_t",
      ];
      /** Files of a device that have their inode in two places. */
      const shared = "find /usr/local /etc/rancher /etc/systemd/system /var/lib/rancher -xdev -type f -links +1";
      device.wipe();
      enforceSelinux(sandbox, device, policy);
      device.push(OLD);
      assert.equal(device.apply(old).result, "applied");
      assert.deepEqual([labels(), device.sh(shared)], [expected, ""]);
      device.push(NEW);
      assert.equal(device.apply(profileWith(NEW)).result, "applied");
      assert.deepEqual([labels(), device.sh(shared)], [expected, ""]);
      device.push(BROKEN);
      const failing = profileWith(BROKEN, { readiness: { timeoutSeconds: 2 } });
      assert.equal(device.apply(failing).result, "rolled-back");
      assert.deepEqual([labels(), device.sh(shared)], [expected, ""]);
      device.assertIs(profileWith(NEW));
    });
  }

  test("without restorecon a run goes on, and its log says what is missing", () => {
    const { device, sandbox } = get();
    device.wipe();
    enforceSelinux(sandbox, device, false);
    device.sh("rm /usr/local/bin/restorecon");
    device.push(OLD);
    assert.equal(device.apply(old).result, "applied");
    assert.match(device.sh("cat /var/log/edge-fleet/apply.log"), /k3s\.service .* label .* install policycoreutils/);
  });
});
