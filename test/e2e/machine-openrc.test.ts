/**
 * The device program on a real machine with OpenRC: SysV init as PID 1, OpenRC's own scripts, supervise-daemon and
 * runlevels, cron, sshd, sudo and a disk that survives power cuts. K3s and K0s alone are stand-ins.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { countFaults } from "../lab/faults.ts";
import { MachineDevice } from "../lab/machines/device.ts";
import { enterMachines, Machine } from "../lab/machines/index.ts";
import { defineFaults, defineFirstSteps, defineLastSteps, type Scene } from "../lab/machines/scenarios.ts";

await enterMachines(["openrc"]);

const machine = await Machine.start({ id: "edge-0001", init: "openrc" });
after(() => machine.stop());
const device = new MachineDevice(machine);

/** As cron does it, without the wait by which the machines of a fleet keep apart. */
const ROUND = `run-parts --report /etc/cron.hourly
  until pkill -f '^sleep [0-9]{1,3}$'; do :; done
  while pgrep -f 'edge-fleet-device [m]aintain' >/dev/null; do sleep 0.1; done`;

const scene: Scene = {
  device,
  faults: countFaults(),
  probe: {
    active: "rc-service k3s status",
    enabled: "test -x /etc/runlevels/default/k3s",
    incarnation: "cat /run/k3s.pid /run/openrc/options/k3s/child_pid /run/standin-k3s/server",
    watched: "pgrep -f '^sh -c .*expire' || pgrep -f '^sleep 4$'",
    runLeftovers: "pgrep -af 'edge-fleet-device (run|expire|undo|follow)' | grep -v pgrep || :",
    leftovers: "rc-status -a | grep -E 'edge-fleet|k3s|k0s' || :; crontab -l 2>/dev/null || :",
    recoveredFirst: async () => {
      await device.until("grep -q 'rc default logging stopped' /var/log/rc.log", 20);
      const boot = machine.read("/var/log/rc.log").split("rc default logging started").at(-1) ?? "";
      assert.match(boot, /Recovering an interrupted edge-fleet run[\s\S]*Starting k3s/);
    },
    maintain: ROUND,
  },
};

defineFirstSteps(scene);

test("OpenRC knows the services and their order, and cron the maintenance", async () => {
  assert.match(await device.sh("rc-update show default"), /^ *edge-fleet-recover \|/m);
  assert.match(await device.sh("rc-service k3s describe 2>&1"), /./);
  assert.match(await device.sh("run-parts --test /etc/cron.hourly"), /edge-fleet-maintain/);
});

defineFaults(scene);
defineLastSteps(scene);
