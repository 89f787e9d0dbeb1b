/**
 * The rendered apply script, run as it is sent to a device, in a throw-away root with stand-ins for systemd and K3s,
 * under dash and under busybox ash.
 */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { ARTIFACT_STORE } from "../../components/device/artifact.ts";
import {
  BROKEN,
  CRASHING,
  Device,
  flannel,
  LOCK,
  lockFor,
  NEW,
  OLD,
  profileWith,
  RELEASES,
  readOutcome,
  SLOW,
  sha256,
} from "../lab/standins/apply-device.ts";
import { Sandbox, type SandboxShell } from "../lab/standins/sandbox.ts";
import { ARTIFACTS } from "../unit/device/profile.ts";

const KILL_STEPS = ["begin", "preflight", "stage", "backup", "swap", "activate", "gate", "commit", "end"];
const KILL_PUTS = Array.from({ length: 9 }, (_, index) => `put${index + 1}`);
const ROLLBACK_PUTS = Array.from({ length: 3 }, (_, index) => `restore${index + 1}`);

for (const shell of ["dash", "busybox"] satisfies SandboxShell[]) {
  describe(`apply script under ${shell}`, () => {
    let sandbox: Sandbox;
    let device: Device;
    const old = profileWith(OLD);

    before(async () => {
      sandbox = await Sandbox.start(shell);
      device = new Device(sandbox);
    });
    after(() => sandbox.stop());

    const install = (profile = old): void => {
      device.wipe();
      device.push(profile.k3s.version);
      assert.equal(device.apply(profile).result, "applied");
    };

    test("a bare device is installed, and every file has its mode", () => {
      install();
      device.assertIs(old);
      const modes = device.sh(`stat -c '%a %U:%G %n' /usr/local/bin/k3s /etc/rancher/k3s /etc/rancher/k3s/*.yaml \\
        /etc/rancher/k3s/config.yaml.d/* /var/lib/rancher /var/lib/rancher/k3s/agent/etc/kubelet.conf.d/* \\
        /etc/systemd/system/k3s.service /etc/sysctl.d/90-edge-fleet.conf /var/lib/edge-fleet \\
        /var/lib/edge-fleet/run/*/apply.sh /var/log/edge-fleet/apply.log`);
      assert.deepEqual(modes.replaceAll(/[0-9a-f]{64}/g, "<hash>").split("\n"), [
        "755 root:root /usr/local/bin/k3s",
        "755 root:root /etc/rancher/k3s",
        "600 root:root /etc/rancher/k3s/audit.yaml",
        "600 root:root /etc/rancher/k3s/config.yaml",
        "600 root:root /etc/rancher/k3s/k3s.yaml",
        "600 root:root /etc/rancher/k3s/psa.yaml",
        "600 root:root /etc/rancher/k3s/config.yaml.d/10-labels.yaml",
        "755 root:root /var/lib/rancher",
        "600 root:root /var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-edge-fleet.conf",
        "644 root:root /etc/systemd/system/k3s.service",
        "644 root:root /etc/sysctl.d/90-edge-fleet.conf",
        "700 root:root /var/lib/edge-fleet",
        "700 root:root /var/lib/edge-fleet/run/<hash>/apply.sh",
        "600 root:root /var/log/edge-fleet/apply.log",
      ]);
    });

    test("a second run changes nothing and restarts nothing", () => {
      install();
      const pid = device.pid();
      const journal = device.sh("cat /var/lib/edge-fleet/journal");
      const started = performance.now();
      const { result, reason } = device.apply(old);
      assert.deepEqual([result, reason], ["unchanged", ""]);
      assert.ok(performance.now() - started < 1000, "in less than a second");
      assert.equal(device.pid(), pid);
      assert.equal(device.sh("cat /var/lib/edge-fleet/journal"), journal);
    });

    test("a changed setting restarts the service once", () => {
      install();
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
      install();
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
      install();
      device.sh("echo 'flannel-backend: none' >/etc/rancher/k3s/config.yaml");
      assert.equal(device.apply(old).result, "applied");
      device.assertIs(old);
    });

    test("a stopped service is started", () => {
      install();
      device.sh("systemctl stop k3s");
      assert.equal(device.apply(old).result, "applied");
      device.assertIs(old);
    });

    test("a new release replaces the old one and keeps the datastore", () => {
      install();
      const database = device.sh("cat /var/lib/rancher/k3s/server/db/state.db");
      device.push(NEW);
      assert.equal(device.apply(profileWith(NEW)).result, "applied");
      device.assertIs(profileWith(NEW));
      assert.equal(device.sh("cat /var/lib/rancher/k3s/server/db/state.db"), database);
      assert.equal(device.sh("ls /var/lib/edge-fleet/artifacts"), sha256(RELEASES[NEW] ?? ""));
    });

    test("a damaged artifact is refused and removed, and the old release goes on", () => {
      install();
      const pid = device.pid();
      device.push(NEW, "not the release");
      const { result, reason } = device.apply(profileWith(NEW));
      assert.equal(result, "failed");
      assert.match(reason, /^checksum: .* - run edge-fleet push tokyo$/);
      assert.equal(device.pid(), pid);
      assert.doesNotMatch(device.sh("ls /var/lib/edge-fleet/artifacts"), new RegExp(sha256(RELEASES[NEW] ?? "")));
      device.assertIs(old);
      assert.equal(device.apply(old).result, "unchanged");
    });

    test("an artifact that was not pushed is named with its mend", () => {
      device.wipe();
      const { result, reason } = device.apply(old);
      assert.equal(result, "failed");
      assert.match(reason, /^artifact-missing: v1\.36\.2\+k3s1 .* - run edge-fleet push tokyo$/);
    });

    for (const [broken, fault] of [
      [BROKEN, "never becomes ready"],
      [CRASHING, "crashes"],
    ] as const) {
      const changes = { readiness: { timeoutSeconds: 2 } };
      test(`a release that ${fault} is rolled back to the one that worked`, () => {
        install();
        device.push(broken);
        const { result, reason } = device.apply(flannel(profileWith(broken, changes), "vxlan"));
        assert.equal(result, "rolled-back", reason);
        assert.match(reason, /^not-ready: .* after 2 s; back on the previous state$/);
        device.assertIs(old);
        assert.equal(device.apply(old).result, "unchanged");
      });

      test(`a first install that ${fault} leaves nothing enabled and keeps the datastore`, () => {
        device.wipe();
        device.push(broken);
        const { result, reason } = device.apply(profileWith(broken, changes));
        assert.equal(result, "rolled-back", reason);
        assert.match(reason, /nothing was there before$/);
        assert.equal(device.pid(), "0");
        device.sh(
          "! systemctl is-enabled k3s >/dev/null; ! ls /usr/local/bin/k3s /etc/systemd/system/k3s.service 2>/dev/null",
        );
        assert.equal(device.sh("find /etc/rancher -type f -name '*.yaml' ! -name k3s.yaml"), "");
        device.assertTidy();
        if (broken === BROKEN) device.sh("test -s /var/lib/rancher/k3s/server/db/state.db");
        device.push(OLD);
        assert.equal(device.apply(old).result, "applied");
        device.assertIs(old);
      });
    }

    test("preflight names every finding at once", () => {
      device.wipe();
      device.push(OLD);
      device.sh(
        "mv /sys/fs/cgroup/cgroup.controllers /tmp/c; rmdir /run/systemd/system; mkdir -p /etc/rancher/k3s; echo 'datastore-endpoint: mysql://' >/etc/rancher/k3s/config.yaml",
      );
      const { result, reason } = device.apply(old);
      device.sh("mv /tmp/c /sys/fs/cgroup/cgroup.controllers; mkdir /run/systemd/system");
      assert.equal(result, "failed");
      assert.deepEqual(
        reason.split("; ").map((finding) => finding.split(":")[0]),
        ["cgroup", "init", "datastore"],
      );
    });

    test("a minor release back is refused before anything changes", () => {
      install();
      const older = "v1.35.9+k3s1";
      const lock = { k3s: { ...LOCK.k3s, [older]: { ...LOCK.k3s?.[OLD] } } };
      const { reason } = device.apply(profileWith(older), lock);
      assert.match(reason, /^downgrade: v1\.36 to v1\.35 /);
      device.assertIs(old);
    });

    test("runs of the same state follow one run; a run of another state waits for the lock", async () => {
      device.wipe();
      device.push(SLOW);
      const slow = profileWith(SLOW);
      const other = flannel(slow, "vxlan");
      const running = device.start(slow);
      await new Promise((resolve) => setTimeout(resolve, 500));
      const outcomes = await Promise.all([running, device.start(slow), device.start(other)]);
      assert.deepEqual(
        outcomes.map((outcome) => readOutcome(outcome).result),
        ["applied", "applied", "applied"],
      );
      device.assertIs(other);
      assert.equal(device.sh("grep -c 'swap begin' /var/log/edge-fleet/apply.log"), "2");
    });

    test("a lock of a dead run or of another boot does not hold", () => {
      install();
      for (const owner of ["1.other-boot", "999999.$(cat /proc/sys/kernel/random/boot_id)"]) {
        device.sh(`ln -s "${owner}" /var/lib/edge-fleet/lock`);
        const next = flannel(old, owner.startsWith("1.") ? "vxlan" : "host-gw");
        assert.equal(device.apply(next).result, "applied");
        device.assertIs(next);
      }
    });

    test("a connection that ends leaves the run going", async () => {
      device.wipe();
      device.push(OLD);
      const { create, stdin } = device.packed(old);
      sandbox.run(`${create.replace("timeout -k 10", "timeout -s KILL").replace('"$limit"', "0.8")}`, stdin);
      assert.equal(device.apply(old).reason, "");
      device.assertIs({ ...old });
      device.sh("rm -f /tmp/tmp.*");
    });

    test("a fetch resumes what is there, and a wrong file is refused", async () => {
      device.wipe();
      const ranges: (string | undefined)[] = [];
      let body = RELEASES[OLD] ?? "";
      const server = createServer((request, response) => {
        ranges.push(request.headers.range);
        const first = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
        const headers = { "content-range": `bytes ${first}-${body.length - 1}/${body.length}` };
        response.writeHead(first > 0 ? 206 : 200, first > 0 ? headers : {}).end(body.slice(first));
      }).listen(0, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      const lock = lockFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      const fetching = profileWith(OLD, { artifacts: { ...ARTIFACTS, delivery: "fetch", mirror: undefined } });
      try {
        sandbox.write(`${ARTIFACT_STORE}/${sha256(body)}.part`, body.slice(0, 1000));
        assert.equal(readOutcome(await device.start(fetching, lock)).result, "applied");
        assert.deepEqual(ranges, ["bytes=1000-"]);
        device.assertIs(fetching);
        body = body.replace("Stand-in", "Tampered");
        device.wipe();
        const { result, reason } = readOutcome(await device.start(fetching, lock));
        assert.equal(result, "failed");
        assert.match(reason, /^checksum: http/);
        assert.equal(device.sh("ls /var/lib/edge-fleet/artifacts"), "");
      } finally {
        server.close();
      }
    });

    test("a first install that is killed anywhere is finished by the next run", () => {
      for (const point of [...KILL_STEPS, ...KILL_PUTS]) {
        device.wipe();
        device.push(OLD);
        device.killAt(point);
        assert.match(device.apply(old).reason, /^interrupted: /, point);
        device.killAt("");
        const { result, reason } = device.apply(old);
        assert.ok(["applied", "unchanged"].includes(result), `${point}: ${reason}`);
        device.assertIs(old);
      }
    });

    test("an upgrade that is killed anywhere is finished by the next run, or undone by a run of the former state", () => {
      const next = flannel(profileWith(NEW), "vxlan");
      install();
      let [present, target] = [old, next];
      for (const point of [...KILL_STEPS, ...KILL_PUTS]) {
        for (const then of ["finish", "undo"] as const) {
          device.push(target.k3s.version);
          device.killAt(point);
          assert.match(device.apply(target).reason, /^interrupted: /, point);
          device.killAt("");
          const final = then === "finish" ? target : present;
          device.push(final.k3s.version);
          const { result, reason } = device.apply(final);
          assert.ok(["applied", "unchanged"].includes(result), `${then} after ${point}: ${reason}`);
          device.assertIs(final);
          if (then === "finish") [present, target] = [target, present];
        }
      }
    });

    test("a rollback that is killed anywhere is finished by the next run", () => {
      const broken = flannel(profileWith(BROKEN, { readiness: { timeoutSeconds: 1 } }), "vxlan");
      for (const point of ["rollback", ...ROLLBACK_PUTS]) {
        install();
        device.push(BROKEN);
        device.killAt(point);
        assert.match(device.apply(broken).reason, /^interrupted: /, point);
        device.killAt("");
        const { result, reason } = device.apply(old);
        assert.ok(["applied", "unchanged"].includes(result), `${point}: ${reason}`);
        device.assertIs(old);
      }
    });
  });
}
