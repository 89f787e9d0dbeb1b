/**
 * A machine as a device of edge-fleet: enrolled as a person enrols it, applied to through SSH as the log-in user, with
 * releases that are the lab's stand-ins for K3s and K0s and tell systemd when they are ready, as the real ones do.
 */
import assert from "node:assert/strict";
import { examinationScript } from "../../../cli/doctor/script.ts";
import { ENROLL_SCRIPT } from "../../../cli/enroll/connect.ts";
import { type DeviceProgram, deviceProgram, packText } from "../../../components/device/program.ts";
import type { DeviceAnswer } from "../../../components/device/result.ts";
import type { ArtifactsLock } from "../../../components/inventory/schema.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { ARTIFACT_STORE } from "../../../components/plan/artifact.ts";
import { type Payload, renderPayload } from "../../../components/plan/payload.ts";
import { pack, profileWith, RELEASES, readOutcome, sha256 } from "../standins/apply-device.ts";
import { k0sStandin } from "../standins/others.ts";
import { PROGRAM } from "../standins/quick-program.ts";
import type { Machine, RunningCommand } from "./machine.ts";
import { MACHINE_USER } from "./plan.ts";

/** Release of K0s. */
export const K0S = "v1.36.3+k0s.2";

/** Where the test says at which step the run is to stand still, and where the run says that it does. */
const HOLD = "/etc/edge-fleet-lab/kill";
const HELD = "/run/lab-held";

/** How the stand-ins end as servers. */
const SERVE = "exec sleep 2147483647";

/** Tells systemd once it is ready, as the main process; one that never gets ready says nothing. */
const NOTIFY = `if [ -n "\${NOTIFY_SOCKET-}" ] && [ "$ready" != 99999999999 ]; then
    left=$((ready - $(date +%s)))
    [ "$left" -le 0 ] || sleep "$left"
    systemd-notify --ready
  fi
  ${SERVE}`;

/** A stand-in as a service of Type=notify. */
export function notifying(standin: string): string {
  assert.equal(standin.split(SERVE).length, 2, "the stand-in serves at one place");
  return standin.replace(SERVE, () => NOTIFY);
}

/** Binaries by release. */
const BINARIES: Readonly<Record<string, string>> = Object.fromEntries([
  ...Object.entries(RELEASES).map(([version, text]) => [version, notifying(text)]),
  [K0S, notifying(k0sStandin(K0S))],
]);

/** Binary of a release. */
export function binaryOf(version: string): string {
  const binary = BINARIES[version];
  assert.ok(binary !== undefined, `the lab has no release ${version}`);
  return binary;
}

const files = (versions: readonly string[]) =>
  Object.fromEntries(
    versions.map((version) => {
      const binary = binaryOf(version);
      const file = { url: `http://127.0.0.1:9/${version}`, sha256: sha256(binary), size: binary.length };
      return [version, { amd64: file, arm64: file }];
    }),
  );

/** A lock of all releases; devices are pushed to. */
export const MACHINE_LOCK: ArtifactsLock = { k3s: files(Object.keys(RELEASES)), k0s: files([K0S]) };

/** The program that stands still at a step instead of dying there. Everything else is as it is installed. */
export const HOLDING: DeviceProgram = holding();

function holding(): DeviceProgram {
  const kill = /^kill_at\(\) \{.*\}$/m;
  assert.match(PROGRAM.text, kill);
  const hold = `kill_at() { [ "$1" != "$(cat ${HOLD} 2>/dev/null)" ] || { : >${HELD}; sleep 3600 || :; }; }`;
  const text = PROGRAM.text.replace(kill, () => hold);
  return { text, sha256: sha256(text) };
}

/** A profile of a machine: as {@link profileWith}, for the log-in user and the machine's memory. */
export function machineProfile(machine: Machine, version: string, changes: Partial<Profile> = {}): Profile {
  const ssh = { user: MACHINE_USER, port: 22, proxy: undefined };
  return profileWith(version, { id: machine.id, init: machine.init, memoryMiB: 1024, ssh, ...changes });
}

/** Runs what comes on stdin as root, for a log-in user that may use sudo without a password. */
const RUN_AS_ROOT = "exec sudo -n /bin/sh -s";

/** Installs the program, as the first dial does. */
function installScript({ text }: DeviceProgram): string {
  return `umask 077
{ base64 -d | gzip -dc; } >/run/edge-fleet.program <<'END'
${packText(text)}
END
sh /run/edge-fleet.program install
rm -f /run/edge-fleet.program
`;
}

