/**
 * Where K3s and its installer surprise: files whose change restarts nothing, flags that beat files, a restart that blocks,
 * shims that outlive an uninstall, settings that only the first start takes, and objects that outlive their manifest.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import type { ArtifactsLock, Profile } from "../../components/inventory/index.ts";
import { payloadText, renderPayload } from "../../components/plan/payload.ts";
import { BROKEN, type Device, LOCK, NEW, OLD, profileWith, underEachShell } from "../lab/standins/apply-device.ts";
import { K3S_API_PATH, k3sApiStandin } from "../lab/standins/index.ts";
import { k0sStandin } from "../lab/standins/others.ts";
import { shimArchive } from "../lab/standins/shim.ts";
import { ensureToolchain } from "../lab/toolchain/index.ts";

const SHIM = shimArchive("#!/bin/sh\nexec sleep 1000\n");
/** Of the device in its own network, where the API is real. */
const ADDRESS = "10.250.0.1";
const SHIM_PATH = "/usr/local/bin/containerd-shim-spin-v2";
const old = profileWith(OLD);
const spin = profileWith(OLD, { wasm: ["spin"] });

/** A lock with the shim, which is put into the device's store. */
function withShim(device: Device, lock: ArtifactsLock = LOCK): ArtifactsLock {
  const file = { url: "http://127.0.0.1:9/spin.tar.gz", sha256: device.store(SHIM), size: SHIM.length };
  return { ...lock, wasm: { spin: { version: "v1", amd64: file, arm64: file } } };
}

/** Path and kind of every file that a device gets. */
function filesOf(profile: Profile): { path: string; live: boolean }[] {
  const lines = payloadText(renderPayload(profile, LOCK)).matchAll(/^file 0[0-7]{3} (live|restart) (\S+) \d+$/gm);
  return [...lines].map(([, kind, path = ""]) => ({ path, live: kind === "live" }));
}

