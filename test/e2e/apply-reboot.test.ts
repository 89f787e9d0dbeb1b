/**
 * The one reboot that an apply may ask for: a Raspberry Pi whose kernel has its memory cgroup off turns it on, boots, and the
 * run goes on by itself. Whatever interrupts it, the command line is edited once and the device reboots once.
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { examinationScript } from "../../cli/doctor/script.ts";
import type { DeviceProgram } from "../../components/device/program.ts";
import type { ArtifactsLock, Profile } from "../../components/inventory/index.ts";
import { payloadText, renderPayload } from "../../components/plan/payload.ts";
import { countFaults } from "../lab/faults.ts";
import {
  Device,
  LOCK,
  lockFor,
  OLD,
  pack,
  profileWith,
  RELEASES,
  readOutcome,
  SLOW,
  sha256,
} from "../lab/standins/apply-device.ts";
import { PROGRAM } from "../lab/standins/quick-program.ts";
import { Sandbox, type SandboxShell } from "../lab/standins/sandbox.ts";
import { freePort } from "../unit/cli/sshd.ts";
import { ARTIFACTS } from "../unit/device/profile.ts";

const LINE = "console=serial0,115200 root=PARTUUID=1-02 rootwait cgroup_disable=memory";
const WORDS = "cgroup_memory=1 cgroup_enable=memory";
const MENDED = `${LINE} ${WORDS}`;
const REBOOTING = "rebooting: to turn the memory cgroup on, once - run again in a minute: it goes on by itself";
const faults = countFaults();

/** Notes the reboot that is asked for; everything else is the lab's. */
const SYSTEMD_RUN = `#!/bin/sh
case "$*" in *'systemctl reboot') echo "$*" >>/etc/edge-fleet-lab/reboots; exit ;; esac
exec /usr/local/bin/systemd-run "$@"
`;

/** The lab's program, which can be killed while the command line is edited, before the note and before the reboot. */
const BREAKABLE: DeviceProgram = (() => {
  const points = [
    ['  mv -f "$CMDLINE.new" "$CMDLINE"', "written"],
    ['  mkdir -p "$STATE/mended"', "edited"],
    ["  ask_reboot && return", "noted"],
  ] as const;
  const split = PROGRAM.text.replace(
    ' && sync "$CMDLINE.new" && mv -f "$CMDLINE.new" "$CMDLINE"',
    ' && sync "$CMDLINE.new" || return 1\n  mv -f "$CMDLINE.new" "$CMDLINE"',
  );
  const text = points.reduce((script, [line, point]) => {
    assert.equal(script.split(`\n${line}`).length, 2, `the program has ${line} once`);
    return script.replace(`\n${line}`, () => `\n  kill_at ${point}\n${line}`);
  }, split);
  return { text, sha256: sha256(text) };
})();

