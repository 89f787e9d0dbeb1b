/**
 * The preflight as `edge-fleet doctor` runs it, on a device under dash and under busybox ash: by itself before a device is
 * enrolled, and by the installed device program, which also compares what is installed with what is wanted.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { examinationScript } from "../../cli/doctor/script.ts";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import type { ArtifactsLock, Profile } from "../../components/inventory/index.ts";
import { Device, LOCK, OLD, profileWith } from "../lab/standins/apply-device.ts";
import { Sandbox, type SandboxShell } from "../lab/standins/sandbox.ts";

const OLDER = "v1.35.9+k3s1";
const K0S = "v1.36.3+k0s.2";
const ARTIFACTS: ArtifactsLock = {
  k3s: { ...LOCK.k3s, [OLDER]: { ...LOCK.k3s?.[OLD] } },
  k0s: { [K0S]: { amd64: { url: "https://example.com/k0s", sha256: "c".repeat(64), size: 1 } } },
};

for (const shell of ["dash", "busybox"] satisfies SandboxShell[]) {
  describe(`doctor under ${shell}`, () => {
    let sandbox: Sandbox;
    let device: Device;
    const old = profileWith(OLD);

    before(async () => {
      sandbox = await Sandbox.start(shell);
      device = new Device(sandbox);
    });
    after(() => sandbox.stop());

    const examine = (profile: Profile) =>
      examinationScript({ profile, lock: ARTIFACTS, allowReboot: false }, Math.round(Date.now() / 1000));

    /** Errors in the answer, and its device. */
    const read = ({ code, stdout, stderr }: ReturnType<Sandbox["run"]>): string[] => {
      assert.deepEqual([code, stderr], [0, ""]);
      const answer = JSON.parse(stdout) as { device: string; findings: { id: string; severity: string }[] };
      const errors = answer.findings.filter(({ severity }) => severity === "error");
      return [answer.device, ...errors.map(({ id }) => id)];
    };

    const askProgram = (profile: Profile): string[] => {
      const [line = ""] = examine(profile).stdin.split("\n");
      return read(sandbox.run(`${PROGRAM_PATH} doctor ${Math.round(Date.now() / 1000)}`, `${line}\n`));
    };

    test("a bare device is examined without anything installed, and nothing is left on it", () => {
      device.wipe();
      const { script, stdin } = examine(old);
      const held =
        "find /etc /run /tmp /usr/local /var/lib/edge-fleet /var/log/edge-fleet 2>/dev/null | sort | sha256sum";
      const before = device.sh(held);
      assert.deepEqual(read(sandbox.run(`/bin/sh -c '${script}'`, stdin)), ["edge-0001"]);
      assert.equal(device.sh(held), before);
    });

    test("the installed program examines with the settings of the device, and leaves no payload behind", () => {
      device.wipe();
      device.installProgram();
      assert.deepEqual(askProgram(old), ["edge-0001"]);
      const other: Profile = { ...old, id: "edge-0002", architecture: "arm64", memoryMiB: 1_000_000 };
      assert.deepEqual(askProgram(other), ["edge-0002", "architecture", "memory-model"]);
      assert.equal(device.sh("ls /run | grep -c edge-fleet || :"), "0");
    });

    test("what runs is compared with what is wanted", () => {
      device.install(old);
      assert.deepEqual(askProgram(old), ["edge-0001"]);
      assert.deepEqual(askProgram(profileWith(OLDER)), ["edge-0001", "downgrade"]);
      const k0s: Profile = { ...old, distribution: "k0s", k0s: { ...old.k0s, version: K0S } };
      assert.deepEqual(askProgram(k0s), ["edge-0001", "distribution"]);
    });
  });
}