underEachShell("traps", (get) => {
  test("every file that K3s reads only at a start restarts it when its bytes change, and no other does", () => {
    const { device } = get();
    device.install(old);
    const files = filesOf(old);
    const kinds = new Set(files.map(({ live }) => live));
    assert.ok(kinds.size === 2 && files.length >= 8, files.map(({ path }) => path).join(" "));
    for (const { path, live } of files) {
      const pid = device.pid();
      const sum = device.sh(`sha256sum ${path}`);
      device.sh(`echo '# edited' >>${path}`);
      assert.equal(device.apply(old).result, "applied", path);
      assert.equal(device.sh(`sha256sum ${path}`), sum, path);
      assert.equal(device.pid() === pid, live, `${path}: ${live ? "live" : "restart"}`);
      assert.equal(device.apply(old).result, "unchanged", path);
    }
    device.assertIs(old);
  });

  test("a setting that leaves the inventory leaves the device: nothing is merged with what was there", () => {
    const { device } = get();
    const disabling = (disable: Profile["k3s"]["disable"]): Profile => ({ ...old, k3s: { ...old.k3s, disable } });
    device.install(disabling(["traefik", "metrics-server"]));
    assert.equal(device.apply(disabling(["traefik"])).result, "applied");
    const config = device.sh("cat /etc/rancher/k3s/config.yaml");
    assert.match(config, /traefik/);
    assert.doesNotMatch(config, /metrics-server/);
    assert.equal(device.sh("cat /run/standin-k3s/config"), device.sh("cksum </etc/rancher/k3s/config.yaml"));
  });

  test("the bound on the journal holds at once, without a restart of K3s, and is gone with a first install that fails", () => {
    const { device } = get();
    const bounds = (): string => device.sh("grep -c '=50M$' /run/standin-systemd/journald 2>/dev/null || :");
    const before = "rm -rf /etc/systemd/journald.conf.d /run/standin-systemd/journald";
    device.sh(before);
    device.install(old);
    assert.equal(bounds(), "2");
    const pid = device.pid();
    device.sh("sed -i s/50M/4G/ /etc/systemd/journald.conf.d/*; systemctl restart systemd-journald");
    assert.deepEqual([bounds(), device.apply(old).result, bounds(), device.pid()], ["0", "applied", "2", pid]);
    device.wipe();
    device.sh(before);
    device.push(BROKEN);
    assert.equal(device.apply(profileWith(BROKEN, { readiness: { timeoutSeconds: 2 } })).result, "rolled-back");
    assert.equal(bounds(), "0");
  });

  test("the service has no flag and no variable that would beat its files", () => {
    const { device } = get();
    device.install(old);
    const unit = device.sh("cat /etc/systemd/system/k3s.service");
    assert.deepEqual(unit.match(/^ExecStart=.*$/gm), ["ExecStart=/usr/local/bin/k3s server"]);
    assert.doesNotMatch(unit, /^Environment=|K3S_|INSTALL_/m);
    assert.match(unit, /^TimeoutStartSec=0$/m);
    const pid = device.pid();
    assert.equal(device.sh(`tr '\\0' '\\n' </proc/${pid}/environ | grep -c '^K3S_' || :`), "0");
  });

  test("a start that never comes to its end blocks nothing: the run is over in its time, and rolled back", () => {
    const { device, sandbox } = get();
    device.install(old);
    sandbox.write(
      "/usr/local/sbin/systemctl",
      `#!/bin/sh
case "$*" in
  *--no-block*) ;;
  start\\ k3s* | restart\\ k3s*) sleep 1000 ;;
esac
exec /usr/local/bin/systemctl "$@"
`,
    );
    device.sh("chmod 755 /usr/local/sbin/systemctl");
    device.push(BROKEN);
    const started = performance.now();
    const { result, reason } = device.apply(profileWith(BROKEN, { readiness: { timeoutSeconds: 3 } }));
    device.sh("rm /usr/local/sbin/systemctl");
    assert.equal(result, "rolled-back", reason);
    assert.match(reason, /after 3 s; back on the previous state$/);
    assert.ok(performance.now() - started < 60_000);
    device.assertIs(old);
  });

  test("a shim that leaves the inventory, or a device that is erased, takes the shim's processes with it", () => {
    const { device } = get();
    device.install(old);
    const lock = withShim(device);
    const start = (): void => {
      assert.equal(device.apply(spin, lock).result, "applied");
      device.sh(`setsid ${SHIM_PATH} >/dev/null 2>&1 </dev/null & sleep 0.5`);
      assert.notEqual(running(), "0");
    };
    const running = (): string => device.sh("grep -l containerd-shim-spin /proc/[0-9]*/cmdline 2>/dev/null | wc -l");
    const left = (): string[] => [
      device.sh("ps -e -o args 2>/dev/null | grep -c '[c]ontainerd-shim-spin' || :"),
      device.sh(`ls ${SHIM_PATH} 2>/dev/null || echo gone`),
    ];
    start();
    assert.equal(device.apply(old, lock).result, "applied");
    assert.deepEqual(left(), ["0", "gone"]);
    start();
    assert.match(device.sh("/usr/local/sbin/edge-fleet-device remove edge-0001"), /"result":"removed"/);
    assert.deepEqual(left(), ["0", "gone"]);
    device.installProgram();
  });

  const K0S = "v1.36.3+k0s.2";
  const k0s: Profile = { ...old, distribution: "k0s", k0s: { ...old.k0s, version: K0S } };
  const fixed: readonly (readonly [string, Profile, (profile: Profile) => Profile])[] = [
    ["cluster-cidr", old, (profile) => ({ ...profile, k3s: { ...profile.k3s, clusterCidr: "10.62.0.0/16" } })],
    ["service-cidr", old, (profile) => ({ ...profile, k3s: { ...profile.k3s, serviceCidr: "10.63.0.0/16" } })],
    ["node-name", old, (profile) => ({ ...profile, id: "edge-0009" })],
    ["podCIDR", k0s, (profile) => ({ ...profile, k0s: { ...profile.k0s, podCidr: "10.62.0.0/16" } })],
    ["serviceCIDR", k0s, (profile) => ({ ...profile, k0s: { ...profile.k0s, serviceCidr: "10.63.0.0/16" } })],
  ];
  for (const [name, profile, change] of fixed) {
    test(`${name} is taken by the first start alone: a later change is refused, and nothing is touched`, () => {
      const { device, sandbox } = get();
      device.wipe();
      sandbox.run("systemctl stop k0scontroller; rm -rf /var/lib/k0s /etc/k0s /usr/local/bin/k0s /run/standin-k0s");
      device.push(OLD);
      const binary = k0sStandin(K0S);
      const file = { url: "http://127.0.0.1:9/k0s", sha256: device.store(binary), size: binary.length };
      const lock = { ...LOCK, k0s: { [K0S]: { amd64: file, arm64: file } } };
      const first = device.apply(change(profile), lock);
      assert.equal(first.result, "applied", first.reason);
      device.sh("mkdir -p /var/lib/rancher/k3s/server/tls");
      const pids = "systemctl show -p MainPID --value k3s; systemctl show -p MainPID --value k0scontroller";
      const before = device.sh(pids);
      const { result, reason } = device.apply(profile, lock);
      assert.equal(result, "failed");
      assert.match(
        reason,
        new RegExp(`^fixed: ${name} is \\S+ since the first start, the inventory says \\S+ - put it`),
      );
      assert.equal(device.sh(pids), before);
      assert.equal(device.apply(change(profile), lock).result, "unchanged");
      if (profile === k0s) device.sh("systemctl stop k0scontroller; rm -rf /var/lib/k0s /etc/k0s /usr/local/bin/k0s");
    });
  }
});

