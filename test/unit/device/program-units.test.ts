/** The units and the script that bring the device program to life: what has to wait until a cut-off run is undone. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { deviceProgram } from "../../../components/device/program.ts";

/** Services that start from files which a run swaps. OpenRC has no snaps, and passes over a name that it does not know. */
const STARTED_FROM_OUR_FILES = [
  "k3s",
  "k3s-agent",
  "k0scontroller",
  // snap/snapcraft.yaml of MicroK8s, branches 1.34 to 1.36: the services that read what lies in args.
  "snap.microk8s.daemon-containerd",
  "snap.microk8s.daemon-k8s-dqlite",
  "snap.microk8s.daemon-kubelite",
];

/** What the program installs under this name. */
function systemFile(name: string): string {
  const text = deviceProgram().text.replace(/^main "\$@"$/m, () => `system_file ${name}`);
  const { status, stdout, stderr } = spawnSync("sh", { input: text, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return stdout;
}

test("no service starts from half-swapped files at a boot: the recovery comes before each, under systemd and OpenRC", () => {
  const units = [...systemFile("edge-fleet-recover.service").matchAll(/^Before=(.*)$/gm)].map(([, names]) => names);
  const [, scripts = ""] = /^ {2}before (.*)$/m.exec(systemFile("edge-fleet-recover")) ?? [];
  assert.deepEqual(units.join(" ").split(" ").sort(), STARTED_FROM_OUR_FILES.map((name) => `${name}.service`).sort());
  assert.deepEqual(scripts.split(" ").sort(), STARTED_FROM_OUR_FILES.toSorted());
});
