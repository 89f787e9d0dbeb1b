/** What the device program does by itself, in time, and with artifacts of every kind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import type { ArtifactsLock } from "../../components/inventory/schema.ts";
import {
  type Device,
  flannel,
  LOCK,
  NEW,
  OLD,
  profileWith,
  RELEASES,
  sha256,
  underEachShell,
} from "../lab/standins/apply-device.ts";
import { shimArchive } from "../lab/standins/shim.ts";
import { ARTIFACTS } from "../unit/device/profile.ts";

const old = profileWith(OLD);
const DATA = "/var/lib/rancher/k3s";
const SHIM = "/usr/local/bin/containerd-shim-spin-v2";

function lockWith(shim: string, images: string): ArtifactsLock {
  const file = (sum: string, name: string) => ({ url: `http://127.0.0.1:9/${name}`, sha256: sum, size: 1000 });
  const both = (sum: string, name: string) => ({ amd64: file(sum, name), arm64: file(sum, name) });
  const release = LOCK.k3s?.[OLD];
  return {
    k3s: { ...LOCK.k3s, [OLD]: { ...release, images: both(images, "images.tar.zst") } },
    wasm: { spin: { version: "v1", ...both(shim, "spin.tar.gz") } },
  };
}

const maintain = (device: Device): string =>
  device.sh(`${PROGRAM_PATH} maintain; tail -n 3 /var/log/edge-fleet/apply.log`);

underEachShell("artifacts and maintenance", (get) => {
  const full = {
    ...old,
    wasm: ["spin"] as const,
    artifacts: { ...ARTIFACTS, delivery: "push", images: true } as const,
  };

  test("a shim is unpacked, images are imported, and both are replaced and removed with the setting", () => {
    const { device } = get();
    device.wipe();
    device.push(OLD);
    const lock = lockWith(device.store(shimArchive("#!/bin/sh\nexec sleep 1000\n")), device.store("images one"));
    assert.equal(device.apply(full, lock).reason, "");
    device.sh(`grep -q "runtimes.'spin'" ${DATA}/agent/etc/containerd/config.toml`);
    assert.equal(
      device.sh(`stat -c '%a %U' ${SHIM}; cat ${DATA}/agent/images/edge-fleet.tar.zst`),
      "755 root\nimages one",
    );
    assert.equal(device.apply(full, lock).result, "unchanged");
    device.assertIs(full);

    const newer = lockWith(device.store(shimArchive("#!/bin/sh\nexec sleep 2000\n")), device.store("images two"));
    assert.equal(device.apply(full, newer).reason, "");
    assert.equal(device.sh(`sed -n 2p ${SHIM}; cat ${DATA}/agent/images/*`), "exec sleep 2000\nimages two");

    device.sh(`cp /bin/sleep ${SHIM}; setsid ${SHIM} 1000 >/dev/null 2>&1 & sleep 0.3; echo $! >/tmp/shim`);
    assert.equal(device.apply(old).reason, "");
    assert.equal(device.sh(`ls ${SHIM} ${DATA}/agent/images/* 2>/dev/null || :`), "");
    device.sh(`! readlink /proc/$(cat /tmp/shim)/exe 2>/dev/null; rm /tmp/shim`);
    device.assertIs(old);
  });

  test("an archive without the shim is refused, and nothing is changed", () => {
    const { device } = get();
    device.install(old);
    const lock = lockWith(device.store(shimArchive("x", "another-binary")), device.store("images"));
    const { result, reason } = device.apply(full, lock);
    assert.equal(result, "failed");
    assert.match(reason, /^shim: containerd-shim-spin-v2 is not in .* - correct artifacts\.lock\.yaml$/);
    device.assertIs(old);
  });

  test("a runtime that containerd does not know fails the gate", () => {
    const { device } = get();
    device.install(old);
    device.sh(
      `mkdir -p ${DATA}/agent/etc/containerd; rm -rf ${DATA}/agent/etc/containerd/config.toml; mkdir ${DATA}/agent/etc/containerd/config.toml`,
    );
    const lock = lockWith(device.store(shimArchive("#!/bin/sh\n")), device.store("images"));
    const { reason } = device.apply({ ...full, readiness: { timeoutSeconds: 2 } }, lock);
    device.sh(`rmdir ${DATA}/agent/etc/containerd/config.toml`);
    assert.match(reason, /^not-ready: (containerd does not know the WASM runtime spin|k3s does not run)/);
  });

  test("the former release is kept until a boot has come up with the new one, and what shims use for longer", () => {
    const { device } = get();
    device.install(old);
    device.push(NEW);
    device.sh(`mkdir -p ${DATA}/data/aaa/bin ${DATA}/data/bbb/bin ${DATA}/data/ccc; ln -s ${DATA}/data/ccc ${DATA}/data/current
      cp /bin/sleep ${DATA}/data/bbb/bin/containerd-shim-runc-v2`);
    const next = profileWith(NEW);
    assert.equal(device.apply(next).result, "applied");
    const kept = () =>
      device.sh(
        `ls /var/lib/edge-fleet/artifacts; ls ${DATA}/data; ls -d /var/lib/edge-fleet/previous 2>/dev/null || :`,
      );
    const before = kept();
    maintain(device);
    assert.equal(kept(), before);
    device.newBoot();
    device.sh(`setsid ${DATA}/data/bbb/bin/containerd-shim-runc-v2 1000 >/dev/null 2>&1 & sleep 0.3`);
    maintain(device);
    assert.equal(kept(), `${sha256(RELEASES[NEW] ?? "")}\nbbb\nccc\ncurrent`);
    device.assertIs(next);
    assert.equal(device.apply(next).result, "unchanged");
    assert.equal(device.apply(flannel(next, "vxlan")).result, "applied");
    device.sh(`kill -9 $(cat /proc/[0-9]*/task/*/children | tr ' ' '\\n' | while read -r p; do
      case $(readlink /proc/$p/exe 2>/dev/null) in ${DATA}/*) echo $p ;; esac; done) 2>/dev/null || :`);
  });

  test("the datastore is copied as often as asked for, with its token, and no more copies are kept than asked for", () => {
    const { device } = get();
    device.install(profileWith(OLD, { backup: { everyHours: 2, keep: 2, push: undefined } }));
    device.sh(`echo token >${DATA}/server/token`);
    const copies = () => device.sh("ls /var/lib/edge-fleet/backups");
    maintain(device);
    const first = copies();
    assert.match(first, /^\d{8}T\d{6}Z$/);
    assert.equal(
      device.sh(`find /var/lib/edge-fleet/backups -type f ! -perm 600; cat /var/lib/edge-fleet/backups/*/token`),
      "token",
    );
    device.sh(`cmp /var/lib/edge-fleet/backups/*/db/state.db ${DATA}/server/db/state.db`);
    maintain(device);
    assert.equal(copies(), first, "the next one is not due yet");
    for (let copy = 0; copy < 3; copy++) {
      device.sh("touch -d @$(($(date +%s) - 3 * 3600)) /var/lib/edge-fleet/backups/*; sleep 1.1");
      maintain(device);
    }
    assert.equal(copies().split("\n").length, 2);
    assert.ok(!copies().includes(first));
  });

  test("a real database that is being written is copied whole, with and without SQLite's own command", () => {
    const { device } = get();
    device.install(old);
    const database = `${DATA}/server/db/state.db`;
    device.sh(`rm -f ${database}; sqlite3 ${database} 'pragma journal_mode=wal; create table kine (id integer primary key, value)' >/dev/null
      (i=0; while [ $i -lt 40 ]; do i=$((i + 1)); sqlite3 ${database} 'insert into kine (value) values (randomblob(2000))'; done) &
      sleep 0.3`);
    for (const hide of [
      "",
      "mkdir -p /tmp/bin; printf '#!/bin/sh\\nexit 1\\n' >/usr/local/bin/sqlite3; chmod 755 /usr/local/bin/sqlite3",
    ]) {
      device.sh(hide || ":");
      device.sh("rm -rf /var/lib/edge-fleet/backups");
      maintain(device);
      device.sh("rm -f /usr/local/bin/sqlite3; rm -rf /tmp/bin");
      const copied = device.sh(
        "cd /var/lib/edge-fleet/backups/*/db && sqlite3 state.db 'pragma integrity_check; select count(*) > 0 from kine'",
      );
      assert.equal(copied, "ok\n1");
    }
  });

  test("a certificate that is about to end restarts the service, once a month", () => {
    const { device } = get();
    device.install(old);
    const make = (days: number) =>
      device.sh(`mkdir -p ${DATA}/server/tls; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \\
      -nodes -subj /CN=x -days ${days} -keyout /dev/null -out ${DATA}/server/tls/client-admin.crt 2>/dev/null`);
    make(300);
    const pid = device.pid();
    maintain(device);
    assert.equal(device.pid(), pid);
    make(30);
    maintain(device);
    assert.equal(device.pid(), pid, "it was checked this month");
    device.sh("touch -d @$(($(date +%s) - 31 * 86400)) /var/lib/edge-fleet/certificates");
    assert.match(maintain(device), /a certificate ends within 120 days/);
    const restarted = device.pid();
    assert.notEqual(restarted, pid);
    maintain(device);
    assert.equal(device.pid(), restarted);
    device.assertIs(old);
  });

  test("a device that was never applied, or is being applied, is left alone", () => {
    const { device } = get();
    device.wipe();
    device.sh(`${PROGRAM_PATH} maintain; ${PROGRAM_PATH} recover`);
    assert.equal(device.sh("ls /var/lib/edge-fleet"), "");
    device.install(old);
    device.killAt("gate");
    device.apply(flannel(old, "vxlan"));
    device.killAt("");
    maintain(device);
    assert.equal(device.sh("ls /var/lib/edge-fleet | grep -c backups || :"), "0");
    assert.equal(device.apply(old).result, "applied");
  });
});
