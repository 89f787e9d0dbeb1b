/**
 * The device program on a real machine: systemd as PID 1, real units and timers, sshd, sudo and a disk that survives power
 * cuts. K3s and K0s alone are stand-ins, as services of Type=notify.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { renderDistribution } from "../../components/plan/distributions/index.ts";
import { countFaults } from "../lab/faults.ts";
import { binaryOf, K0S, MachineDevice, machineProfile } from "../lab/machines/device.ts";
import { enterMachines, Machine } from "../lab/machines/index.ts";
import { defineFaults, defineFirstSteps, defineLastSteps, type Scene } from "../lab/machines/scenarios.ts";
import { flannel, OLD } from "../lab/standins/apply-device.ts";

await enterMachines(["systemd"]);

const machine = await Machine.start({ id: "edge-0001", init: "systemd" });
after(() => machine.stop());
const device = new MachineDevice(machine);
const old = machineProfile(machine, OLD);

/** Units that are loaded without a file on the disk, or that have failed. */
const left = (...names: string[]) =>
  `systemctl list-units --all --no-legend ${names.join(" ")}; systemctl --failed --no-legend`;

const scene: Scene = {
  device,
  faults: countFaults(),
  probe: {
    active: "systemctl is-active k3s",
    enabled: "systemctl is-enabled k3s",
    incarnation: "systemctl show -p MainPID,NRestarts,ActiveEnterTimestampMonotonic k3s",
    watched: "systemctl is-active edge-fleet-watchdog.timer edge-fleet-apply.service",
    runLeftovers: left("'edge-fleet-watchdog*'", "'edge-fleet-apply*'"),
    leftovers: left("'edge-fleet*'", "'k3s*'", "'k0s*'"),
    recoveredFirst: async () => {
      const lines = await device.sh("journalctl -b -o cat _PID=1 | grep -E 'edge-fleet-recover.service|k3s.service'");
      assert.match(lines, /^Starting edge-fleet-recover[\s\S]*Finished edge-fleet-recover[\s\S]*Starting k3s/);
    },
    maintain: "systemctl start edge-fleet-maintain.service",
  },
};

defineFirstSteps(scene);

test("systemd accepts every unit that edge-fleet writes", async () => {
  const k0s = { ...old, distribution: "k0s" as const, k0s: { ...old.k0s, version: K0S } };
  const network = { ...old.network, shape: "lan" as const };
  const agent = { ...flannel(old, "vxlan"), id: "edge-0002", joins: "edge-0001", network };
  const token = { "token-edge-0001": "0123456789abcdef" };
  const plans = [
    renderDistribution(old),
    renderDistribution(k0s),
    renderDistribution(agent, { server: { host: "edge-0001.example.com" }, secrets: token }),
  ];
  for (const { path, content } of plans.flatMap((plan) => plan.files)) {
    if (/\.(service|timer)$/.test(path)) machine.write(`/root/verify/${path.split("/").at(-1)}`, content);
  }
  machine.write("/usr/local/bin/k0s", binaryOf(K0S), 0o755);
  const { code, stdout, stderr } =
    await machine.ssh(`cp /etc/systemd/system/edge-fleet-* /root/verify/ && cd /root/verify
    ls && systemd-analyze verify --man=no ./*; cd / && rm -r /root/verify /usr/local/bin/k0s`);
  assert.deepEqual([code, stderr], [0, ""]);
  assert.deepEqual(stdout.trim().split("\n"), [
    "edge-fleet-maintain.service",
    "edge-fleet-maintain.timer",
    "edge-fleet-recover.service",
    "edge-fleet-route.service",
    "edge-fleet-window.service",
    "edge-fleet-window.timer",
    "k0scontroller.service",
    "k3s-agent.service",
    "k3s.service",
  ]);
});

test("the journal is bound, a run is a unit of its own, and nothing has failed", async () => {
  assert.match(await device.sh("systemd-analyze cat-config systemd/journald.conf"), /^SystemMaxUse=50M$/m);
  device.holdAt("swap");
  const run = device.start(flannel(old, "vxlan"));
  await device.held();
  assert.match(await device.runGroup(), /^0::\/system\.slice\/edge-fleet-apply\.service$/m);
  await device.release();
  assert.equal((await run.result).code, 0);
  assert.equal(await device.sh("systemctl --failed --no-legend"), "");
});

test("the units of the program are enabled, and maintenance has its next time", async () => {
  const timers = "edge-fleet-maintain.timer edge-fleet-window.timer";
  assert.equal(
    await device.sh(`systemctl is-enabled edge-fleet-recover.service ${timers}`),
    "enabled\nenabled\nenabled",
  );
  assert.equal(await device.sh(`systemctl is-active ${timers}`), "active\nactive");
  for (const timer of timers.split(" "))
    assert.match(await device.sh(`systemctl show -p NextElapseUSecMonotonic --value ${timer}`), /^[0-9]/);
});

defineFaults(scene);
defineLastSteps(scene);
