/**
 * K0s through the device program, run as it is on a device, in a throw-away root with stand-ins for systemd and K0s, under
 * dash and under busybox ash.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { Profile } from "../../components/inventory/types.ts";
import { underEachShellAs } from "../lab/standins/apply-device.ts";
import { assertFirewallIsOurs, fillFirewall } from "../lab/standins/firewall.ts";
import {
  BROKEN,
  CONTAINERD_1,
  CRASHING,
  K0sDevice,
  NEW,
  OLD,
  OLDEST,
  profileWith,
  REFUSING,
} from "../lab/standins/k0s-device.ts";

underEachShellAs(K0sDevice, "K0s on a device", (get) => {
  let device: K0sDevice;
  const old = profileWith(OLD);
  const pid = () => device.pid();
  const apply = (profile: Profile) => device.apply(profile);
  before(() => {
    device = get().device;
  });

  test("a bare device is installed, with the modes and the users of a control plane", () => {
    const { result, reason } = apply(old);
    assert.equal(result, "applied", reason);
    device.assertIs(old);
    const modes = device.sh(
      "stat -c '%a %U %n' /usr/local/bin/k0s /etc/k0s /etc/k0s/*.yaml /etc/k0s/labels.env /var/lib/k0s/audit",
    );
    assert.deepEqual(modes.split("\n"), [
      "755 root /usr/local/bin/k0s",
      "755 root /etc/k0s",
      "644 root /etc/k0s/audit.yaml",
      "600 kube-apiserver /etc/k0s/encryption.yaml",
      "600 root /etc/k0s/k0s.yaml",
      "644 root /etc/k0s/psa.yaml",
      "644 root /etc/k0s/labels.env",
      "700 kube-apiserver /var/lib/k0s/audit",
    ]);
    assert.match(
      device.sh("cat /etc/k0s/encryption.yaml"),
      /secretbox: \{keys: \[\{name: device, secret: "[A-Za-z0-9+/]{43}="\}\]\}/,
    );
  });

  test("a second run changes nothing", () => {
    const before = pid();
    assert.deepEqual([apply(old).result, pid()], ["unchanged", before]);
  });

  test("a changed ring changes the labels without a restart", () => {
    const before = pid();
    assert.equal(apply({ ...old, ring: "broad" }).result, "applied");
    assert.equal(pid(), before);
    assert.match(device.sh("k0s kubectl get node edge-0001 -o labels"), /^edge-fleet\.dev\/ring=broad$/m);
  });

  test("a changed setting restarts the service once, and the key of the secrets stays", () => {
    const [before, key] = [pid(), device.sh("cksum </etc/k0s/encryption.yaml")];
    const changed = { ...old, kubelet: { maxPods: 40 } };
    assert.equal(apply(changed).result, "applied");
    device.assertIs(changed);
    const restarted = pid();
    assert.notEqual(restarted, before);
    assert.equal(apply(changed).result, "unchanged");
    assert.deepEqual([pid(), device.sh("cksum </etc/k0s/encryption.yaml")], [restarted, key]);
    assert.equal(apply(old).result, "applied");
  });

  test("a mirror that leaves the inventory leaves the device", () => {
    const mirrored = { ...old, registries: { "docker.io": { endpoints: ["https://mirror.example.com"] } } };
    assert.equal(apply(mirrored).result, "applied");
    device.sh(
      "test -s /etc/k0s/containerd.d/certs.d/docker.io/hosts.toml; grep -q certs.d /etc/k0s/containerd.d/*.toml",
    );
    assert.equal(apply(old).result, "applied");
    device.sh("! ls /etc/k0s/containerd.d/*.toml 2>/dev/null");
  });

  test("a configuration that the new release refuses is named, and the old one goes on", () => {
    const before = pid();
    const { result, reason } = apply(profileWith(REFUSING));
    assert.equal(result, "failed");
    assert.match(reason, /^config: k0s refuses k0s\.yaml: .*unknown field.* - correct the inventory$/);
    device.assertIs(old);
    assert.equal(pid(), before);
  });

  for (const [broken, fault] of [
    [BROKEN, "never becomes ready"],
    [CRASHING, "crashes"],
  ] as const) {
    test(`a release that ${fault} is rolled back with its datastore`, () => {
      device.sh("echo old >/var/lib/k0s/db/state.db");
      const { result, reason } = apply({ ...profileWith(broken), readiness: { timeoutSeconds: 2 } });
      assert.equal(result, "rolled-back", reason);
      assert.match(reason, /^not-ready: .* after 2 s; back on the previous state$/);
      device.assertIs(old);
      assert.equal(device.sh("cat /var/lib/k0s/db/state.db"), "old");
    });
  }

  test("a new release replaces the old one and keeps the datastore", () => {
    const database = device.sh("cat /var/lib/k0s/db/state.db");
    assert.equal(apply(profileWith(NEW)).result, "applied");
    device.assertIs(profileWith(NEW));
    assert.equal(device.sh("cat /var/lib/k0s/db/state.db"), database);
  });

  test("a worker of another cluster and a datastore of its own are not taken over", () => {
    device.sh("mkdir -p /var/lib/k0s/etcd/member");
    const { result, reason } = apply(profileWith(NEW, { kubelet: { maxPods: 50 } }));
    device.sh("rm -r /var/lib/k0s/etcd");
    assert.equal(result, "failed");
    assert.match(reason, /^foreign: k0s has an etcd datastore/);
  });

  test("a removal erases everything but what is not ours", () => {
    fillFirewall(device, "/var/lib/k0s/bin");
    device.sh("edge-fleet-device remove edge-0001 </dev/null");
    assertFirewallIsOurs(device);
    const left =
      "ls -d /etc/k0s /var/lib/k0s /run/k0s /usr/local/bin/k0s /etc/systemd/system/k0scontroller.service 2>/dev/null; :";
    assert.equal(device.sh(left), "");
    assert.equal(device.sh("id kube-apiserver 2>/dev/null; ls /usr/local/bin/systemctl"), "/usr/local/bin/systemctl");
  });
});

underEachShellAs(K0sDevice, "K0s with WASM", (get) => {
  const wasm = (version: string) => profileWith(version, { wasm: ["spin"] });

  for (const version of [OLDEST, CONTAINERD_1, OLD])
    test(`${version} has the runtime`, () => {
      const { device } = get();
      device.wipe();
      const { result, reason } = device.apply(wasm(version));
      assert.equal(result, "applied", reason);
      device.assertIs(wasm(version));
    });

  test("an upgrade from containerd 1.7 to 2 goes on with its drop-ins, also after a boot", () => {
    const { device } = get();
    device.wipe();
    assert.equal(device.apply(wasm(CONTAINERD_1)).result, "applied");
    const { result, reason } = device.apply(wasm(OLD));
    assert.equal(result, "applied", reason);
    device.sh("rm -rf /run/k0s; edge-fleet-device maintain; ! grep 'does not know' /var/log/edge-fleet/apply.log");
    assert.equal(device.apply(wasm(OLD)).result, "unchanged");
  });

  test("a file of containerd that somebody else keeps, without the drop-ins, is told", () => {
    const { device } = get();
    device.wipe();
    device.sh("mkdir -p /etc/k0s; echo 'version = 3' >/etc/k0s/containerd.toml");
    const { result, reason } = device.apply({ ...wasm(OLD), readiness: { timeoutSeconds: 2 } });
    assert.equal(result, "rolled-back");
    assert.match(reason, /^not-ready: containerd does not know the WASM runtime spin after 2 s/);
  });
});
