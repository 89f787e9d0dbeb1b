import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type FakeMachine, MACHINES, Machine, SHELLS, type Shell } from "./preflight-fakes.ts";

const CONTROLLERS = "/sys/fs/cgroup/cgroup.controllers";
const FIRMWARE = "/boot/firmware/cmdline.txt";
const OLD_PLACE = "/boot/cmdline.txt";
const LINE = "console=serial0,115200 root=PARTUUID=1-02 rootwait cgroup_disable=memory";
const FIXED = `${LINE} cgroup_memory=1 cgroup_enable=memory\n`;
const REBOOT = `echo "$*" >>"$MACHINE_ROOT/reboots"`;

/** A Raspberry Pi as it comes from its image. */
const FRESH: FakeMachine = {
  ...MACHINES["Raspberry Pi"],
  files: { ...MACHINES["Raspberry Pi"].files, [CONTROLLERS]: "cpuset cpu io pids\n", [FIRMWARE]: `${LINE}\n` },
  settings: { ARCH: "arm64", ALLOW_REBOOT: "1" },
  scripts: { "systemd-run": REBOOT },
};

/** `FRESH` with other files and settings. */
function pi(files: FakeMachine["files"] = {}, settings: FakeMachine["settings"] = {}, commands = ""): FakeMachine {
  return {
    ...FRESH,
    files: { ...FRESH.files, ...files },
    settings: { ...FRESH.settings, ...settings },
    commands: `${FRESH.commands}\n${commands}`,
  };
}

interface Answer {
  readonly hostName: string;
  readonly machineId: string;
  readonly findings: readonly { readonly id: string; readonly severity: string; readonly text: string }[];
}

/** A machine that goes with its test. */
class Patient extends Machine {
  constructor(context: TestContext, fake: FakeMachine) {
    super(fake);
    context.after(() => this.remove());
  }

  diagnose(shell: Shell): Answer {
    const { code, stdout, stderr } = this.run(shell, "diagnose");
    assert.deepEqual([code, stderr, stdout.split("\n").length], [0, "", 2]);
    return JSON.parse(stdout) as Answer;
  }

  /** Ids of the findings. */
  ids(shell: Shell): string[] {
    return this.diagnose(shell).findings.map(({ id }) => id);
  }

  read(path: string): string | undefined {
    const file = join(this.root, path);
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  }

  get reboots(): number {
    return (this.read("reboots") ?? "").split("\n").length - 1;
  }
}

const untouched: { readonly name: string; readonly machine: FakeMachine; readonly ids: readonly string[] }[] = [
  { name: "without the operator's leave", machine: pi({}, { ALLOW_REBOOT: "0" }), ids: ["memory-cgroup"] },
  { name: "as another user than root", machine: pi({}, {}, "id() { echo 1000; }"), ids: ["root", "memory-cgroup"] },
  { name: "where the controller is on", machine: pi({ [CONTROLLERS]: "cpu cpuset memory pids\n" }), ids: [] },
  {
    name: "where the kernel has the words and does not obey",
    machine: pi({ "/proc/cmdline": "root=x cgroup_enable=memory\n" }),
    ids: ["memory-cgroup"],
  },
  { name: "where the file has two lines", machine: pi({ [FIRMWARE]: `${LINE}\n${LINE}\n` }), ids: ["memory-cgroup"] },
  { name: "where the file is no command line", machine: pi({ [FIRMWARE]: "# moved\n" }), ids: ["memory-cgroup"] },
  { name: "where there is no such file", machine: pi({ [FIRMWARE]: null }), ids: ["memory-cgroup"] },
];

