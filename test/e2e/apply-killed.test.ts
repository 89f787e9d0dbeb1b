/** The device program killed with SIGKILL at every step and file, and several controllers at once. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import type { Profile } from "../../components/inventory/types.ts";
import { countFaults } from "../lab/faults.ts";
import {
  BROKEN,
  type Device,
  flannel,
  lockFor,
  NEW,
  OLD,
  profileWith,
  RELEASES,
  readOutcome,
  SLOW,
  underEachShell,
} from "../lab/standins/apply-device.ts";
import { finishAfterKill, killPoints } from "../lab/standins/kills.ts";
import { freePort } from "../unit/cli/sshd.ts";
import { ARTIFACTS } from "../unit/device/profile.ts";

const ROLLBACK_PUTS = Array.from({ length: 3 }, (_, index) => `restore${index + 1}`);
const old = profileWith(OLD);
const faults = countFaults();

underEachShell("interruptions", (get, shell) => {
  test("runs of the same state follow one run; a run of another state waits for the lock", () =>
    faults.survive("several controllers", async () => {
      const { device } = get();
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
    }));

  test("a lock of a dead run or of another boot does not hold", () => {
    const { device } = get();
    device.install(old);
    for (const owner of ["1.other-boot", "999999.$(cat /proc/sys/kernel/random/boot_id)"])
      faults.survive("stale lock", () => {
        device.sh(`ln -s "${owner}" /var/lib/edge-fleet/lock`);
        const next = flannel(old, owner.startsWith("1.") ? "vxlan" : "host-gw");
        assert.equal(device.apply(next).result, "applied");
        device.assertIs(next);
      });
  });

  test("a connection that ends leaves the run going", () =>
    faults.survive("dropped connection", () => {
      const { device, sandbox } = get();
      const slow = profileWith(SLOW);
      device.wipe();
      device.push(SLOW);
      const { create, stdin } = device.packed(slow);
      sandbox.write("/tmp/create", create);
      const { code } = sandbox.run("timeout -s KILL 0.8 sh /tmp/create", stdin);
      assert.notEqual(code, 0);
      device.sh("rm -f /tmp/create");
      assert.equal(device.apply(slow).reason, "");
      device.assertIs(slow);
    }));

  test("a first install that is killed anywhere is finished by the next run", () => {
    const { device } = get();
    for (const point of killPoints(shell, "install")) {
      faults.survive("killed", () => {
        device.wipe();
        killThenApply(device, point, old, old);
      });
    }
  });

  test("a run that a boot tries again, earlier than the network, waits for the server from which it downloads", (context) =>
    faults.survive("power cut", async () => {
      const { device } = get();
      const port = await freePort();
      const lock = lockFor(`http://127.0.0.1:${port}`);
      const fetching: Profile = { ...old, artifacts: { ...ARTIFACTS, delivery: "fetch", mirror: undefined } };
      device.wipe();
      device.killAt("stage");
      assert.match(device.apply(fetching, lock).reason, /^interrupted: /);
      device.killAt("");
      device.powerCycle();
      await new Promise((resolve) => setTimeout(resolve, 4000));
      assert.equal(device.sh("cat /var/lib/edge-fleet/run/*/result 2>/dev/null || echo none"), "none");
      const server = createServer((_, response) => response.end(RELEASES[OLD])).listen(port, "127.0.0.1");
      context.after(() => server.close());
      await device.settle();
      device.assertIs(fetching);
      assert.equal(device.apply(fetching, lock).result, "unchanged");
    }));

  test("an upgrade that is killed anywhere is finished by the next run, or undone by a run of the former state", () => {
    const { device } = get();
    const next = flannel(profileWith(NEW), "vxlan");
    device.install(old);
    let [present, target] = [old, next];
    for (const point of killPoints(shell, "upgrade")) {
      for (const then of ["finish", "undo"] as const) {
        const final = then === "finish" ? target : present;
        faults.survive("killed", () => {
          killThenApply(device, point, target, final);
        });
        if (then === "finish") [present, target] = [target, present];
      }
    }
  });

  test("a rollback that is killed anywhere is finished by the next run", () => {
    const { device } = get();
    const broken = flannel(profileWith(BROKEN, { readiness: { timeoutSeconds: 1 } }), "vxlan");
    for (const point of ["rollback", ...ROLLBACK_PUTS]) {
      faults.survive("killed", () => {
        device.install(old);
        killThenApply(device, point, broken, old);
      });
    }
  });
});

/** Kills the run of a target at a point and applies the final state, which is then to be there. */
function killThenApply(device: Device, point: string, target: Profile, final: Profile): void {
  const apply = (profile: Profile) => {
    device.push(profile.k3s.version);
    return device.apply(profile);
  };
  finishAfterKill(device, point, target, final, apply);
}
