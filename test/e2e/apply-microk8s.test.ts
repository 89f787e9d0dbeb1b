/**
 * MicroK8s through the device program, run as it is on a device, in a throw-away root with stand-ins for systemd, snapd and
 * the snap, under dash and under busybox ash.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { Profile } from "../../components/inventory/types.ts";
import { underEachShellAs } from "../lab/standins/apply-device.ts";
import { assertFirewallIsOurs, fillFirewall } from "../lab/standins/firewall.ts";
import {
  BROKEN,
  K0S_VERSION,
  MicroK8sDevice,
  NEW,
  NEW_SNAPD,
  OLD,
  OLD_SNAPD,
  PASSWORD,
  profileWith,
  RELEASES,
} from "../lab/standins/microk8s-device.ts";
import { gitopsOf } from "../unit/device/profile.ts";

underEachShellAs(MicroK8sDevice, "MicroK8s on a device", (get) => {
  let device: MicroK8sDevice;
  const old = profileWith(OLD);
  const kubectl = "/snap/bin/microk8s kubectl";
  const pid = () => device.pid();
  const apply = (profile: Profile) => device.apply(profile);
  const snapdRevision = () => device.sh("snap list snapd | awk 'NR == 2 { print $3 }'");
  before(() => {
    device = get().device;
  });

  test("a host with another name is refused before anything is installed", () => {
    device.rename("raspberrypi");
    const { result, reason } = apply(old);
    device.rename("edge-0001");
    assert.equal(result, "failed");
    assert.match(reason, /^host-name: MicroK8s would name the node raspberrypi - hostnamectl set-hostname edge-0001$/);
    assert.equal(device.sh("ls /snap 2>/dev/null; :"), "");
  });

  test("a bare device gets a held snap of the pinned revision, started with the inventory's arguments", () => {
    device.installSnap(OLD_SNAPD);
    const { result, reason } = apply(old);
    assert.equal(result, "applied", reason);
    device.assertIs(old);
    device.sh("test -f /var/lib/standin-snapd/microk8s/held; test -d /snap/core22/2300");
    assert.equal(snapdRevision(), "26000", "an older snapd makes way before the base is installed");
    assert.equal(device.sh("sort /var/snap/microk8s/current/addons"), "dns\nrbac");
    assert.match(device.sh("cat /var/snap/microk8s/current/args/containerd.toml"), /runtimes\.spin\]/);
    assert.equal(
      device.sh(
        `${kubectl} get runtimeclass spin wasmtime-spin-v2 -o name; stat -c %a /usr/local/bin/containerd-shim-spin-v2`,
      ),
      "755",
    );
    assert.match(device.sh("stat -c %a /etc/edge-fleet/microk8s/encryption.yaml"), /^600$/);
  });

  test("a second run changes nothing", () => {
    const before = pid();
    assert.deepEqual([apply(old).result, pid()], ["unchanged", before]);
  });

  test("a changed ring changes the labels without a restart", () => {
    const before = pid();
    assert.equal(apply({ ...old, ring: "broad" }).result, "applied");
    assert.equal(pid(), before);
    assert.match(device.sh(`${kubectl} get node edge-0001 -o labels`), /^edge-fleet\.dev\/ring=broad$/m);
  });

  test("a changed setting restarts the services once, and what it had replaced comes back when it goes", () => {
    device.sh(
      "sed -i 's/^--fail-swap-on.*/--resolv-conf=\\/etc\\/of-the-snap/' /var/snap/microk8s/current/args/kubelet",
    );
    const before = pid();
    const changed: Profile = {
      ...old,
      kubelet: { maxPods: 40 },
      network: { ...old.network, resolvConf: "/etc/edge-resolv.conf" },
    };
    assert.equal(apply(changed).result, "applied");
    device.assertIs(changed);
    const restarted = pid();
    assert.notEqual(restarted, before);
    const kept = device.argumentsOf("kubelet");
    assert.ok(kept.includes("--resolv-conf=/etc/edge-resolv.conf") && !kept.includes("--resolv-conf=/etc/of-the-snap"));
    assert.deepEqual([apply(changed).result, pid()], ["unchanged", restarted]);
    assert.equal(apply(old).result, "applied");
    assert.ok(device.argumentsOf("kubelet").includes("--resolv-conf=/etc/of-the-snap"));
    device.assertIs(old);
  });

  test("a runtime that leaves the inventory leaves containerd's configuration", () => {
    assert.equal(apply({ ...old, wasm: [] }).result, "applied");
    device.sh(
      "! grep -q spin /var/snap/microk8s/current/args/containerd.toml; ! ls /usr/local/bin/containerd-shim-* 2>/dev/null",
    );
    assert.equal(
      device.sh("cat /var/snap/microk8s/current/args/containerd-template.toml"),
      'version = 2\noom_score = 0\n[plugins."io.containerd.grpc.v1.cri"]\n  enable_selinux = false',
    );
    assert.equal(apply(old).result, "applied");
  });

  test("mirrors come and go, and leave the snap's own", () => {
    const mirrored = { ...old, registries: { "ghcr.io": { endpoints: ["https://mirror.example.com"] } } };
    const ours = "/var/snap/microk8s/current/args/certs.d/ghcr.io/hosts.toml";
    assert.equal(apply(mirrored).result, "applied");
    assert.match(device.sh(`cat ${ours}`), /^# edge-fleet\nserver = "https:\/\/ghcr\.io"\n/);
    assert.equal(apply(old).result, "applied");
    device.sh(`! test -e ${ours}; test -s /var/snap/microk8s/current/args/certs.d/docker.io/hosts.toml`);
  });

  test("each mirror has its own account, which root alone can read and no log tells", () => {
    const registries = {
      "docker.io": { endpoints: ["https://mirror.example.com"], username: "edge", passwordSecret: "mirror" },
      "ghcr.io": { endpoints: ["https://other.example.com"] },
      "quay.io": { endpoints: ["https://mirror.example.com"] },
    };
    const folder = "/var/snap/microk8s/current/args/certs.d";
    const before = pid();
    assert.equal(apply({ ...old, registries }).result, "applied");
    assert.equal(pid(), before, "containerd reads them at each pull");
    const header = `Authorization = "Basic ${Buffer.from(`edge:${PASSWORD}`).toString("base64")}"`;
    for (const [registry, server] of [
      ["docker.io", "registry-1.docker.io"],
      ["ghcr.io", "ghcr.io"],
      ["quay.io", "quay.io"],
    ] as const) {
      const text = device.sh(`cat ${folder}/${registry}/hosts.toml`);
      assert.ok(text.includes(`server = "https://${server}"\n`), text);
      assert.equal(text.includes(header), registry !== "ghcr.io");
      assert.equal(device.sh(`stat -c '%a %u' ${folder}/${registry}/hosts.toml`), "600 0");
    }
    const logged = device.sh("cat /var/log/edge-fleet/*");
    assert.ok(!logged.includes(PASSWORD) && !logged.includes(header.slice(-12, -1)));
    assert.equal(apply(old).result, "applied");
    device.sh(`! test -e ${folder}/quay.io/hosts.toml`);
  });

  test("a release that never becomes ready goes back to the revision before, with its data", () => {
    device.sh("echo old >/var/snap/microk8s/current/var/kubernetes/backend/state.db");
    const { result, reason } = apply({ ...profileWith(BROKEN), readiness: { timeoutSeconds: 2 } });
    assert.equal(result, "rolled-back", reason);
    assert.match(reason, /^not-ready: .* after 2 s; back on the previous state$/);
    device.assertIs(old);
    assert.equal(device.sh("cat /var/snap/microk8s/current/var/kubernetes/backend/state.db"), "old");
    device.sh("echo newer >/var/snap/microk8s/current/var/kubernetes/backend/state.db");
    assert.equal(apply({ ...profileWith(BROKEN), readiness: { timeoutSeconds: 2 } }).result, "rolled-back");
    assert.equal(device.sh("cat /var/snap/microk8s/8005/var/kubernetes/backend/state.db"), "newer");
  });

  test("a new release takes the data along and keeps the arguments, and a later snapd", () => {
    device.installSnap(NEW_SNAPD);
    assert.equal(apply(profileWith(NEW)).result, "applied");
    device.assertIs(profileWith(NEW));
    assert.equal(device.sh("cat /var/snap/microk8s/current/var/kubernetes/backend/state.db"), "newer");
    assert.equal(snapdRevision(), "27000");
  });

  test("a certificate that is about to end is renewed by the maintenance", () => {
    device.sh("echo 20 >/var/snap/microk8s/current/certs/days; rm -f /var/lib/edge-fleet/certificates");
    device.sh("edge-fleet-device maintain");
    assert.equal(device.sh("cat /var/snap/microk8s/current/certs/days"), "365");
    device.assertIs(profileWith(NEW));
  });

  test("the maintenance copies the datastore while it runs, and it goes on", () => {
    const copies = device.sh("cat /var/lib/edge-fleet/backups/*/backend/state.db");
    assert.equal(copies.split("\n").at(-1), "newer");
    const dqlite = device.sh("systemctl show -p MainPID --value snap.microk8s.daemon-k8s-dqlite");
    assert.match(device.sh(`sed 's/.*) //' /proc/${dqlite}/stat`), /^[RS] /, "is not halted");
  });

  test("a copy is restored, with the key of its secrets, and what was there is kept", () => {
    const state = "/var/snap/microk8s/current/var/kubernetes/backend/state.db";
    const key = "/etc/edge-fleet/microk8s/encryption.yaml";
    const before = device.sh(`cat ${state} ${key}`);
    device.sh(`echo lost >>${state}; echo lost >>${key}`);
    const { result, reason } = JSON.parse(device.sh("edge-fleet-device restore")) as Record<string, string>;
    assert.deepEqual([result, reason], ["restored", ""]);
    assert.equal(device.sh(`cat ${state} ${key}`), before);
    assert.match(device.sh("cat /var/lib/edge-fleet/backups/*-before/backend/state.db"), /\nlost$/);
    device.assertIs(profileWith(NEW));
  });

  test("another distribution is refused unless it may replace this one, which then is erased", () => {
    const next: Profile = { ...profileWith(NEW), distribution: "k0s", k0s: { ...old.k0s, version: K0S_VERSION } };
    assert.match(
      apply(next).reason,
      /^distribution: the device runs microk8s, the inventory says k0s - set replace: true/,
    );
    device.assertIs(profileWith(NEW));
    fillFirewall(device, "/snap/microk8s/current/sbin");
    assert.equal(apply({ ...next, replace: true }).result, "applied");
    assertFirewallIsOurs(device);
    assert.equal(device.sh("snap list microk8s 2>/dev/null; k0s kubectl get --raw=/readyz"), "ok");
    device.sh("! ls -d /var/snap/microk8s /etc/microk8s.yaml /etc/edge-fleet/microk8s 2>/dev/null");
    assert.equal(apply({ ...profileWith(NEW), replace: true }).result, "applied");
    device.assertIs(profileWith(NEW));
    device.sh("! ls -d /var/lib/k0s /etc/k0s /usr/local/bin/k0s 2>/dev/null");
  });

  test("a removal erases the snap and everything of ours", () => {
    device.sh("edge-fleet-device remove edge-0001 </dev/null");
    const left =
      "ls -d /snap/microk8s /var/snap/microk8s /etc/microk8s.yaml /etc/edge-fleet/microk8s /etc/systemd/system/snap.microk8s* 2>/dev/null; :";
    assert.equal(device.sh(left), "");
  });

  test("a first install that fails leaves no snap, and a snap that is not ours is left alone", () => {
    device.prepare();
    const { result, reason } = apply({ ...profileWith(BROKEN), readiness: { timeoutSeconds: 2 } });
    assert.equal(result, "rolled-back", reason);
    assert.equal(device.sh("snap list microk8s 2>/dev/null; :"), "");
    device.installSnap(RELEASES[OLD]);
    assert.match(apply(old).reason, /^foreign: microk8s was not installed by edge-fleet/);
    device.sh("snap list microk8s");
  });

  test("manifests, for which the snap has no folder, are applied by the program, and again when one is gone or has changed", () => {
    device.sh("snap remove microk8s --purge; :");
    device.wipe();
    const pulling = { ...old, gitops: gitopsOf("argocd") };
    assert.equal(apply(pulling).result, "applied");
    const list = "/var/snap/microk8s/current/var/kubernetes/backend/applied";
    const names = ["crd-application", "crd-appproject", "engine-argocd", "engine-secrets", "git"];
    const applied = () => device.sh(`cat ${list}`).split("\n");
    assert.deepEqual(
      applied(),
      names.map((name) => `edge-fleet-${name}.yaml`),
    );
    const [first, , , fourth] = applied();
    device.sh(
      `edge-fleet-device maintain; sed -i '/${first}/d' ${list}; echo '# changed' >>/var/lib/edge-fleet/manifests/${fourth}`,
    );
    const before = applied();
    device.sh("edge-fleet-device maintain");
    assert.deepEqual(applied(), [...before, first, fourth]);
    assert.equal(apply({ ...pulling, ring: "broad" }).result, "applied");
    assert.deepEqual(applied(), [...before, first, fourth]);
    assert.equal(device.sh("stat -c %a /var/lib/edge-fleet/manifests/applied/edge-fleet-engine-secrets.yaml"), "600");
  });
});
