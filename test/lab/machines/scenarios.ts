/**
 * What every machine must go through, whichever init it has: enrollment, the first and the second apply, a lost connection,
 * power cuts, a run that hangs, releases that fail, and the end. Each function defines tests; they build on each other and
 * run in the order of their calls.
 */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { PROGRAM_PATH } from "../../../components/device/program.ts";
import { parseDeviceAnswer } from "../../../components/device/result.ts";
import type { FaultCount } from "../faults.ts";
import { BROKEN, CRASHING, flannel, OLD, readOutcome, removeCommand, SLOW } from "../standins/apply-device.ts";
import { HOLDING, K0S, type MachineDevice, machineProfile } from "./device.ts";
import { MACHINE_USER } from "./plan.ts";

/** How an init tells what a scenario asks. Each is a sh text, unless it says otherwise. */
export interface InitProbe {
  /** Succeeds where K3s runs under the init. */
  readonly active: string;
  /** Succeeds where K3s starts at boot. */
  readonly enabled: string;
  /** Prints what names the process that K3s runs in, and how often the init had to start it. */
  readonly incarnation: string;
  /** Succeeds while the watchdog waits. */
  readonly watched: string;
  /** Prints what a finished run has left in the init. */
  readonly runLeftovers: string;
  /** Prints what the init still knows of edge-fleet and of clusters. */
  readonly leftovers: string;
  /** Asserts that since the last boot the recovery had ended before K3s was started. */
  readonly recoveredFirst: () => Promise<void>;
  /** Starts one round of maintenance, as the init's clock does, and waits for its end. */
  readonly maintain: string;
}

/** A machine, its init and where its faults are counted. */
export interface Scene {
  readonly device: MachineDevice;
  readonly probe: InitProbe;
  readonly faults: FaultCount;
}

/** From a machine that edge-fleet has never seen to one that runs `OLD`. */
export function defineFirstSteps(scene: Scene): void {
  beforeEach(() => scene.device.release());
  defineEnrollment(scene);
  defineApply(scene);
}

function defineEnrollment({ device }: Scene): void {
  const { machine } = device;
  const old = machineProfile(machine, OLD);

  test("a machine is enrolled over SSH by a user with sudo, and the program is root's", async () => {
    await device.enroll();
    assert.equal(await device.sh(`stat -c '%a %U' ${PROGRAM_PATH}`), "755 root");
  });

  test("the preflight finds no error on a bare machine, and its init when the inventory names the other one", async () => {
    const errors = (await device.findings(old)).filter((finding) => finding.endsWith(" error"));
    assert.deepEqual(errors, []);
    const wrong = { ...old, init: machine.init === "systemd" ? ("openrc" as const) : ("systemd" as const) };
    assert.ok((await device.findings(wrong)).includes("init error"));
  });
}

function defineApply({ device, probe }: Scene): void {
  const old = machineProfile(device.machine, OLD);

  test("a bare machine is applied to, by the program as it is released", async () => {
    device.push(OLD);
    const { result, reason } = await device.apply(old);
    assert.equal(result, "applied", reason);
    await device.assertIs(old);
    await device.sh(`${probe.active} && ${probe.enabled}`);
    const modes = await device.sh(`stat -c '%a %U %n' /etc/rancher/k3s/config.yaml /usr/local/bin/k3s \\
      /etc/sysctl.d/90-edge-fleet.conf /etc/modules-load.d/90-edge-fleet.conf /var/lib/edge-fleet`);
    assert.deepEqual(modes.split("\n"), [
      "600 root /etc/rancher/k3s/config.yaml",
      "755 root /usr/local/bin/k3s",
      "644 root /etc/sysctl.d/90-edge-fleet.conf",
      "644 root /etc/modules-load.d/90-edge-fleet.conf",
      "700 root /var/lib/edge-fleet",
    ]);
  });

  test("kernel settings and the last-resort route are in force", async () => {
    const settings = "vm.overcommit_memory kernel.panic kernel.panic_on_oops vm.panic_on_oom";
    assert.equal(await device.sh(`/sbin/sysctl -n ${settings}`), "1\n10\n1\n0");
    assert.match(await device.sh("ip route show default"), /^default via 203\.0\.113\.255 dev dummy0 /);
  });

  test("a second apply changes nothing and restarts nothing", async () => {
    const before = await device.sh(probe.incarnation);
    assert.equal((await device.apply(old)).result, "unchanged");
    assert.equal(await device.sh(probe.incarnation), before);
  });

  test("the program is replaced by another one", async () => {
    await device.upgrade(HOLDING);
    assert.equal(await device.sh(`sha256sum <${PROGRAM_PATH}`), `${HOLDING.sha256}  -`);
  });
}

/** What goes wrong in the field. Begins and ends with a machine that runs `OLD`. */
export function defineFaults(scene: Scene): void {
  defineLosses(scene);
  definePowerCuts(scene);
  defineBadRuns(scene);
}

