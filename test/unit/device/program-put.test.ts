/** How a file is put into its place: by the shells of devices, in a folder of this machine. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { deviceProgram } from "../../../components/device/program.ts";

for (const [command = "", ...args] of [["dash"], ["busybox", "ash"]]) {
  test(`${[command, ...args].join(" ")}: a file that comes back as it was has another time, without which K3s would not look at it`, (context) => {
    const folder = mkdtempSync(join(tmpdir(), "edge-fleet-put-"));
    context.after(() => rmSync(folder, { recursive: true }));
    const [stored, put] = [join(folder, "stored"), join(folder, "manifests/engine.yaml")];
    mkdirSync(join(folder, "manifests"));
    writeFileSync(stored, "kind: Namespace\n");
    const putAgain = (): number => {
      utimesSync(stored, 1e9, 1e9);
      const input = deviceProgram().text.replace(/^main "\$@"$/m, () => `put ${stored} ${put}`);
      const { status, stderr } = spawnSync(command, args, { input, encoding: "utf8" });
      assert.equal(status, 0, stderr);
      assert.equal(readFileSync(put, "utf8"), "kind: Namespace\n");
      return statSync(put).mtimeMs;
    };
    const first = putAgain();
    rmSync(put);
    const second = putAgain();
    assert.ok(first > 1e12 && second > first, `${first} ms, then ${second} ms`);
  });
}
