/**
 * What brings a device with OpenRC back: the next run, the watchdog, and the boot after a power cut. In a throw-away root
 * with stand-ins for OpenRC and K3s, under dash and under busybox ash.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Profile } from "../../components/inventory/types.ts";
import { BROKEN, flannel, NEW, underEachShellAs } from "../lab/standins/apply-device.ts";
import { halfOf } from "../lab/standins/kills.ts";
import { OpenrcDevice, openrcProfile } from "../lab/standins/openrc-device.ts";

const old = openrcProfile();
const next = flannel(openrcProfile(NEW), "vxlan");

underEachShellAs(OpenrcDevice, "recovery with OpenRC", (get, shell) => {
  test("an upgrade that is killed is finished by the next run, or undone by a run of the former state", () => {
    const { device } = get();
    device.install(old);
    let [present, target] = [old, next];
    for (const point of halfOf(["stage", "swap", "put4", "activate", "gate", "commit"], shell)) {
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

  test("the watchdog ends a run that takes too long and one that has died, and one server is left", async () => {
    const { device } = get();
    device.install(old);
    device.push(BROKEN);
    const hanging = (seconds: number): Profile =>
      flannel(
        openrcProfile(BROKEN, { readiness: { timeoutSeconds: 300 }, rollback: { afterSeconds: seconds } }),
        "vxlan",
      );
    const { result, reason } = device.apply(hanging(2));
    assert.equal(result, "rolled-back");
    assert.match(reason, /^expired: the run did not end within its time; back on the previous state$/);
    device.assertIs(old);
    device.killAt("gate");
    assert.match(device.apply(hanging(3)).reason, /^interrupted: /);
    device.killAt("");
    await device.settle();
    device.assertIs(old);
  });

  test("a run that ends in time disarms its watchdog", () => {
    const { device } = get();
    device.install(openrcProfile(undefined, { rollback: { afterSeconds: 2 } }));
    const pid = device.pid();
    device.sh("sleep 2.5");
    assert.equal(device.pid(), pid);
    assert.doesNotMatch(device.sh("cat /var/log/edge-fleet/apply.log"), /expired/);
  });

  for (const point of halfOf(["backup", "swap", "put9", "activate", "gate", "end"], shell)) {
    test(`a power cut at ${point}: the device boots into its former state, and the run is finished`, async () => {
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
    });
  }

  test("a run that ends two boots is undone", async () => {
    const { device } = get();
    device.install(old);
    device.push(NEW);
    device.killAt("activate");
    assert.match(device.apply(next).reason, /^interrupted: /);
    device.powerCycle();
    device.sh(
      "n=0; until tail -n 1 /var/lib/edge-fleet/journal | grep -q ^activate; do n=$((n + 1)); [ $n -lt 100 ]; sleep 0.1; done; sleep 0.3",
    );
    device.killAt("");
    device.powerCycle();
    await device.settle();
    device.assertIs(old);
    assert.match(device.sh("cat /var/lib/edge-fleet/run/*/result"), /"rolled-back".*two boots interrupted the run/);
  });

  test("a boot without a run under way starts the service and nothing else", () => {
    const { device } = get();
    device.install(old);
    const journal = device.sh("cat /var/lib/edge-fleet/journal");
    device.powerCycle();
    device.sh("sleep 1.2");
    device.assertIs(old);
    assert.equal(device.sh("cat /var/lib/edge-fleet/journal"), journal);
  });
});
