/** The preflight as `edge-fleet doctor` runs it, on a bare device under dash and under busybox ash. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { examinationScript } from "../../cli/doctor/script.ts";
import type { Profile } from "../../components/inventory/index.ts";
import { Device, LOCK, OLD, profileWith } from "../lab/standins/apply-device.ts";
import { Sandbox, type SandboxShell } from "../lab/standins/sandbox.ts";

for (const shell of ["dash", "busybox"] satisfies SandboxShell[]) {
  describe(`doctor under ${shell}`, () => {
    let sandbox: Sandbox;
    let device: Device;
    const profile = profileWith(OLD);

    before(async () => {
      sandbox = await Sandbox.start(shell);
      device = new Device(sandbox);
    });
    after(() => sandbox.stop());

    /** Ids of the errors in the device's answer. */
    const examine = (examined: Profile): string[] => {
      const now = Math.round(Date.now() / 1000);
      const { script, stdin } = examinationScript({ profile: examined, lock: LOCK, allowReboot: false }, now);
      const { code, stdout, stderr } = sandbox.run(`/bin/sh -c '${script}'`, stdin);
      assert.deepEqual([code, stderr], [0, ""]);
      const { findings } = JSON.parse(stdout) as { findings: { id: string; severity: string }[] };
      return findings.filter(({ severity }) => severity === "error").map(({ id }) => id);
    };

    test("a bare device is examined without anything installed, and nothing is left on it", () => {
      device.wipe();
      const held =
        "find /etc /run /tmp /usr/local /var/lib/edge-fleet /var/log/edge-fleet 2>/dev/null | sort | sha256sum";
      const before = device.sh(held);
      assert.deepEqual(examine(profile), []);
      assert.equal(device.sh(held), before);
    });

    test("a device that is not what its model says is told so", () => {
      assert.deepEqual(examine({ ...profile, architecture: "arm64", memoryMiB: 1_000_000 }), [
        "architecture",
        "memory-model",
      ]);
    });
  });
}