/** A machine that edge-fleet manages. */
export class MachineDevice {
  readonly machine: Machine;
  #holding = false;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** Enrols it as `edge-fleet enroll` does, and installs the program as the first dial does. */
  async enroll(): Promise<void> {
    const answer = await this.machine.ssh(RUN_AS_ROOT, { user: MACHINE_USER, input: ENROLL_SCRIPT });
    assert.equal(answer.code, 0, answer.stderr);
    assert.match(answer.stdout, /^\{"edgeFleet":1,"identityKey":"ecdsa-sha2-nistp256 /);
    await this.upgrade(deviceProgram());
  }

  /** Replaces the program, as a dial of another release does. */
  async upgrade(program: DeviceProgram): Promise<void> {
    const input = installScript(program);
    const { code, stdout, stderr } = await this.machine.ssh(RUN_AS_ROOT, { user: MACHINE_USER, input });
    assert.deepEqual([code, stdout, stderr], [0, `program ${program.sha256}\n`, ""]);
  }

  /** Puts the binary of a release into the store. */
  push(version: string): void {
    const binary = binaryOf(version);
    this.machine.write(`${ARTIFACT_STORE}/${sha256(binary)}`, binary);
  }

  /** Starts to apply a profile as the log-in user. */
  start(profile: Profile): RunningCommand {
    return this.#start(renderPayload(profile, MACHINE_LOCK));
  }

  #start(payload: Payload): RunningCommand {
    const { create, stdin } = pack(payload);
    return this.machine.start(`sudo -n ${create}`, { user: MACHINE_USER, input: stdin });
  }

  /** Applies a payload, whose artifacts but for those with a content have been pushed, and waits for the answer. */
  async applyPayload(payload: Payload): Promise<DeviceAnswer> {
    for (const { storePath, content } of payload.artifacts)
      if (content !== undefined) this.machine.write(storePath, content);
    return readOutcome(await this.#start(payload).result);
  }

  /** Applies a profile and waits for the answer. */
  async apply(profile: Profile): Promise<DeviceAnswer> {
    return readOutcome(await this.start(profile).result);
  }

  /** What the preflight finds, as `edge-fleet doctor` asks for it: `id severity`. */
  async findings(profile: Profile): Promise<string[]> {
    const now = Math.round(Date.now() / 1000);
    const { script, stdin } = examinationScript({ profile, lock: MACHINE_LOCK, allowReboot: false }, now);
    const { code, stdout, stderr } = await this.machine.ssh(`exec /bin/sh -c '${script}'`, {
      user: MACHINE_USER,
      input: stdin,
    });
    assert.deepEqual([code, stderr], [0, ""]);
    const { findings } = JSON.parse(stdout) as { findings: { id: string; severity: string }[] };
    return findings.map(({ id, severity }) => `${id} ${severity}`);
  }

  /** stdout of a sh text that root runs and that must succeed. */
  async sh(text: string): Promise<string> {
    const { code, stdout, stderr } = await this.machine.ssh(text);
    assert.equal(code, 0, `${text}: ${stderr}${this.machine.read("/var/log/edge-fleet/apply.log").slice(-3000)}`);
    return stdout.trim();
  }

  /** Makes runs stand still at a step or file; empty: not. Also while the machine is off. */
  holdAt(point: string): void {
    this.#holding = point !== "";
    this.machine.write(HOLD, `${point}\n`);
  }

  /** Lets a run that stands still go on, and later ones not stand still. */
  async release(): Promise<void> {
    if (this.#holding) await this.sh("pkill -f '^sleep 3600$' || :");
    this.holdAt("");
  }

  /** Control group of the run that holds the lock. */
  runGroup(): Promise<string> {
    return this.sh("cat /proc/$(readlink /var/lib/edge-fleet/lock | cut -d . -f 1)/cgroup");
  }

  /** Waits until the run stands still. */
  async held(): Promise<void> {
    await this.until(`test -e ${HELD} && rm ${HELD}`, 30);
  }

  /** Waits until a sh text succeeds. */
  async until(condition: string, seconds: number): Promise<void> {
    const { code } = await this.machine.ssh(
      `n=0; until ${condition}; do n=$((n + 1)); [ "$n" -lt ${seconds * 10} ] || exit 1; sleep 0.1; done`,
    );
    const log = this.machine.read("/var/log/edge-fleet/apply.log");
    const journal = this.machine.read("/var/lib/edge-fleet/journal");
    assert.equal(code, 0, `not within ${seconds} s: ${condition}\n${journal}${log.slice(-3000)}`);
  }

  /** Waits until no run is under way and the API is ready. */
  async settled(): Promise<void> {
    await this.until(
      `{ [ "$(tail -n 1 /var/lib/edge-fleet/journal | cut -f 1)" = end ] && [ ! -L /var/lib/edge-fleet/lock ] &&
        [ "$(k3s kubectl get --raw=/readyz 2>/dev/null)" = ok ]; }`,
      40,
    );
  }

  /** Asserts that the machine runs exactly this profile and that nothing half-done lies about. */
  async assertIs(profile: Profile): Promise<void> {
    const report = await this.sh(`sha256sum </usr/local/bin/k3s | cut -d ' ' -f 1; cat /run/standin-k3s/version
      grep flannel-backend /etc/rancher/k3s/config.yaml; k3s kubectl get --raw=/readyz
      find /etc /usr/local /var/lib/edge-fleet -xdev \\( -name '.edge-fleet.*' -o -name '*.new' -o -name '.result' \\
        -o -name payload \\); ls -d /var/lib/edge-fleet/stage /run/edge-fleet.* 2>/dev/null; readlink /var/lib/edge-fleet/lock; :`);
    const { version, flannelBackend } = profile.k3s;
    const expected = [sha256(binaryOf(version)), version, `flannel-backend: ${flannelBackend}`, "ok"];
    assert.deepEqual(report.split("\n"), expected);
  }
}
