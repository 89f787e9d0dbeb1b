/**
 * The one reboot that the doctor may ask for: a Raspberry Pi whose kernel has its memory cgroup off turns it on and boots, and
 * the next apply goes through. Whatever interrupts it, the command line is edited once and the device reboots once.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { examinationScript } from "../../cli/doctor/script.ts";
import { countFaults } from "../lab/faults.ts";
import { Device, LOCK, OLD, profileWith } from "../lab/standins/apply-device.ts";
import { Sandbox, type SandboxShell } from "../lab/standins/sandbox.ts";

const LINE = "console=serial0,115200 root=PARTUUID=1-02 rootwait cgroup_disable=memory";
const FIXED = `${LINE} cgroup_memory=1 cgroup_enable=memory`;
const faults = countFaults();

/** Notes the reboot that is asked for; everything else is the lab's. */
const SYSTEMD_RUN = `#!/bin/sh
case "$*" in *'systemctl reboot') echo "$*" >>/etc/edge-fleet-lab/reboots; exit ;; esac
exec /usr/local/bin/systemd-run "$@"
`;

/** The doctor's text, which can be killed while the command line is edited, before the note and before the reboot. */
function breakable(text: string): string {
  const points = [
    ['  mv -f "$CMDLINE.new" "$CMDLINE"', "written"],
    ['  mkdir -p "$STATE/fixed"', "edited"],
    ["  ask_reboot && return", "noted"],
  ] as const;
  const split = text.replace(
    ' && sync "$CMDLINE.new" && mv -f "$CMDLINE.new" "$CMDLINE"',
    ' && sync "$CMDLINE.new" || return 1\n  mv -f "$CMDLINE.new" "$CMDLINE"',
  );
  const kill = `kill_at() {
  [ "$1" != "$(cat /etc/edge-fleet-lab/kill 2>/dev/null)" ] || { read -r own _ </proc/self/stat; kill -9 $$ "$own"; }
}
`;
  return points.reduce((script, [line, point]) => {
    assert.equal(script.split(`\n${line}`).length, 2, `the doctor has ${line} once`);
    return script.replace(`\n${line}`, () => `\n  kill_at ${point}\n${line}`);
  }, `${kill}${split}`);
}