for (const shell of Object.keys(SHELLS) as Shell[]) {
  describe(`the memory cgroup of a Raspberry Pi under ${shell}`, () => {
    test("is turned on in one line, with a backup, and the device reboots once", (context) => {
      const patient = new Patient(context, FRESH);
      assert.deepEqual(patient.ids(shell), ["memory-cgroup-fixed"]);
      assert.equal(patient.read(FIRMWARE), FIXED);
      assert.equal(patient.read(`${FIRMWARE}.edge-fleet`), `${LINE}\n`);
      assert.equal(patient.read("reboots"), "--quiet --on-active=5 systemctl reboot\n");

      assert.deepEqual(patient.ids(shell), ["memory-cgroup"]);
      assert.deepEqual([patient.read(FIRMWARE), patient.reboots], [FIXED, 1]);

      patient.put(CONTROLLERS, "cpuset cpu io memory pids\n");
      assert.deepEqual(patient.ids(shell), []);

      patient.put(CONTROLLERS, "cpuset cpu io pids\n");
      patient.put(FIRMWARE, `${LINE}\n`);
      assert.deepEqual(patient.ids(shell), ["memory-cgroup"]);
      assert.deepEqual([patient.read(FIRMWARE), patient.reboots], [`${LINE}\n`, 1]);
    });

    test("is told to reboot until the boot comes, and leaves a note of the boot and its second", (context) => {
      const patient = new Patient(context, FRESH);
      const texts = (): string[] => patient.diagnose(shell).findings.map(({ text }) => text);
      assert.match(texts().join(), /now turns the memory cgroup on, and the device reboots, once/);
      assert.match(patient.read("/var/lib/edge-fleet/fixed/memory-cgroup") ?? "", /^first-boot 3600 /);
      assert.deepEqual(texts(), ["the device reboots to turn it on - run again in a minute"]);
      patient.put("/proc/sys/kernel/random/boot_id", "second-boot\n");
      assert.match(texts().join(), /^still off after the managed reboot: /);
      assert.equal(patient.reboots, 1);
    });

    test("reboots where another init than systemd runs", async (context) => {
      const asked = 'setsid() { echo "$*" >>"$MACHINE_ROOT/reboots"; }';
      const patient = new Patient(
        context,
        pi({ "/run/systemd/system/": null, "/run/openrc/softlevel": "" }, {}, asked),
      );
      assert.ok(patient.ids(shell).includes("memory-cgroup-fixed"));
      for (let tries = 0; tries < 100 && patient.reboots === 0; tries++) await delay(20);
      assert.equal(patient.read("reboots"), "sh -c sleep 5; exec reboot\n");
      assert.equal(patient.read(FIRMWARE), FIXED);
    });

    test("is turned on at the old place of the file", (context) => {
      const patient = new Patient(context, pi({ [FIRMWARE]: null, [OLD_PLACE]: LINE }));
      assert.deepEqual(patient.ids(shell), ["memory-cgroup-fixed"]);
      assert.equal(patient.read(OLD_PLACE), FIXED);
    });

    test("is turned on where a note is left at the old place", (context) => {
      const patient = new Patient(context, pi({ [OLD_PLACE]: "DO NOT EDIT THIS FILE\n" }));
      assert.deepEqual(patient.ids(shell), ["memory-cgroup-fixed"]);
      assert.deepEqual([patient.read(FIRMWARE), patient.read(OLD_PLACE)], [FIXED, "DO NOT EDIT THIS FILE\n"]);
    });

    test("is turned on in a file from Windows, whose carriage return would hide the words", (context) => {
      const patient = new Patient(context, pi({ [FIRMWARE]: `${LINE}\r\n` }));
      assert.deepEqual(patient.ids(shell), ["memory-cgroup-fixed"]);
      assert.equal(patient.read(FIRMWARE), FIXED);
    });

    test("only needs the reboot where a person has written the words already", (context) => {
      const patient = new Patient(context, pi({ [FIRMWARE]: FIXED }));
      assert.deepEqual(patient.ids(shell), ["memory-cgroup-fixed"]);
      assert.deepEqual([patient.read(FIRMWARE), patient.read(`${FIRMWARE}.edge-fleet`)], [FIXED, undefined]);
      assert.equal(patient.reboots, 1);
    });

    test("may be tried again where the reboot could not be asked for", (context) => {
      const patient = new Patient(context, { ...FRESH, scripts: { "systemd-run": "exit 1" } });
      assert.deepEqual(patient.ids(shell), ["memory-cgroup"]);
      assert.equal(patient.read("/var/lib/edge-fleet/fixed/memory-cgroup"), undefined);
    });

    for (const { name, machine, ids } of untouched) {
      test(`is left alone ${name}`, (context) => {
        const patient = new Patient(context, machine);
        const before = patient.read(FIRMWARE);
        assert.deepEqual(patient.ids(shell), ids);
        assert.deepEqual([patient.read(FIRMWARE), patient.reboots], [before, 0]);
      });
    }
  });

  test(`${shell}: the diagnosis is JSON whatever the device is called, and hashes the machine id`, (context) => {
    const patient = new Patient(context, { files: { "/proc/sys/kernel/hostname": 'a"b\\c\u00e4&\n' } });
    const { hostName, machineId, findings } = patient.diagnose(shell);
    assert.equal(hostName.replace(/\?+/, "?"), 'a"b\\c?&');
    assert.equal(machineId, createHash("sha256").update("0123456789abcdef".repeat(2)).digest("hex"));
    assert.deepEqual(findings, []);
  });

  test(`${shell}: a check that stops the shell is told, with what was found before it`, (context) => {
    const machine = { ...FRESH, settings: { ARCH: "amd64" }, commands: 'check_modules() { echo "$NOT_SET"; }' };
    const { stdout } = new Patient(context, machine).run(shell, "diagnose");
    const { findings } = JSON.parse(stdout) as Answer;
    assert.deepEqual(
      findings.map(({ id }) => id),
      ["memory-cgroup", "preflight-broken"],
    );
  });

  test(`${shell}: a device without a machine id has none in the diagnosis`, (context) => {
    const { machineId, findings } = new Patient(context, { files: { "/etc/machine-id": "" } }).diagnose(shell);
    assert.deepEqual([machineId, findings.map(({ id }) => id)], ["", ["machine-id"]]);
  });
}

test("a device without awk says so, and nothing else", (context) => {
  const patient = new Patient(context, { without: ["awk"] });
  assert.deepEqual(patient.diagnose("dash").findings, [
    { id: "tools", severity: "error", text: "missing: awk - install an awk" },
  ]);
});
