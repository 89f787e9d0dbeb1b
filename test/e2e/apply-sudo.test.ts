/**
 * The ways in which a dial becomes root: as root, by sudo and by sudo-rs, each a real one, with the real dial against a real
 * SSH server on the device. The log-in user may use sudo for everything and without a password, or the device fails.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ARTIFACTS_FOLDER, dialCommand, openDialFolder, writeDialFiles } from "../../components/device/folder.ts";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { type DeviceOutcome, parseDialResult } from "../../components/device/result.ts";
import { type DevicePlan, isRefusal, planRegion } from "../../components/plan/device.ts";
import { runCommand } from "../lab/devices/command.ts";
import { generateSshKey } from "../lab/devices/keys.ts";
import { prepareSshAccess, type SshAccess, serverConfiguration } from "../lab/devices/ssh.ts";
import { type Device, LOCK, OLD, profileWith, RELEASES, sha256, underEachShell } from "../lab/standins/apply-device.ts";
import { PROGRAM } from "../lab/standins/quick-program.ts";
import { debianFiles } from "../lab/toolchain/debian.ts";
import { freePort } from "../unit/cli/sshd.ts";

const USER = "edge";
/** sudo is the machine's; sudo-rs comes from Debian's package, whose commands lie in this folder. */
const SUDO_RS = join(await debianFiles("sudo-rs", "trixie", console.error), "usr/lib/cargo/bin/sudo");
const SUDOS = {
  sudo: { content: readFileSync("/usr/bin/sudo"), version: /^Sudo version 1\./ },
  "sudo-rs": { content: readFileSync(SUDO_RS), version: /^sudo-rs 0\./ },
} as const;

const profile = profileWith(OLD);
const workstation = mkdtempSync(join(tmpdir(), "edge-fleet-sudo-"));
process.chdir(workstation);
mkdirSync(ARTIFACTS_FOLDER, { recursive: true });
writeFileSync(join(ARTIFACTS_FOLDER, sha256(RELEASES[OLD] ?? "")), RELEASES[OLD] ?? "");
let access: SshAccess;
before(() => {
  access = prepareSshAccess(workstation, workstation);
});
after(() => {
  process.kill(access.agentPid);
  rmSync(workstation, { recursive: true });
});

/** Plans the device, or its removal. */
function planned(state: "present" | "removed" = "present"): DevicePlan {
  const profiles = [{ ...profile, state, decommission: "wipe" } as const];
  const [plan] = planRegion({ profiles, artifacts: LOCK, secrets: {}, program: PROGRAM.sha256 });
  assert.ok(plan !== undefined && !isRefusal(plan));
  return plan;
}

/** Starts the lab's SSH server on a device, with a user beside root. */
async function startServer(device: Device): Promise<{ port: number; hostKey: string }> {
  const port = await freePort();
  const key = generateSshKey();
  device.write("/etc/ssh/lab_config", serverConfiguration("/etc/ssh/lab_keys"));
  device.write("/etc/ssh/lab_keys", readFileSync(`${access.clientKeyPath}.pub`));
  device.write("/etc/ssh/lab_host_key", key.privateKey);
  device.sh(`useradd -m -p '*' -s /bin/sh ${USER}; chmod 644 /etc/ssh/lab_keys; chmod 600 /etc/ssh/lab_host_key
    mkdir -p /run/sshd /etc/sudoers.d; /usr/sbin/sshd -f /etc/ssh/lab_config -h /etc/ssh/lab_host_key -E /var/log/sshd.log \\
      -o ListenAddress=127.0.0.1 -p ${port}`);
  return { port, hostKey: key.publicKey };
}