describe("with a real API", () => {
  let api = "";
  before(async () => {
    const { parts } = await ensureToolchain((line) => console.error(line), ["k3s-apiserver"]);
    api = parts[0]?.path ?? "";
  });

  underEachShell(
    "traps",
    (get) => {
      test("an object whose manifest leaves the inventory leaves the cluster, unless the run fails", () => {
        const { device } = get();
        device.wipe();
        const both = (sum: string) => {
          const file = { url: "http://127.0.0.1:9/k3s", sha256: sum, size: 1000 };
          return { amd64: file, arm64: file };
        };
        const releases = { [OLD]: k3sApiStandin(OLD), [NEW]: k3sApiStandin(NEW, { fault: "never-ready" }) };
        const locked = Object.entries(releases).map(([version, text]) => [version, both(device.store(text))] as const);
        const lock = withShim(device, { k3s: Object.fromEntries(locked) });
        const classes = (): string =>
          device.sh("k3s kubectl get runtimeclass wasmtime-spin-v2 --ignore-not-found -o name");
        const here = (profile: Profile): Profile => ({
          ...profile,
          network: { ...profile.network, nodeIp: ADDRESS, shape: "lan" },
        });
        const first = device.apply(here(spin), lock);
        assert.equal(first.result, "applied", `${first.reason}\n${device.sh("tail -n 20 /var/log/k3s.service.log")}`);
        assert.equal(classes(), "runtimeclass.node.k8s.io/wasmtime-spin-v2");
        const failing = profileWith(NEW, { readiness: { timeoutSeconds: 15 } });
        assert.equal(device.apply(here(failing), lock).result, "rolled-back");
        assert.equal(classes(), "runtimeclass.node.k8s.io/wasmtime-spin-v2");
        assert.equal(device.apply(here(old), lock).result, "applied");
        assert.equal(classes(), "");
        device.sh("! ls /var/lib/rancher/k3s/server/manifests/edge-fleet* 2>/dev/null");
      });
    },
    () => ({ address: ADDRESS, binds: { [K3S_API_PATH]: api } }),
  );
});