for (const shell of ["dash", "busybox"] satisfies SandboxShell[]) {
  describe(`managed reboot under ${shell}`, () => {
    let sandbox: Sandbox;
    let device: Device;

    before(async () => {
      sandbox = await Sandbox.start(shell);
      device = new Device(sandbox);
      device.installProgram(BREAKABLE);
      sandbox.write("/usr/local/sbin/systemd-run", SYSTEMD_RUN);
      device.sh("chmod 755 /usr/local/sbin/systemd-run");
    });
    after(() => sandbox.stop());

    const allowed = (profile: Profile): Profile => ({ ...profile, preflight: { allowReboot: true } });
    const old = allowed(profileWith(OLD));
    const apply = async (profile: Profile, lock: ArtifactsLock = LOCK) => {
      const { create, stdin } = pack(renderPayload(profile, lock));
      return readOutcome(await sandbox.start(create, stdin));
    };
    /** A kernel that was booted with this line. */
    const kernel = (memory: boolean, line: string): void => {
      sandbox.write("/sys/fs/cgroup/cgroup.controllers", `cpuset cpu io ${memory ? "memory " : ""}pids\n`);
      sandbox.write("/run/cmdline", `${line}\n`);
      device.sh("umount /proc/cmdline 2>/dev/null || :; mount --bind /run/cmdline /proc/cmdline");
    };
    /** A Raspberry Pi as it comes from its image, with the release in its store. */
    const fresh = (version = OLD): void => {
      device.wipe();
      device.sh("rm -rf /boot/firmware /etc/edge-fleet-lab/reboots; mkdir -p /boot/firmware");
      sandbox.write("/boot/firmware/cmdline.txt", `${LINE}\n`);
      device.newBoot();
      kernel(false, LINE);
      device.push(version);
    };
    /** Boots with the line that is on the disk. */
    const boot = (obeys: boolean): void => {
      const line = device.sh("cat /boot/firmware/cmdline.txt");
      kernel(obeys && line === MENDED, line);
      device.powerCycle();
    };
    /** @param before the answer of the run that asked for the boot, which stays until the boot's own run begins */
    const ended = async (before = ""): Promise<string> => {
      for (let tries = 0; tries < 100; tries++) {
        const result = device.sh(
          "[ -L /var/lib/edge-fleet/lock ] || cat /var/lib/edge-fleet/run/*/result 2>/dev/null || :",
        );
        if (result !== "" && result !== before) return result;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      return assert.fail("the run does not end");
    };
    const assertEdited = (): void => {
      assert.equal(device.sh("cat /boot/firmware/cmdline.txt"), MENDED);
      assert.equal(device.sh("cat /boot/firmware/cmdline.txt.edge-fleet"), LINE);
      assert.equal(device.sh("ls /boot/firmware"), "cmdline.txt\ncmdline.txt.edge-fleet");
    };
    const reboots = (): number => Number(device.sh("cat /etc/edge-fleet-lab/reboots 2>/dev/null | wc -l"));

    test("the answer says so, nothing is installed yet, and the boot finishes the apply by itself", async () => {
      fresh();
      for (let again = 0; again < 2; again++) {
        const { result, reason } = await apply(old);
        assert.deepEqual([result, reason], ["failed", REBOOTING]);
        assertEdited();
        assert.equal(reboots(), 1);
      }
      assert.equal(device.sh("cat /etc/edge-fleet-lab/reboots"), "--quiet --on-active=5 systemctl reboot");
      device.sh("! test -e /usr/local/bin/k3s; ! test -e /var/lib/rancher/k3s; ! test -L /var/lib/edge-fleet/lock");
      assert.equal(device.sh("stat -c %a /var/lib/edge-fleet/run/*/payload"), "600");
      boot(true);
      await device.settle();
      device.assertIs(old);
      assert.equal((await apply(old)).result, "unchanged");
      assertEdited();
      assert.equal(reboots(), 1);
    });

    test("a run that comes while the boot goes on follows it, and gets its answer", async () => {
      const slow = allowed(profileWith(SLOW));
      fresh(SLOW);
      assert.equal((await apply(slow)).reason, REBOOTING);
      boot(true);
      device.sh("until [ -s /var/lib/edge-fleet/run/*/pid ] && [ -L /var/lib/edge-fleet/lock ]; do sleep 0.1; done");
      assert.equal((await apply(slow)).result, "applied");
      device.assertIs(slow);
      assert.equal(device.sh("grep -c 'swap begin' /var/log/edge-fleet/apply.log"), "1");
    });

    test("a kernel that does not obey is an error, and gets no second reboot", () =>
      faults.survive("unfit machine", async () => {
        fresh();
        assert.equal((await apply(old)).reason, REBOOTING);
        const asked = await ended();
        boot(false);
        assert.match(
          await ended(asked),
          /"result":"failed".*memory-cgroup: still off after the managed reboot: the kernel/,
        );
        assert.match((await apply(old)).reason, /^memory-cgroup: still off after the managed reboot: /);
        boot(false);
        sandbox.write("/boot/firmware/cmdline.txt", `${LINE}\n`);
        boot(false);
        assert.match((await apply(old)).reason, /^memory-cgroup: still off after the managed reboot: /);
        assert.equal(reboots(), 1);
        kernel(true, MENDED);
        assert.equal((await apply(old)).result, "applied");
        device.assertIs(old);
      }));

    test("without the inventory's leave it is an error that names it, and nothing is edited", async () => {
      fresh();
      const { result, reason } = await apply(profileWith(OLD));
      assert.equal(result, "failed");
      assert.match(reason, /^memory-cgroup: off - set preflight\.allowReboot: true, or /);
      assert.equal(device.sh("cat /boot/firmware/cmdline.txt; ls /boot/firmware"), `${LINE}\ncmdline.txt`);
      assert.equal(reboots(), 0);
      device.assertTidy();
    });

    for (const [point, asked] of [
      ["written", 1],
      ["edited", 0],
      ["noted", 0],
    ] as const) {
      test(`a power cut when the line is ${point}: edited once, and finished by the boot`, () =>
        faults.survive("power cut", async () => {
          fresh();
          device.killAt(point);
          assert.match((await apply(old)).reason, /^interrupted: /);
          device.killAt("");
          boot(true);
          if (asked > 0) {
            assert.match(await ended(), /rebooting: /);
            assert.equal(reboots(), 1);
            boot(true);
          }
          await device.settle();
          device.assertIs(old);
          assertEdited();
          assert.equal(reboots(), asked);
        }));
    }

    test("a power cut before the reboot on a kernel that does not obey is an error, without a reboot", () =>
      faults.survive("power cut", async () => {
        fresh();
        device.killAt("edited");
        assert.match((await apply(old)).reason, /^interrupted: /);
        device.killAt("");
        boot(false);
        assert.match(await ended(), /memory-cgroup: off: the kernel does not obey cgroup_enable=memory/);
        assert.equal(reboots(), 0);
        kernel(true, MENDED);
        assert.equal((await apply(old)).result, "applied");
        device.assertIs(old);
      }));

    test("a boot that is earlier than the network waits for the server from which it downloads", async (context) => {
      const port = await freePort();
      const lock = lockFor(`http://127.0.0.1:${port}`);
      const fetching: Profile = { ...old, artifacts: { ...ARTIFACTS, delivery: "fetch", mirror: undefined } };
      fresh();
      device.sh("rm -rf /var/lib/edge-fleet/artifacts");
      assert.equal((await apply(fetching, lock)).reason, REBOOTING);
      boot(true);
      await new Promise((resolve) => setTimeout(resolve, 4000));
      assert.equal(device.sh("cat /var/lib/edge-fleet/run/*/result 2>/dev/null || echo none"), "none");
      const server = createServer((_, response) => response.end(RELEASES[OLD])).listen(port, "127.0.0.1");
      context.after(() => server.close());
      await device.settle();
      device.assertIs(fetching);
      assert.equal((await apply(fetching, lock)).result, "unchanged");
    });

    test("the doctor asks for no reboot where only the apply may", () => {
      fresh();
      assert.match(payloadText(renderPayload(old, LOCK)), /\nset MANAGED_REBOOT 1\n/);
      const { script, stdin } = examinationScript({ profile: old, lock: LOCK, allowReboot: false }, 0);
      assert.match(sandbox.run(`/bin/sh -c '${script}'`, stdin).stdout, /"id":"memory-cgroup","severity":"error"/);
      assert.equal(reboots(), 0);
    });
  });
}
