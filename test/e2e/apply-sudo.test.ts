/** A log-in user other than root, with the real sudo: one rule, for exactly the installed program. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { type Device, OLD, PROGRAM, profileWith, readOutcome, underEachShell } from "../lab/standins/apply-device.ts";
import type { Sandbox } from "../lab/standins/sandbox.ts";

const USER = "edge";
const profile = { ...profileWith(OLD), ssh: { user: USER, port: 22, proxy: undefined } };

/** Runs a sh text as the log-in user. */
function asUser(sandbox: Sandbox, text: string, stdin = "") {
  return sandbox.run(`exec runuser -u ${USER} -- sh -c '${text.replaceAll("'", "'\\''")}'`, stdin);
}

/** A device whose program was installed for the log-in user, as enroll does it. */
function prepare(device: Device, sandbox: Sandbox): void {
  device.sh(`id ${USER} >/dev/null 2>&1 || useradd -m -s /bin/sh ${USER}; mkdir -p /etc/sudoers.d`);
  sandbox.write("/tmp/program", PROGRAM.text);
  device.sh(`sh /tmp/program install ${USER}; rm /tmp/program`);
}

underEachShell("sudo", (get) => {
  test("the rule is valid for visudo, readable by root alone, and names the program by its sum", () => {
    const { device, sandbox } = get();
    prepare(device, sandbox);
    assert.equal(device.sh("stat -c '%a %U' /etc/sudoers.d/edge-fleet"), "440 root");
    assert.equal(
      device.sh("cat /etc/sudoers.d/edge-fleet"),
      `${USER} ALL=(root) NOPASSWD: sha256:${PROGRAM.sha256} ${PROGRAM_PATH}`,
    );
    device.sh("visudo -cq");
  });

  test("the user brings the device to its state with the remote command as it is sent", () => {
    const { device, sandbox } = get();
    prepare(device, sandbox);
    device.push(OLD);
    const { create, stdin } = device.packed(profile);
    assert.equal(readOutcome(asUser(sandbox, create, stdin)).result, "applied");
    assert.equal(readOutcome(asUser(sandbox, create, stdin)).result, "unchanged");
  });

  test("the user may run nothing else as root", () => {
    const { device, sandbox } = get();
    prepare(device, sandbox);
    for (const command of ["id", "sh -c id", "cat /etc/shadow", `sh ${PROGRAM_PATH} maintain`]) {
      const { code, stderr } = asUser(sandbox, `sudo -n ${command}`);
      assert.notEqual(code, 0, command);
      assert.match(stderr, /password is required|not allowed/, command);
    }
  });

  test("a program that was changed does not run", () => {
    const { device, sandbox } = get();
    prepare(device, sandbox);
    device.sh(`echo "# changed" >>${PROGRAM_PATH}`);
    const { code, stderr } = asUser(sandbox, `sudo -n ${PROGRAM_PATH} doctor`);
    assert.notEqual(code, 0);
    assert.match(stderr, /password is required|not allowed|digest/);
    prepare(device, sandbox);
  });
});
