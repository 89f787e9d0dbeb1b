/**
 * The device of the apply script's test: a sandbox, stand-in releases with and without faults, and the real rendered
 * script, made quick and able to kill itself at any step.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  type ApplyResult,
  packApplyScript,
  parseApplyResult,
  renderApplyScript,
} from "../../../components/device/apply.ts";
import { ARTIFACT_STORE } from "../../../components/device/artifact.ts";
import type { ArtifactsLock } from "../../../components/inventory/schema.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { ARTIFACTS, buildProfile } from "../../unit/device/profile.ts";
import { k3sStandin } from "./index.ts";
import type { Sandbox, SandboxOutcome } from "./sandbox.ts";

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
/** Stand-in binaries by release. */
export const RELEASES: Readonly<Record<string, string>> = {
  [OLD]: k3sStandin(OLD),
  [NEW]: k3sStandin(NEW),
  [SLOW]: k3sStandin(SLOW, { readySeconds: 3 }),
  [BROKEN]: k3sStandin(BROKEN, { fault: "never-ready" }),
  [CRASHING]: k3sStandin(CRASHING, { fault: "crash" }),
};
/** SHA-256 of a text, in hex. */
export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** A lock of all releases as served below a base URL. */
export function lockFor(url: string): ArtifactsLock {
  const entries = Object.entries(RELEASES).map(([version, text]) => {
    const file = { url: `${url}/${version}/k3s`, sha256: sha256(text), size: text.length };
    return [version, { amd64: file, arm64: file }] as const;
  });
  return { k3s: Object.fromEntries(entries) };
}

/** A lock for devices to which artifacts are pushed. */
export const LOCK = lockFor("http://127.0.0.1:9");

/** A pushed device with this release and 30 s to become ready. */
export function profileWith(version: string, changes: Partial<Profile> = {}): Profile {
  const base = buildProfile({ architecture: process.arch === "arm64" ? "arm64" : "amd64" });
  return {
    ...base,
    k3s: { ...base.k3s, version },
    artifacts: { ...ARTIFACTS, delivery: "push", mirror: undefined },
    readiness: { timeoutSeconds: 30 },
    ...changes,
  };
}

/** Counts files as they are put, and as they are brought back. */
const KILL_IN_PUT = 'c=$((c + 1)); case $STEP in rollback) kill_at "restore$c" ;; *) kill_at "put$c" ;; esac';

/** Makes the script quick, and lets it kill itself where /etc/edge-fleet-lab/kill says so. */
function instrument(text: string): string {
  const kill = 'kill_at() { [ "$1" != "$(cat /etc/edge-fleet-lab/kill 2>/dev/null)" ] || kill -9 $$; }';
  const edits: readonly (readonly [string, string])[] = [
    ["\nPOLL=2\n", `\nPOLL=0.2 c=0\n${kill}\n`],
    ["    sleep 1\n", "    sleep 0.2\n"],
    ['  journal "$1" begin\n', '  journal "$1" begin\n  kill_at "$1"\n'],
    ['  mv -f "$t" "$2"\n', `  ${KILL_IN_PUT}\n  mv -f "$t" "$2"\n`],
    ['  mv -f "$t" "$JOURNAL"\n', '  mv -f "$t" "$JOURNAL"\n  kill_at begin\n'],
    ["  enter rollback\n", "  c=0\n  enter rollback\n"],
    ['    finished || journal end "$RESULT"\n', '    kill_at end\n    finished || journal end "$RESULT"\n'],
  ];
  return edits.reduce((script, [from, to]) => {
    assert.equal(script.split(from).length, 2, `the script has ${from} once`);
    return script.replace(from, () => to);
  }, text);
}

/** A sandbox as a device of edge-fleet. */
export class Device {
  readonly #sandbox: Sandbox;

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
  }

  /** Puts an artifact into the store, as `edge-fleet push` does. */
  push(version: string, content = RELEASES[version] ?? ""): void {
    this.#sandbox.write(`${ARTIFACT_STORE}/${sha256(RELEASES[version] ?? "")}`, content);
  }

  /** What is sent to the device: the real script, instrumented. */
  packed(profile: Profile, lock = LOCK): { create: string; stdin: string } {
    const script = renderApplyScript(profile, lock);
    return packApplyScript({ ...script, text: instrument(script.text) });
  }

  /** Applies a profile and waits for the answer. */
  apply(profile: Profile, lock = LOCK): ApplyResult {
    const { create, stdin } = this.packed(profile, lock);
    return readOutcome(this.#sandbox.run(create, stdin));
  }

  /** Starts to apply a profile. */
  start(profile: Profile, lock = LOCK): Promise<SandboxOutcome> {
    const { create, stdin } = this.packed(profile, lock);
    return this.#sandbox.start(create, stdin);
  }

  /** stdout of a sh text that must succeed. */
  sh(text: string): string {
    const { code, stdout, stderr } = this.#sandbox.run(text);
    assert.equal(code, 0, `${text}: ${stderr}${this.#sandbox.run("tail -n 30 /var/log/edge-fleet/apply.log").stdout}`);
    return stdout.trim();
  }

  /** Process id of the service, 0 when it does not run. */
  pid(): string {
    return this.sh("systemctl show -p MainPID --value k3s");
  }

  /** Makes the next run kill itself with SIGKILL at a step or file; empty: not. */
  killAt(point: string): void {
    this.#sandbox.write("/etc/edge-fleet-lab/kill", `${point}\n`);
  }

  /** Back to a device that edge-fleet has never seen. */
  wipe(): void {
    this.killAt("");
    this.sh(`systemctl stop k3s 2>/dev/null || :; systemctl disable k3s
      rm -rf /etc/rancher /var/lib/rancher /var/lib/edge-fleet /var/log/edge-fleet /usr/local/bin/k3s \\
        /etc/systemd/system/k3s.service /etc/sysctl.d/90-edge-fleet.conf /run/standin-k3s; systemctl daemon-reload`);
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
      -o -name '*.part' -o -name 'tmp.*' -o -name '.result' -o -name '.apply.sh' \\) 2>/dev/null; ls -d /var/lib/edge-fleet/stage 2>/dev/null; readlink /var/lib/edge-fleet/lock; :`;
    assert.equal(this.sh(leftovers), "");
  }
}

/** The answer of a run; its stdout is exactly one line and its exit code agrees. */
export function readOutcome({ code, stdout, stderr }: SandboxOutcome): ApplyResult {
  assert.equal(stderr, "");
  assert.match(stdout, /^\{[^\n]+\}\n$/, "stdout is exactly one line");
  const result = parseApplyResult(stdout);
  assert.equal(code, ["applied", "unchanged"].includes(result.result) ? 0 : 1);
  return result;
}

/** The same profile with another flannel backend: a change that needs a restart. */
export function flannel(profile: Profile, flannelBackend: string): Profile {
  return { ...profile, k3s: { ...profile.k3s, flannelBackend } };
}
