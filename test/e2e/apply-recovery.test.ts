/**
 * What brings a device back that nobody reaches: the watchdog, the boot after a power cut, and the copy of the datastore.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { countFaults } from "../lab/faults.ts";
import {
  BROKEN,
  type Device,
  flannel,
  MIGRATING,
  NEW,
  OLD,
  profileWith,
  underEachShell,
} from "../lab/standins/apply-device.ts";
import { halfOf } from "../lab/standins/kills.ts";

const faults = countFaults();
const POWER_CUTS = ["stage", "backup", "swap", "put4", "put9", "activate", "gate", "commit", "end"];
const old = profileWith(OLD);
const next = flannel(profileWith(NEW), "vxlan");
const hanging = (seconds: number) =>
  flannel(profileWith(BROKEN, { readiness: { timeoutSeconds: 300 }, rollback: { afterSeconds: seconds } }), "vxlan");

underEachShell("recovery", (get, shell) => {
  test("the watchdog ends a run that takes too long, and the device is back on its former state", () =>
    faults.survive("hanging run", () => {
      const { device } = get();
      device.install(old);
      device.push(BROKEN);
      const { result, reason } = device.apply(hanging(2));
      assert.equal(result, "rolled-back");
      assert.match(reason, /^expired: the run did not end within its time; back on the previous state$/);
      device.assertIs(old);
      assert.equal(device.apply(old).result, "unchanged");
    }));

  test("the watchdog rolls back a run that died, without any connection", async () => {
    const { device } = get();
    device.install(old);
    device.push(BROKEN);
    for (const point of ["copied", "put3", "gate"])
      await faults.survive("killed", async () => {
        device.killAt(point);
        assert.match(device.apply(hanging(3)).reason, /^interrupted: /, point);
        device.killAt("");
        await device.settle();
        device.assertIs(old);
      });
  });

  test("a run that ends in time is left alone by the watchdog", async () => {
    const { device } = get();
    device.install(profileWith(OLD, { rollback: { afterSeconds: 2 } }));
    const pid = device.pid();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    assert.equal(device.pid(), pid);
    device.assertIs(old);
    assert.doesNotMatch(device.sh("cat /var/log/edge-fleet/apply.log"), /expired/);
  });

  for (const point of halfOf(POWER_CUTS, shell)) {
    test(`a power cut at ${point}: the device boots into its former state, and the run is finished`, () =>
      faults.survive("power cut", async () => {
        const { device } = get();
        device.install(old);
        device.push(NEW);
        device.killAt(point);
        assert.match(device.apply(next).reason, /^interrupted: /);
        device.killAt("");
        device.powerCycle();
        await device.settle();
        device.assertIs(next);
        assert.equal(device.apply(next).result, "unchanged");
      }));
  }

  for (const [point, result] of [
    ["activate", "rolled-back"],
    ["copied", "failed"],
  ] as const)
    test(`a run that ends two boots, both times at ${point}, is undone, and nothing of it is left`, () =>
      faults.survive(
        "power cut",
        async () => {
          const { device } = get();
          device.install(old);
          device.push(NEW);
          device.killAt(point);
          assert.match(device.apply(next).reason, /^interrupted: /);
          device.powerCycle();
          await new Promise((resolve) => setTimeout(resolve, 1500));
          await untilNoneRuns(device);
          device.killAt("");
          device.powerCycle();
          await device.settle();
          device.assertIs(old);
          const answer = device.sh("cat /var/lib/edge-fleet/run/*/result");
          assert.match(answer, new RegExp(`"${result}".*two boots interrupted the run`));
        },
        2,
      ));

  test("a datastore that cannot be read ends the run, and the half copy does not stay", () =>
    faults.survive("damaged file", () => {
      const { device } = get();
      device.install(old);
      device.push(NEW);
      const unreadable = "/var/lib/rancher/k3s/server/cred/encryption-config.json";
      device.sh(`touch ${unreadable}; mount --bind /proc/1/mem ${unreadable}`);
      const { result, reason } = device.apply(next);
      device.sh(`umount ${unreadable}`);
      assert.equal(result, "failed");
      assert.match(reason, /^backup: the datastore could not be copied - /);
      device.assertIs(old);
    }));

  test("a boot without a run under way changes nothing", () =>
    faults.survive("power cut", () => {
      const { device } = get();
      device.install(old);
      const journal = device.sh("cat /var/lib/edge-fleet/journal");
      device.powerCycle();
      assert.equal(device.sh("cat /var/lib/edge-fleet/journal"), journal);
      device.sh("sleep 1.2");
      device.assertIs(old);
    }));

  test("a release that changed the datastore and failed leaves the former one with the former datastore", () =>
    faults.survive("failing release", () => {
      const { device } = get();
      device.install(old);
      const database = device.sh("cat /var/lib/rancher/k3s/server/db/state.db");
      const token = device.sh("cat /var/lib/rancher/k3s/server/token");
      device.push(MIGRATING);
      const { result, reason } = device.apply(profileWith(MIGRATING, { readiness: { timeoutSeconds: 2 } }));
      assert.equal(result, "rolled-back", reason);
      assert.match(reason, /back on the previous state$/);
      device.assertIs(old);
      assert.equal(device.sh("cat /var/lib/rancher/k3s/server/db/state.db"), database);
      assert.equal(device.sh("cat /var/lib/rancher/k3s/server/token"), token);
      assert.equal(device.apply(old).result, "unchanged");
    }));

  test("a release that changed the datastore and was cut off by a power cut does so too", () =>
    faults.survive("power cut", async () => {
      const { device } = get();
      device.install(old);
      device.push(MIGRATING);
      device.killAt("gate");
      const slow = profileWith(MIGRATING, { readiness: { timeoutSeconds: 2 } });
      assert.match(device.apply(slow).reason, /^interrupted: /);
      device.killAt("");
      device.sh("sleep 0.5; grep -q migrated /var/lib/rancher/k3s/server/db/state.db");
      device.powerCycle();
      await device.settle();
      device.assertIs(old);
      device.sh("! grep -q migrated /var/lib/rancher/k3s/server/db/state.db");
      assert.equal(device.apply(old).result, "unchanged");
    }));

  test("the program itself may be replaced while a run is under way", () =>
    faults.survive("replaced program", async () => {
      const { device, sandbox } = get();
      device.wipe();
      device.push(OLD);
      const running = device.start(old);
      await new Promise((resolve) => setTimeout(resolve, 400));
      device.installProgram();
      assert.equal((await running).code, 0);
      device.assertIs(old);
      assert.equal(sandbox.run(`stat -c %a ${PROGRAM_PATH}`).stdout, "755\n");
    }));
});

/** The first boot's run has killed itself: on a busy machine that takes a while. */
async function untilNoneRuns(device: Device): Promise<void> {
  const alive = `for c in /proc/[0-9]*/cmdline; do
    case $(tr '\\0' ' ' <"$c" 2>/dev/null) in *edge-fleet-device" run "*) echo alive; break ;; esac
  done`;
  for (let tries = 0; device.sh(alive) !== ""; tries++) {
    assert.ok(tries < 300, "the run goes on");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
