/**
 * The device program, run as it is on a device, in a throw-away root with stand-ins for systemd and K3s, under dash and
 * under busybox ash: what an apply does when all goes well.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { payloadText, renderPayload } from "../../components/plan/payload.ts";
import {
  flannel,
  LOCK,
  NEW,
  OLD,
  profileWith,
  RELEASES,
  sha256,
  underEachShell,
} from "../lab/standins/apply-device.ts";

const old = profileWith(OLD);

underEachShell("apply", (get) => {
  test("a bare device is installed, and every file has its mode", () => {
    const { device } = get();
    device.install(old);
    device.assertIs(old);
    const modes = device.sh(`stat -c '%a %U:%G %n' /usr/local/bin/k3s /etc/rancher/k3s /etc/rancher/k3s/*.yaml \\
      /etc/rancher/k3s/config.yaml.d/* /var/lib/rancher /var/lib/rancher/k3s/agent/etc/kubelet.conf.d/* \\
      /etc/systemd/system/k3s.service /etc/systemd/system/edge-fleet-*.* /etc/sysctl.d/90-edge-fleet.conf \\
      /var/lib/edge-fleet /var/lib/edge-fleet/settings /usr/local/sbin/* /var/log/edge-fleet/apply.log`);
    assert.deepEqual(modes.split("\n"), [
      "755 root:root /usr/local/bin/k3s",
      "700 root:root /etc/rancher/k3s",
      "600 root:root /etc/rancher/k3s/audit.yaml",
      "600 root:root /etc/rancher/k3s/config.yaml",
      "600 root:root /etc/rancher/k3s/k3s.yaml",
      "600 root:root /etc/rancher/k3s/psa.yaml",
      "600 root:root /etc/rancher/k3s/config.yaml.d/10-labels.yaml",
      "755 root:root /var/lib/rancher",
      "600 root:root /var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-edge-fleet.conf",
      "644 root:root /etc/systemd/system/k3s.service",
      "644 root:root /etc/systemd/system/edge-fleet-maintain.service",
      "644 root:root /etc/systemd/system/edge-fleet-maintain.timer",
      "644 root:root /etc/systemd/system/edge-fleet-recover.service",
      "644 root:root /etc/systemd/system/edge-fleet-route.service",
      "644 root:root /etc/systemd/system/edge-fleet-window.service",
      "644 root:root /etc/systemd/system/edge-fleet-window.timer",
      "644 root:root /etc/sysctl.d/90-edge-fleet.conf",
      "700 root:root /var/lib/edge-fleet",
      "600 root:root /var/lib/edge-fleet/settings",
      "755 root:root /usr/local/sbin/edge-fleet-device",
      "600 root:root /var/log/edge-fleet/apply.log",
    ]);
  });

  test("a second run changes nothing and restarts nothing", () => {
    const { device } = get();
    device.install(old);
    const pid = device.pid();
    const journal = device.sh("cat /var/lib/edge-fleet/journal");
    const { result, reason } = device.apply(old);
    assert.deepEqual([result, reason], ["unchanged", ""]);
    assert.equal(device.pid(), pid);
    assert.equal(device.sh("cat /var/lib/edge-fleet/journal"), journal);
  });

  test("a changed setting restarts the service once", () => {
    const { device } = get();
    device.install(old);
    const pid = device.pid();
    const changed = flannel(old, "vxlan");
    assert.equal(device.apply(changed).result, "applied");
    device.assertIs(changed);
    const restarted = device.pid();
    assert.notEqual(restarted, pid);
    assert.equal(device.apply(changed).result, "unchanged");
    assert.equal(device.pid(), restarted);
  });

  test("a changed ring changes the node's labels without a restart, and a dropped label goes", () => {
    const { device } = get();
    device.install(old);
    const pid = device.pid();
    assert.equal(device.apply({ ...old, ring: "broad", labels: { rack: "7" } }).result, "applied");
    assert.equal(device.pid(), pid);
    const node = JSON.parse(device.sh("k3s kubectl get node edge-0001 -o json")) as { metadata: { labels: object } };
    assert.deepEqual(node.metadata.labels, {
      "edge-fleet.dev/model": "nuc-4g",
      "edge-fleet.dev/region": "tokyo",
      "edge-fleet.dev/ring": "broad",
      rack: "7",
    });
  });

  test("a file that was edited on the device is put back", () => {
    const { device } = get();
    device.install(old);
    device.sh("echo 'flannel-backend: none' >/etc/rancher/k3s/config.yaml");
    assert.equal(device.apply(old).result, "applied");
    device.assertIs(old);
  });

  test("a stopped service is started", () => {
    const { device } = get();
    device.install(old);
    device.sh("systemctl stop k3s");
    assert.equal(device.apply(old).result, "applied");
    device.assertIs(old);
  });

  test("a new release replaces the old one and keeps the datastore", () => {
    const { device } = get();
    device.install(old);
    const database = device.sh("cat /var/lib/rancher/k3s/server/db/state.db");
    device.push(NEW);
    assert.equal(device.apply(profileWith(NEW)).result, "applied");
    device.assertIs(profileWith(NEW));
    assert.equal(device.sh("cat /var/lib/rancher/k3s/server/db/state.db"), database);
    const sums = [OLD, NEW].map((version) => sha256(RELEASES[version] ?? ""));
    assert.equal(device.sh("ls /var/lib/edge-fleet/artifacts"), sums.sort().join("\n"), "one former version is kept");
  });

  test("a minor release back is refused before anything changes", () => {
    const { device } = get();
    device.install(old);
    const older = "v1.35.9+k3s1";
    const lock = { k3s: { ...LOCK.k3s, [older]: { ...LOCK.k3s?.[OLD] } } };
    const { reason } = device.apply(profileWith(older), lock);
    assert.match(reason, /^downgrade: v1\.36 to v1\.35 /);
    device.assertIs(old);
  });

  test("a file that the last state had and this one has not is removed", () => {
    const { device } = get();
    const mirrored = { ...old, registries: { "docker.io": { endpoints: ["https://mirror.example.com"] } } };
    device.install(mirrored);
    device.sh("test -f /etc/rancher/k3s/registries.yaml");
    assert.equal(device.apply(old).result, "applied");
    device.sh("! test -e /etc/rancher/k3s/registries.yaml");
    device.assertIs(old);
  });

  test("taints are reconciled like labels, by key and effect, and others are left alone", () => {
    const { device } = get();
    device.install(old);
    const text = payloadText(renderPayload(old, LOCK));
    const tainted = (digit: string, taints: string) =>
      text.replace(/set HASH \S+/, `set HASH ${digit.repeat(64)}`).replace("set NEED_KIB", `${taints}set NEED_KIB`);
    const taints = () => device.sh("sort /var/lib/rancher/k3s/server/db/taints");
    device.sh("k3s kubectl taint node edge-0001 mine=1:NoExecute >/dev/null");
    const pid = device.pid();
    assert.equal(device.applyText(tainted("0", "set TAINTS a=1:NoSchedule b=2:NoExecute\n")).reason, "");
    assert.equal(taints(), "a=1:NoSchedule\nb=2:NoExecute\nmine=1:NoExecute");
    assert.equal(device.applyText(tainted("1", "set TAINTS a=3:NoSchedule\n")).reason, "");
    assert.equal(taints(), "a=3:NoSchedule\nmine=1:NoExecute");
    assert.equal(device.apply(old).reason, "");
    assert.equal(taints(), "mine=1:NoExecute");
    assert.equal(device.pid(), pid, "without a restart");
  });
});
