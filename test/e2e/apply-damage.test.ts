/**
 * What a worn card does: installed files that change by themselves. Each is compared with its sum once a day and before
 * every run that touches something, and is put back from the store's own copy; the log tells of it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ArtifactsLock } from "../../components/inventory/schema.ts";
import { ARTIFACT_STORE } from "../../components/plan/artifact.ts";
import { countFaults } from "../lab/faults.ts";
import {
  BROKEN,
  flannel,
  LOCK,
  locked,
  OLD,
  profileWith,
  RELEASES,
  sha256,
  underEachShell,
} from "../lab/standins/apply-device.ts";
import { shimArchive } from "../lab/standins/shim.ts";

const faults = countFaults();
const old = profileWith(OLD);
const K3S = "/usr/local/bin/k3s";
const SHIM_PATH = "/usr/local/bin/containerd-shim-spin-v2";
const SHIM = shimArchive("#!/bin/sh\n# shim\n");
const PROGRAM = "/usr/local/sbin/edge-fleet-device";
const STORED = `${ARTIFACT_STORE}/${sha256(RELEASES[OLD] ?? "")}`;
/** In the place, as a flipped bit: the file stays the same inode. */
const damage = (path: string): string => `echo '# damaged' >>${path}`;
const aDayLater = "touch -t 202601010000 /var/lib/edge-fleet/whole";

underEachShell("a damaged file", (get) => {
  const sum = (path: string): string => get().device.sh(`sha256sum <${path} | cut -d ' ' -f 1`);
  const log = (): string => get().device.sh("cat /var/log/edge-fleet/apply.log");

  test("the store's copy is one of its own, and so damage to the installed file is none to the store's", () => {
    const { device } = get();
    device.install(old);
    assert.notEqual(device.sh(`stat -c %i ${K3S}`), device.sh(`stat -c %i ${STORED}`));
    device.sh(damage(K3S));
    assert.equal(sum(STORED), sha256(RELEASES[OLD] ?? ""));
  });

  test("maintenance puts it back once a day without a restart, and the next change warns that the disk wears out", () =>
    faults.survive("damaged file", () => {
      const { device } = get();
      device.install(old);
      assert.doesNotMatch(log(), /damaged/);
      const pid = device.pid();
      device.sh(`${PROGRAM} maintain; ${damage(K3S)}; ${PROGRAM} maintain`);
      assert.notEqual(sum(K3S), sha256(RELEASES[OLD] ?? ""));
      device.sh(`${aDayLater}; ${PROGRAM} maintain`);
      device.assertIs(old);
      assert.equal(device.pid(), pid);
      assert.match(log(), /\/usr\/local\/bin\/k3s was damaged and was put back$/m);
      assert.equal(device.apply(old).result, "unchanged");
      assert.equal(device.apply(flannel(old, "vxlan")).result, "applied");
      assert.match(
        log(),
        /warning: damaged-file: \d{4}-\d\d-\d\d: \/usr\/local\/bin\/k3s was damaged and was put back - /,
      );
    }));

  test("a shim, which is installed unpacked, is put back from its archive", () =>
    faults.survive("damaged file", () => {
      const { device } = get();
      device.install(old);
      device.store(SHIM);
      const spin = profileWith(OLD, { wasm: ["spin"] });
      const lock: ArtifactsLock = {
        ...LOCK,
        wasm: { spin: { version: "v1", amd64: locked(SHIM), arm64: locked(SHIM) } },
      };
      assert.equal(device.apply(spin, lock).result, "applied");
      const whole = sum(SHIM_PATH);
      device.sh(`${damage(SHIM_PATH)}; ${PROGRAM} maintain`);
      assert.equal(sum(SHIM_PATH), whole);
      assert.equal(device.sh(`stat -c '%a %U' ${SHIM_PATH}`), "755 root");
      device.assertTidy();
    }));

  test("where the store's copy is damaged too, the next apply brings the file anew", () =>
    faults.survive("damaged file", () => {
      const { device } = get();
      device.install(old);
      device.sh(`${damage(K3S)}; ${damage(STORED)}; ${PROGRAM} maintain`);
      assert.match(log(), /k3s is damaged, and so is its copy$/m);
      const { result, reason } = device.apply(old);
      assert.equal(result, "failed");
      assert.match(reason, /^checksum: the pushed binary of \S+ is damaged and was removed/);
      device.push(OLD);
      const again = device.apply(old);
      assert.equal(again.result, "applied", again.reason);
      device.assertIs(old);
      assert.equal(device.apply(old).result, "unchanged");
    }));

  test("a release that fails on a damaged device is rolled back to a file that is whole", () =>
    faults.survive("damaged file", () => {
      const { device } = get();
      device.install(old);
      device.sh(damage(K3S));
      device.push(BROKEN);
      const { result, reason } = device.apply(profileWith(BROKEN, { readiness: { timeoutSeconds: 2 } }));
      assert.equal(result, "rolled-back", reason);
      device.assertIs(old);
    }));
});
