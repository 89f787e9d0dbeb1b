/**
 * The device of the device program's tests: a sandbox, stand-in releases with and without faults, and the real device
 * program, made quick and able to kill itself at any step.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe } from "node:test";
import { PROGRAM_PATH } from "../../../components/device/program.ts";
import { type DeviceAnswer, parseDeviceAnswer } from "../../../components/device/result.ts";
import type { ArtifactsLock } from "../../../components/inventory/schema.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { ARTIFACT_STORE } from "../../../components/plan/artifact.ts";
import type { RenderContext } from "../../../components/plan/distributions/distribution-plan.ts";
import { type Payload, payloadText, renderPayload } from "../../../components/plan/payload.ts";
import { ARTIFACTS, buildProfile } from "../../unit/device/profile.ts";
import { DEFINITIONS, ENGINE } from "./engine-lock.ts";
import { k3sStandin } from "./index.ts";
import { locked, sha256 } from "./locked.ts";
import { PROGRAM } from "./quick-program.ts";
import { Sandbox, type SandboxOptions, type SandboxOutcome, type SandboxShell } from "./sandbox.ts";

export { ENGINE } from "./engine-lock.ts";
export { locked, sha256 } from "./locked.ts";

/** Release that works. */
export const OLD = "v1.36.2+k3s1";
/** Release that works, to upgrade to. */
export const NEW = "v1.36.4+k3s1";
/** Release that needs three seconds to become ready. */
export const SLOW = "v1.36.3+k3s1";
/** Release that starts and never becomes ready. */
export const BROKEN = "v1.36.5+k3s1";
/** Release that exits at once. */
export const CRASHING = "v1.36.6+k3s1";
/** Release that changes the datastore and never becomes ready. */
export const MIGRATING = "v1.36.7+k3s1";
/** Stand-in binaries by release. */
export const RELEASES: Readonly<Record<string, string>> = {
  [OLD]: k3sStandin(OLD),
  [NEW]: k3sStandin(NEW),
  [SLOW]: k3sStandin(SLOW, { readySeconds: 3 }),
  [BROKEN]: k3sStandin(BROKEN, { fault: "never-ready" }),
  [CRASHING]: k3sStandin(CRASHING, { fault: "crash" }),
  [MIGRATING]: k3sStandin(MIGRATING, { fault: "migrate" }),
};
/** A lock of all releases as served below a base URL. */
export function lockFor(url: string): ArtifactsLock {
  const entries = Object.entries(RELEASES).map(([version, text]) => {
    const file = locked(text, `${url}/${version}/k3s`);
    return [version, { amd64: file, arm64: file }] as const;
  });
  return { k3s: Object.fromEntries(entries), ...ENGINE };
}

/** A lock for devices to which artifacts are pushed. */
export const LOCK = lockFor("http://127.0.0.1:9");

/** A profile of this machine's architecture, with pushed artifacts and 2 min to become ready. */
export function pushedProfile(changes: Partial<Profile>): Profile {
  return buildProfile({
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    artifacts: { ...ARTIFACTS, delivery: "push" },
    readiness: { timeoutSeconds: 120 },
    ...changes,
  });
}

/** Such a profile with this release of K3s. */
export function profileWith(version: string, changes: Partial<Profile> = {}): Profile {
  return pushedProfile({ k3s: { ...buildProfile().k3s, version }, ...changes });
}

/** A command and its stdin. */
export interface Packed {
  readonly create: string;
  readonly stdin: string;
}

/** Applies a payload. */
export function pack(payload: Payload): Packed {
  return { create: `${PROGRAM_PATH} apply`, stdin: payloadText(payload) };
}

/** Takes a device out of the fleet. */
export function removeCommand(id: string): string {
  return `${PROGRAM_PATH} remove ${id}`;
}

/** What tests under a shell work on, once the sandbox has started. */
export type Subject<D extends Device> = () => { device: D; sandbox: Sandbox };

/**
 * Defines tests that run under dash and under busybox ash, each on a device of its own.
 * @param options asked when the sandbox starts. Default: none
 */
export function underEachShell(
  title: string,
  define: (get: Subject<Device>, shell: SandboxShell) => void,
  options?: () => SandboxOptions,
): void {
  underEachShellAs(Device, title, define, options);
}