for (const shell of ["dash", "busybox"] satisfies SandboxShell[]) {
  describe(`managed reboot under ${shell}`, () => {
    let sandbox: Sandbox;
    let device: Device;

    before(async () => {
      sandbox = await Sandbox.start(shell);
      device = new Device(sandbox);
      device.enroll();
      sandbox.write("/usr/local/sbin/systemd-run", SYSTEMD_RUN);
      device.sh("chmod 755 /usr/local/sbin/systemd-run");
    });
    after(() => sandbox.stop());

    const old = profileWith(OLD);
    const doctor = (allowReboot: boolean): string => {
      const now = Number(device.sh("date +%s"));
      const { script, stdin } = examinationScript({ profile: old, lock: LOCK, allowReboot }, now);
      return sandbox.run(`/bin/sh -c '${script}'`, breakable(stdin)).stdout;
    };
    /** A kernel that was booted with this line. */
    const kernel = (memory: boolean, line: string): void => {
      sandbox.write("/sys/fs/cgroup/cgroup.controllers", `cpuset cpu io ${memory ? "memory " : ""}pids\n`);
      sandbox.write("/run/cmdline", `${line}\n`);
      device.sh("umount /proc/cmdline 2>/dev/null || :; mount --bind /run/cmdline /proc/cmdline");
    };
    /** A Raspberry Pi as it comes from its image, with the release in its store. */
    const fresh = (): void => {
      device.wipe();
      device.sh("rm -rf /boot/firmware /etc/edge-fleet-lab/reboots; mkdir -p /boot/firmware");
      sandbox.write("/boot/firmware/cmdline.txt", `${LINE}\n`);
      device.newBoot();
      kernel(false, LINE);
      device.push(OLD);
    };
    /** Boots with the line that is on the disk. */
    const boot = (obeys: boolean): void => {
      const line = device.sh("cat /boot/firmware/cmdline.txt");
      kernel(obeys && line === FIXED, line);
      device.powerCycle();
    };
    const assertEdited = (): void => {
      assert.equal(device.sh("cat /boot/firmware/cmdline.txt"), FIXED);
      assert.equal(device.sh("cat /boot/firmware/cmdline.txt.edge-fleet"), LINE);
      assert.equal(device.sh("ls /boot/firmware"), "cmdline.txt\ncmdline.txt.edge-fleet");
    };
    const reboots = (): number => Number(device.sh("cat /etc/edge-fleet-lab/reboots 2>/dev/null | wc -l"));

    test("an apply names the one command, which edits the line and reboots once; then the apply goes through", () => {
      fresh();
      const refused = device.apply(old);
      assert.deepEqual([refused.result, refused.code], ["failed", "memory-cgroup"]);
      assert.match(refused.reason, /^memory-cgroup: off - run edge-fleet doctor edge-0001 --allow-reboot, or /);
      assert.match(doctor(false), /"id":"memory-cgroup","severity":"error"/);
      assert.equal(device.sh("cat /boot/firmware/cmdline.txt; ls /boot/firmware"), `${LINE}\ncmdline.txt`);
      assert.equal(reboots(), 0);
      device.assertTidy();
      for (let again = 0; again < 2; again++) {
        assert.match(doctor(true), again === 0 ? /"memory-cgroup-fixed"/ : /the device reboots to turn it on/);
        assertEdited();
        assert.equal(device.sh("cat /etc/edge-fleet-lab/reboots"), "--quiet --on-active=5 systemctl reboot");
      }
      assert.equal(device.apply(old).reason, "memory-cgroup: the device reboots to turn it on - run again in a minute");
      device.sh("! test -e /usr/local/bin/k3s; ! test -e /var/lib/rancher/k3s; ! test -L /var/lib/edge-fleet/lock");
      boot(true);
      assert.equal(device.apply(old).result, "applied");
      device.assertIs(old);
      assert.doesNotMatch(doctor(true), /memory-cgroup/);
      assertEdited();
      assert.equal(reboots(), 1);
    });

    test("a kernel that does not obey is an error, and gets no second reboot", () =>
      faults.survive("unfit machine", () => {
        fresh();
        assert.match(doctor(true), /"memory-cgroup-fixed"/);
        boot(false);
        assert.match(device.apply(old).reason, /^memory-cgroup: still off after the managed reboot: the kernel/);
        sandbox.write("/boot/firmware/cmdline.txt", `${LINE}\n`);
        boot(false);
        assert.match(doctor(true), /still off after the managed reboot: /);
        assert.equal(reboots(), 1);
        kernel(true, FIXED);
        assert.equal(device.apply(old).result, "applied");
        device.assertIs(old);
      }));

    for (const [point, asked] of [
      ["written", 1],
      ["edited", 0],
      ["noted", 0],
    ] as const) {
      test(`a power cut when the line is ${point}: edited once, and at most one reboot`, () =>
        faults.survive("power cut", () => {
          fresh();
          device.killAt(point);
          doctor(true);
          device.killAt("");
          boot(true);
          doctor(true);
          assert.equal(reboots(), asked);
          if (asked > 0) boot(true);
          assert.equal(device.apply(old).result, "applied");
          device.assertIs(old);
          assertEdited();
          assert.equal(reboots(), asked);
        }));
    }

    test("a power cut before the reboot on a kernel that does not obey is an error, without a reboot", () =>
      faults.survive("power cut", () => {
        fresh();
        device.killAt("edited");
        doctor(true);
        device.killAt("");
        boot(false);
        assert.match(doctor(true), /off: the kernel does not obey cgroup_enable=memory/);
        assert.equal(reboots(), 0);
      }));
  });
}