function defineLosses({ device, probe, faults }: Scene): void {
  const { machine } = device;

  test("a run outlives its connection", () =>
    faults.survive("dropped connection", async () => {
      device.push(SLOW);
      const target = machineProfile(machine, SLOW);
      device.holdAt("swap");
      const run = device.start(target);
      await device.held();
      run.cut();
      assert.equal((await run.result).stdout, "");
      await device.until(`! pgrep -f '^sshd: ${MACHINE_USER}@' >/dev/null`, 10);
      await device.release();
      await device.settled();
      await device.assertIs(target);
      assert.equal((await device.apply(target)).result, "unchanged");
    }));

  test("K3s is started again when it dies", async () => {
    const before = await device.sh(probe.incarnation);
    await device.sh("pkill -KILL -f '^sleep 2147483647$'");
    await device.settled();
    assert.notEqual(await device.sh(probe.incarnation), before);
    assert.equal((await device.apply(machineProfile(machine, SLOW))).result, "unchanged");
  });
}

function definePowerCuts({ device, probe, faults }: Scene): void {
  const { machine } = device;
  const old = machineProfile(machine, OLD);
  const changed = flannel(old, "vxlan");

  for (const point of ["put3", "activate", "gate"]) {
    test(`a power cut at ${point} is recovered from before K3s starts, and the next apply converges`, () =>
      faults.survive("power cut", async () => {
        assert.match((await device.apply(old)).result, /^(applied|unchanged)$/);
        device.holdAt(point);
        const run = device.start(changed);
        await device.held();
        await machine.powerCut();
        assert.notEqual((await run.result).code, 0);
        device.holdAt("");
        await machine.boot();
        await probe.recoveredFirst();
        await device.settled();
        const { result, reason } = await device.apply(changed);
        assert.match(result, /^(applied|unchanged)$/, reason);
        await device.assertIs(changed);
        assert.equal(await device.sh(probe.runLeftovers), "");
      }));
  }
}

function defineBadRuns({ device, probe, faults }: Scene): void {
  const { machine } = device;
  const old = machineProfile(machine, OLD);
  const changed = flannel(old, "vxlan");

  test("a run that hangs is ended in time, and the former state is back", () =>
    faults.survive("hanging run", async () => {
      assert.match((await device.apply(old)).result, /^(applied|unchanged)$/);
      device.holdAt("gate");
      const run = device.start({ ...changed, rollback: { afterSeconds: 4 } });
      await device.held();
      await device.sh(probe.watched);
      const { result, reason } = readOutcome(await run.result);
      assert.equal(result, "rolled-back", reason);
      assert.match(reason, /^expired: /);
      device.holdAt("");
      await device.assertIs(old);
      assert.equal((await device.apply(old)).result, "unchanged");
      assert.equal(await device.sh(probe.runLeftovers), "");
    }));

  for (const [version, what] of [
    [BROKEN, "never gets ready"],
    [CRASHING, "exits at once"],
  ] as const) {
    test(`an upgrade to a release that ${what} is rolled back`, () =>
      faults.survive("failing release", async () => {
        device.push(version);
        const bad = machineProfile(machine, version, { readiness: { timeoutSeconds: 5 } });
        const { result, reason } = await device.apply(bad);
        assert.equal(result, "rolled-back", reason);
        assert.match(reason, /back on the previous state$/);
        await device.assertIs(old);
        await device.sh(probe.active);
      }));
  }
}

/** A long life and its end. Begins with a machine that runs `OLD`. */
export function defineLastSteps({ device, probe }: Scene): void {
  const { machine } = device;
  const old = machineProfile(machine, OLD);

  test("maintenance copies the datastore", async () => {
    await device.sh(probe.maintain);
    assert.match(await device.sh("find /var/lib/edge-fleet/backups -type f"), /state\.db$/m);
  });

  test("another distribution takes the machine over, and gives it back", async () => {
    device.push(K0S);
    const k0s = { ...old, distribution: "k0s" as const, k0s: { ...old.k0s, version: K0S }, replace: true };
    for (const profile of [k0s, { ...old, replace: true }]) {
      device.push(OLD);
      const { result, reason } = await device.apply(profile);
      assert.equal(result, "applied", reason);
      const kubectl = `${profile.distribution} kubectl`;
      assert.equal(await device.sh(`${kubectl} get --raw=/readyz; pgrep -cf '^sleep 2147483647'`), "ok\n1");
    }
    await device.assertIs(old);
  });

  test("a machine that is removed has nothing left of edge-fleet and its cluster", async () => {
    const { code, stdout, stderr } = await machine.ssh(`sudo -n ${removeCommand(machine.id)}`, { user: MACHINE_USER });
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal(parseDeviceAnswer(stdout)?.result, "removed");
    const files =
      await device.sh(`find / -xdev \\( -name '*edge-fleet*' -o -path '*rancher*' -o -path '*k0s*' -o -name 'k3s*' \\) \\
      -not -path '/etc/edge-fleet-lab*' -not -path '/proc/*' -not -path '/run/*'`);
    assert.equal(files, "");
    const processes = "pgrep -af '[e]dge-fleet-device|/usr/local/bin/[k]|^sleep 2147|^supervise-daemon' || :";
    assert.equal(await device.sh(`${processes}; ip -o link show dev dummy0 2>/dev/null || :`), "");
    assert.equal(await device.sh(probe.leftovers), "");
    assert.notEqual((await machine.ssh(`sudo -n ${PROGRAM_PATH} maintain`, { user: MACHINE_USER })).code, 0);
  });
}