/** The same, on devices of another kind. */
export function underEachShellAs<D extends Device>(
  Kind: new (sandbox: Sandbox) => D,
  title: string,
  define: (get: Subject<D>, shell: SandboxShell) => void,
  options?: () => SandboxOptions,
): void {
  for (const shell of ["dash", "busybox"] satisfies SandboxShell[]) {
    describe(`${title} under ${shell}`, () => {
      let present: { device: D; sandbox: Sandbox } | undefined;
      before(async () => {
        const sandbox = await Sandbox.start(shell, options?.());
        present = { sandbox, device: new Kind(sandbox) };
        present.device.enroll();
      });
      after(() => present?.sandbox.stop());
      define(() => {
        assert.ok(present, "the sandbox has started");
        return present;
      }, shell);
    });
  }
}

/** A sandbox as a device of edge-fleet. */
export class Device {
  readonly #sandbox: Sandbox;
  #boots = 0;

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
  }

  /** Puts an artifact into the store, as a dial that sends it does. */
  push(version: string, content = RELEASES[version] ?? ""): void {
    this.#sandbox.write(`${ARTIFACT_STORE}/${sha256(RELEASES[version] ?? "")}`, content);
  }

  /** Makes it a device to which a profile can be applied. */
  enroll(): void {
    this.installProgram();
  }

  /** Installs the program and its units, as the first dial does. */
  installProgram(program = PROGRAM): void {
    this.#sandbox.write("/tmp/program", program.text);
    assert.equal(this.sh("sh /tmp/program install; rm /tmp/program"), `program ${program.sha256}`);
    this.sh(`test -x ${PROGRAM_PATH}`);
  }

  /** What is sent to the device, which has the engine's manifests then. */
  packed(profile: Profile, lock = LOCK, context: RenderContext = {}): Packed {
    const payload = renderPayload(profile, lock, context);
    const manifests = payload.artifacts.filter(({ kind }) => kind === "manifest");
    if (manifests.length > 0)
      for (const text of [...manifests.flatMap(({ content }) => content ?? []), ...DEFINITIONS.map(({ text }) => text)])
        this.store(text);
    return pack(payload);
  }

  /** Applies a profile and waits for the answer. */
  apply(profile: Profile, lock?: ArtifactsLock, context?: RenderContext): DeviceAnswer {
    const { create, stdin } = this.packed(profile, lock, context);
    return readOutcome(this.#sandbox.run(create, stdin));
  }

  /** Wipes the device and applies a profile, which must work. */
  install(profile: Profile): void {
    this.wipe();
    this.push(profile.k3s.version);
    const { result, reason } = this.apply(profile);
    assert.equal(result, "applied", reason);
  }

  /** Applies a payload given as text. */
  applyText(payload: string): DeviceAnswer {
    return readOutcome(this.#sandbox.run(`${PROGRAM_PATH} apply`, payload));
  }

  /** Starts to apply a profile. */
  start(profile: Profile, lock?: ArtifactsLock): Promise<SandboxOutcome> {
    const { create, stdin } = this.packed(profile, lock);
    return this.#sandbox.start(create, stdin);
  }

  /** stdout of a sh text that must succeed. */
  sh(text: string): string {
    const { code, stdout, stderr } = this.#sandbox.run(text);
    assert.equal(code, 0, `${text}: ${stderr}${this.#sandbox.run("tail -n 30 /var/log/edge-fleet/apply.log").stdout}`);
    return stdout.trim();
  }

  /** Writes a file of the device, with its folders. */
  write(path: string, content: string | Uint8Array): void {
    this.#sandbox.write(path, content);
  }

  /** Process id of the service, 0 when it does not run. */
  pid(service = "k3s"): string {
    return this.sh(`systemctl show -p MainPID --value ${service}`);
  }

  /** Makes the next run kill itself with SIGKILL at a step or file; empty: not. */
  killAt(point: string): void {
    this.#sandbox.write("/etc/edge-fleet-lab/kill", `${point}\n`);
  }

  /** Puts a file into the store under its own sum. One that is there keeps its time, as a dial leaves it alone. */
  store(content: string | Uint8Array): string {
    const sum = sha256(content);
    const path = `${ARTIFACT_STORE}/${sum}`;
    if (!existsSync(this.#sandbox.root + path)) this.#sandbox.write(path, content);
    return sum;
  }

  /** Another boot id, as after a boot that nothing was left of. */
  newBoot(): void {
    this.#sandbox.write("/run/boot-id", `boot-${++this.#boots}\n`);
    this.sh(`umount /proc/sys/kernel/random/boot_id 2>/dev/null || :
      mount --bind /run/boot-id /proc/sys/kernel/random/boot_id`);
  }

  /** A power cut: every process of the device ends at once; then the boot, with the units that the device has enabled. */
  powerCycle(): void {
    this.sh(`for exe in /proc/[0-9]*/exe; do p=\${exe#/proc/}; p=\${p%/exe}
        case $(tr '\\0' ' ' <"/proc/$p/cmdline" 2>/dev/null) in *edge-fleet-device* | 'sleep 2147483647 ') [ "$p" = $$ ] || kill -9 "$p" ;; esac
      done; rm -rf /run/standin-systemd/*.timer /run/standin-k3s /run/edge-fleet.*`);
    this.newBoot();
    this.sh(`ls /etc/systemd/system/multi-user.target.wants/edge-fleet-recover.service >/dev/null
      [ ! -e /var/lib/edge-fleet/journal ] || ${PROGRAM_PATH} recover; systemctl is-enabled k3s >/dev/null 2>&1 && systemctl start k3s || :`);
  }

  /** Waits until no run is under way and the API is ready. */
  async settle(): Promise<void> {
    for (let tries = 0; tries < 600; tries++) {
      const state = "tail -n 1 /var/lib/edge-fleet/journal | cut -f 1; readlink /var/lib/edge-fleet/lock || :";
      if (this.sh(`${state}; k3s kubectl get --raw=/readyz 2>/dev/null || :`) === "end\nok") return;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.fail(
      `the run does not end: ${this.sh("cat /var/lib/edge-fleet/journal; tail -n 20 /var/log/edge-fleet/apply.log")}`,
    );
  }

  /** Back to a device that edge-fleet has never seen. */
  wipe(): void {
    this.killAt("");
    this.sh(`systemctl stop k3s 2>/dev/null || :; systemctl stop k3s-agent 2>/dev/null || :; systemctl disable k3s; systemctl disable k3s-agent
      rm -rf /etc/rancher /var/lib/rancher /var/lib/standin-k3s-site /var/lib/edge-fleet /var/log/edge-fleet /usr/local/bin/k3s /usr/local/bin/containerd-shim-* \\
        /etc/systemd/system/k3s.service* /etc/systemd/system/k3s-agent.service* /etc/sysctl.d/90-edge-fleet.conf /run/standin-k3s /run/edge-fleet.*; systemctl daemon-reload`);
  }

  /** Asserts that the device is exactly what the profile says, is running that, and that nothing is left over. */
  assertIs(profile: Profile): void {
    const version = profile.k3s.version;
    assert.equal(this.sh("sha256sum </usr/local/bin/k3s | cut -d ' ' -f 1"), sha256(RELEASES[version] ?? ""));
    assert.equal(this.sh("cat /run/standin-k3s/version"), version);
    assert.equal(this.sh("cat /run/standin-k3s/config"), this.sh("cksum </etc/rancher/k3s/config.yaml"));
    assert.match(
      this.sh("cat /etc/rancher/k3s/config.yaml"),
      new RegExp(`flannel-backend: ${profile.k3s.flannelBackend}\n`),
    );
    assert.equal(this.sh("k3s kubectl get --raw=/readyz; systemctl is-enabled k3s"), "ok\nenabled");
    this.assertTidy();
  }

  /** Asserts that no temporary file, stage or lock is left. */
  assertTidy(): void {
    const leftovers = `find /etc /usr/local /var/lib/edge-fleet /var/lib/rancher /tmp -xdev \\( -name '.edge-fleet.*' -o -name '*.new' \\
      -o -name '*.part' -o -name 'tmp.*' -o -name '.result' -o -name '*payload*' \\) 2>/dev/null; ls -d /run/edge-fleet.* 2>/dev/null; ls -d /var/lib/edge-fleet/stage 2>/dev/null; readlink /var/lib/edge-fleet/lock; :`;
    assert.equal(this.sh(leftovers), "");
  }
}

/** The answer of a run; its stdout is exactly one line and its exit code agrees. */
export function readOutcome({ code, stdout, stderr }: SandboxOutcome): DeviceAnswer {
  assert.equal(stderr, "");
  assert.match(stdout, /^\{[^\n]+\}\n$/, "stdout is exactly one line");
  const result = parseDeviceAnswer(stdout);
  assert.ok(result, stdout);
  assert.equal(code, ["applied", "unchanged"].includes(result.result) ? 0 : 1);
  return result;
}

/** The same profile with another flannel backend: a change that needs a restart. */
export function flannel(profile: Profile, flannelBackend: Profile["k3s"]["flannelBackend"]): Profile {
  return { ...profile, k3s: { ...profile.k3s, flannelBackend } };
}
