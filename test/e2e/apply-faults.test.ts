/**
 * The device program where something is wrong: artifacts, disk, the machine, or the new release. The device must
 * stay or come back as it was, and say what to do.
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { ARTIFACT_STORE } from "../../components/plan/artifact.ts";
import { countFaults } from "../lab/faults.ts";
import {
  BROKEN,
  CRASHING,
  flannel,
  lockFor,
  NEW,
  OLD,
  profileWith,
  RELEASES,
  readOutcome,
  sha256,
  underEachShell,
} from "../lab/standins/apply-device.ts";
import { ARTIFACTS } from "../unit/device/profile.ts";

const faults = countFaults();
const old = profileWith(OLD);

underEachShell("faults", (get) => {
  test("a damaged artifact is refused and removed, and the old release goes on", () =>
    faults.survive("wrong artifact", () => {
      const { device } = get();
      device.install(old);
      const pid = device.pid();
      device.push(NEW, "not the release");
      const { result, reason } = device.apply(profileWith(NEW));
      assert.equal(result, "failed");
      assert.match(reason, /^checksum: .* - run pulumi up again$/);
      assert.equal(device.pid(), pid);
      assert.doesNotMatch(device.sh("ls /var/lib/edge-fleet/artifacts"), new RegExp(sha256(RELEASES[NEW] ?? "")));
      device.assertIs(old);
      assert.equal(device.apply(old).result, "unchanged");
    }));

  test("an artifact that was not pushed is named with its fix", () =>
    faults.survive("missing artifact", () => {
      const { device } = get();
      device.wipe();
      const { result, reason } = device.apply(old);
      assert.equal(result, "failed");
      assert.match(reason, /^artifact-missing: the binary of v1\.36\.2\+k3s1 .* - run pulumi up again$/);
      device.push(OLD);
      assert.equal(device.apply(old).result, "applied");
      device.assertIs(old);
    }));

  test("preflight names every finding at once", () =>
    faults.survive(
      "unfit machine",
      () => {
        const { device } = get();
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
          ["init", "cgroup", "foreign"],
        );
        device.sh("rm /etc/rancher/k3s/config.yaml");
        assert.equal(device.apply(old).result, "applied");
        device.assertIs(old);
      },
      3,
    ));

  test("a fetch resumes what is there, and a wrong file is refused", () =>
    faults.survive("wrong artifact", async () => {
      const { device, sandbox } = get();
      device.wipe();
      const ranges: (string | undefined)[] = [];
      let body = RELEASES[OLD] ?? "";
      const server = createServer((request, response) => {
        if (request.method === "GET") ranges.push(request.headers.range);
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
        body = body.replace("Tampered", "Stand-in");
        assert.equal(readOutcome(await device.start(fetching, lock)).result, "applied");
        device.assertIs(fetching);
      } finally {
        server.close();
      }
    }));

  for (const [broken, fault, why] of [
    [BROKEN, "never becomes ready", /^not-ready: the API is not ready after 2 s; back on the previous state$/],
    [
      CRASHING,
      "crashes",
      /^not-ready: k3s does not run after 2 s; k3s says: the stand-in was told to crash; back on the previous state$/,
    ],
  ] as const) {
    const changes = { readiness: { timeoutSeconds: 2 } };
    test(`a release that ${fault} is rolled back to the one that worked`, () =>
      faults.survive("failing release", () => {
        const { device } = get();
        device.install(old);
        device.push(broken);
        const { result, reason } = device.apply(flannel(profileWith(broken, changes), "vxlan"));
        assert.equal(result, "rolled-back", reason);
        assert.match(reason, why);
        device.assertIs(old);
        assert.equal(device.apply(old).result, "unchanged");
      }));

    test(`a first install that ${fault} leaves nothing enabled and no data`, () =>
      faults.survive("failing release", () => {
        const { device } = get();
        device.wipe();
        device.push(broken);
        const { result, reason } = device.apply(profileWith(broken, changes));
        assert.equal(result, "rolled-back", reason);
        assert.match(reason, /; removed with its data, nothing was there before$/);
        assert.equal(device.pid(), "0");
        device.sh(
          "! systemctl is-enabled k3s >/dev/null; ! ls /usr/local/bin/k3s /etc/systemd/system/k3s.service 2>/dev/null",
        );
        assert.equal(device.sh("ls -d /etc/rancher /var/lib/rancher 2>/dev/null || :"), "");
        device.assertTidy();
        device.push(OLD);
        assert.equal(device.apply(old).result, "applied");
        device.assertIs(old);
      }));
  }

  test("a full disk stops a run before anything is changed", () =>
    faults.survive("full disk", () => {
      const { device } = get();
      device.install(old);
      const pid = device.pid();
      device.push(NEW);
      device.sh(`cp -a /var/lib/edge-fleet /tmp/state; mount -t tmpfs -o size=1m full /var/lib/edge-fleet
      cp -a /tmp/state/. /var/lib/edge-fleet/; rm -rf /tmp/state; dd if=/dev/zero of=/var/lib/edge-fleet/fill bs=1k 2>/dev/null || :`);
      const { result, reason } = device.apply(profileWith(NEW));
      device.sh("umount /var/lib/edge-fleet");
      assert.equal(result, "failed");
      assert.match(reason, /disk/);
      assert.equal(device.pid(), pid);
      device.assertIs(old);
      assert.equal(device.apply(profileWith(NEW)).result, "applied");
      device.assertIs(profileWith(NEW));
    }));

  test("a disk that fills up in the middle of a swap brings the former state back", () =>
    faults.survive("full disk", () => {
      const { device } = get();
      device.install(old);
      device.sh(`cp -a /etc/rancher /tmp/rancher; mount -t tmpfs -o size=64k full /etc/rancher; cp -a /tmp/rancher/. /etc/rancher/
      rm -rf /tmp/rancher; dd if=/dev/zero of=/etc/rancher/fill bs=1k 2>/dev/null || :`);
      const { result, reason } = device.apply(flannel(old, "vxlan"));
      assert.equal(result, "rolled-back", reason);
      assert.match(reason, /^swap: a command failed .*; back on the previous state$/);
      device.assertIs(old);
      device.sh(
        "cp -a /etc/rancher /tmp/rancher; umount /etc/rancher; cp -a /tmp/rancher/. /etc/rancher/; rm -rf /tmp/rancher /etc/rancher/fill",
      );
      device.assertIs(old);
      assert.equal(device.apply(flannel(old, "vxlan")).result, "applied");
      device.assertIs(flannel(old, "vxlan"));
    }));

  test("a download that ends early is resumed by the next run", () =>
    faults.survive("cut download", async () => {
      const { device } = get();
      device.wipe();
      const body = RELEASES[OLD] ?? "";
      let cut = true;
      const server = createServer((request, response) => {
        const first = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
        const headers = {
          "content-range": `bytes ${first}-${body.length - 1}/${body.length}`,
          "content-length": body.length - first,
        };
        response.writeHead(first > 0 ? 206 : 200, headers);
        if (!cut) return response.end(body.slice(first));
        response.write(body.slice(first, first + 500), () => response.destroy());
        return response;
      }).listen(0, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      const lock = lockFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      const fetching = profileWith(OLD, { artifacts: { ...ARTIFACTS, delivery: "fetch", mirror: undefined } });
      try {
        assert.match(
          readOutcome(await device.start(fetching, lock)).reason,
          /^download: .*, then run again: it resumes$/,
        );
        device.sh("test -s /var/lib/edge-fleet/artifacts/*.part");
        cut = false;
        assert.equal(readOutcome(await device.start(fetching, lock)).result, "applied");
        device.assertIs(fetching);
      } finally {
        server.close();
      }
    }));
});