underEachShell("the way to root", (get, shell) => {
  let server: Awaited<ReturnType<typeof startServer>>;

  /** A device that edge-fleet has never seen, with this sudo and this rule. */
  const prepare = (sudo: keyof typeof SUDOS, rule: string): Device => {
    const { device } = get();
    device.wipe();
    device.write("/usr/bin/sudo", SUDOS[sudo].content);
    device.write("/etc/sudoers.d/lab", rule);
    device.sh(
      `rm -f ${PROGRAM_PATH} /etc/systemd/system/edge-fleet-*; chmod 4755 /usr/bin/sudo; chmod 440 /etc/sudoers.d/lab`,
    );
    assert.match(device.sh("sudo --version 2>&1"), SUDOS[sudo].version);
    return device;
  };

  const dial = async (user: string, plan: DevicePlan): Promise<DeviceOutcome> => {
    const { id } = plan;
    const folders = openDialFolder(shell, PROGRAM);
    const target = { id, host: "127.0.0.1", user, jump: undefined, ...server };
    writeDialFiles(folders, { target, held: undefined, payload: plan.payload });
    const env = { ...process.env, SSH_AUTH_SOCK: access.agentSocket, EDGE_FLEET_DEVICE: id, EDGE_FLEET_ATTEMPT: "7" };
    const { code, stdout, stderr } = await runCommand("sh", ["-c", dialCommand(shell)], env, { input: plan.text });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    const result = parseDialResult(stdout);
    assert.equal(result?.attempt, "7", stdout);
    return result?.outcome ?? assert.fail(stdout);
  };

  before(async () => {
    server = await startServer(get().device);
  });

  for (const [title, sudo, user] of [
    ["root itself", "sudo", "root"],
    ["sudo", "sudo", USER],
    ["sudo-rs", "sudo-rs", USER],
  ] as const) {
    test(`by ${title} a dial installs the program, applies, finds nothing to do, and wipes`, async () => {
      const device = prepare(sudo, `${USER} ALL=(ALL) NOPASSWD: ALL\n`);
      const applied = { state: "applied", code: "", reason: "", release: OLD };
      assert.deepEqual(await dial(user, planned()), applied);
      device.assertIs(profile);
      assert.equal(
        device.sh(`sha256sum <${PROGRAM_PATH} | cut -d ' ' -f 1; stat -c '%a %U' ${PROGRAM_PATH}`),
        `${PROGRAM.sha256}\n755 root`,
      );
      const pid = device.pid();
      assert.deepEqual(await dial(user, planned()), applied);
      assert.equal(device.pid(), pid, "nothing was restarted");
      assert.deepEqual(await dial(user, planned("removed")), {
        state: "removed",
        code: "wiped",
        reason: "",
        release: "",
      });
      assert.equal(device.sh("ls -d /usr/local/bin/k3s /etc/rancher /var/lib/edge-fleet 2>/dev/null || :"), "");
    });
  }

  for (const sudo of ["sudo", "sudo-rs"] as const) {
    for (const [title, rule] of [
      ["asks for a password", `${USER} ALL=(ALL) ALL\n`],
      ["knows no rule for the user", "# none\n"],
    ] as const) {
      test(`${sudo} that ${title}: the device fails, the fix is named, and nothing is on the device`, async () => {
        const device = prepare(sudo, rule);
        const { state, code, reason } = await dial(USER, planned());
        assert.deepEqual([state, code], ["failed", "sudo"], reason);
        assert.match(reason, / - allow password-less sudo for the log-in user or set ssh\.user to root$/);
        assert.equal(device.sh(`ls -d ${PROGRAM_PATH} /var/lib/edge-fleet /run/edge-fleet.* 2>/dev/null || :`), "");
      });
    }
  }

  test("without any sudo a user who is not root fails, and the fix is named", async () => {
    const device = prepare("sudo", "# none\n");
    device.sh("rm /usr/bin/sudo");
    const { state, code, reason } = await dial(USER, planned());
    assert.deepEqual([state, code], ["failed", "sudo"], reason);
    assert.match(reason, / - install sudo or set ssh\.user to root$/);
  });
});
