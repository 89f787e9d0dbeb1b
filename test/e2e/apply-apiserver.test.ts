/**
 * A device whose Kubernetes API is real: the API server, the controllers and the kubectl of the pinned release obey what
 * edge-fleet has put on the device. A stand-in for K3s starts them, and no workload runs (toolchain/hub-apiserver/k3s).
 */
import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { before, test } from "node:test";
import { stringify } from "yaml";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { parseDeviceAnswer } from "../../components/device/result.ts";
import { WORKLOAD_NAMESPACE } from "../../components/gitops/labels.ts";
import { renderBase } from "../../components/gitops/scaffold.ts";
import { renderWasmSample } from "../../components/gitops/scaffold-wasm.ts";
import type { ArtifactsLock } from "../../components/inventory/schema.ts";
import type { Profile } from "../../components/inventory/types.ts";
import {
  type Device,
  NEW,
  OLD,
  profileWith,
  readOutcome,
  removeCommand,
  underEachShell,
} from "../lab/standins/apply-device.ts";
import { K3S_API_PATH, k3sApiStandin } from "../lab/standins/index.ts";
import { eventually, type Sandbox } from "../lab/standins/sandbox.ts";
import { shimArchive } from "../lab/standins/shim.ts";
import { ensureToolchain } from "../lab/toolchain/index.ts";
import { buildProfile } from "../unit/device/profile.ts";

const ADDRESS = "10.250.0.1";
const DATA = "/var/lib/rancher/k3s";
const DATABASE = `${DATA}/server/db/state.db`;
const BACKUPS = "/var/lib/edge-fleet/backups";
const KUBECTL = "k3s kubectl";
/** Succeeds once K3s remembers of each file in its folder that it has applied it as it is. */
const ADDONS_APPLIED = `set -eu; cd ${DATA}/server/manifests; for file in *.yaml; do
  sum=$(sha256sum <"$file")
  [ "$(${KUBECTL} get addon "\${file%%.*}" -n kube-system -o 'jsonpath={.spec.checksum}')" = "\${sum%% *}" ]
done`;
/** Releases by version; the new one's API answers, and its node never does. */
const BINARIES = { [OLD]: k3sApiStandin(OLD), [NEW]: k3sApiStandin(NEW, { fault: "never-ready" }) };
const SHIM = shimArchive("#!/bin/sh\nexec sleep 1000\n");

const { k3s, network } = buildProfile();
const FIRST: Profile = profileWith(OLD, {
  security: "cis",
  wasm: ["spin"],
  labels: { site: "shibuya", "app.kubernetes.io/part-of": "line-1", "example.com/old": "1" },
  taints: ["CriticalAddonsOnly=true:NoSchedule", "tier=old:PreferNoSchedule"],
  network: { ...network, nodeIp: ADDRESS, shape: "lan" },
  k3s: { ...k3s, version: OLD, clusterCidr: "10.52.0.0/16", serviceCidr: "10.53.0.0/16" },
});
const CHANGED: Profile = {
  ...FIRST,
  labels: { site: "ueno", "app.kubernetes.io/part-of": "line-1", "example.com/new": "1" },
  taints: ["CriticalAddonsOnly=true:PreferNoSchedule", "tier=new:PreferNoSchedule"],
};
const UPGRADED: Profile = { ...CHANGED, k3s: { ...FIRST.k3s, version: NEW }, readiness: { timeoutSeconds: 12 } };

/** Puts every artifact into the device's store. */
function lockOf(device: Device): ArtifactsLock {
  const both = (sum: string) => {
    const file = { url: "http://127.0.0.1:9/pushed", sha256: sum, size: 1000 };
    return { amd64: file, arm64: file };
  };
  const releases = Object.entries(BINARIES).map(([version, text]) => [version, both(device.store(text))] as const);
  return { k3s: Object.fromEntries(releases), wasm: { spin: { version: "v1", ...both(device.store(SHIM)) } } };
}

function applied(device: Device, profile: Profile): void {
  const { result, reason } = device.apply(profile, lockOf(device));
  assert.equal(result, "applied", `${reason}\n${device.sh("tail -n 20 /var/log/k3s.service.log")}`);
}

/** The objects of a kubectl command that answers in JSON. */
function get(device: Device, what: string) {
  return JSON.parse(device.sh(`${KUBECTL} get ${what} -o json`));
}

const nameOf = ({ metadata }: { metadata: { name: string } }) => metadata.name;

/** A pod that Pod Security does not let pass as restricted. */
const PRIVILEGED = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[{"name":"c",
  "image":"lab.invalid/c","securityContext":{"privileged":true}}]}}`;

const createPrivileged = (namespace: string) =>
  `echo '${PRIVILEGED}' | ${KUBECTL} create --dry-run=server -n ${namespace} -f - 2>&1`;

/** Copies the datastore with the device program, as its timer does. @returns the copy's folder */
function backUp(device: Device): string {
  device.sh(`rm -rf ${BACKUPS}; ${PROGRAM_PATH} maintain`);
  const copies = device.sh(`ls ${BACKUPS}`).split("\n");
  assert.equal(copies.length, 1, device.sh("tail -n 5 /var/log/edge-fleet/apply.log"));
  return `${BACKUPS}/${copies[0]}`;
}

/** Opens a copy outside of the device, since SQLite does not take a path through another process's root. */
function query(sandbox: Sandbox, backup: string, statement: string) {
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-datastore-"));
  try {
    for (const name of ["state.db", "state.db-wal"]) {
      const file = `${sandbox.root}${backup}/db/${name}`;
      if (existsSync(file)) copyFileSync(file, join(folder, name));
    }
    const database = new DatabaseSync(join(folder, "state.db"));
    const rows = database.prepare(statement).all();
    database.close();
    return rows;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Asserts that a copy is whole and holds a ConfigMap of the namespace default. */
function assertHolds(sandbox: Sandbox, backup: string, name: string): void {
  assert.deepEqual(query(sandbox, backup, "PRAGMA integrity_check").map(Object.values), [["ok"]]);
  const rows = `SELECT count(*) AS n FROM kine WHERE name = '/registry/configmaps/default/${name}' AND deleted = 0`;
  assert.equal(query(sandbox, backup, rows)[0]?.n, 1);
}

let api = "";
before(async () => {
  const { parts } = await ensureToolchain((line) => console.error(line), ["k3s-apiserver"]);
  api = parts[0]?.path ?? "";
});

underEachShell(
  "a real API",
  (of, shell) => {
    test("starts with the policies and flags of the device", () => {
      const { device } = of();
      applied(device, FIRST);
      assert.equal(device.sh(`${KUBECTL} get --raw=/readyz`), "ok");
      const node = get(device, `node ${FIRST.id}`);
      assert.match(node.spec.podCIDR, /^10\.52\./);
      assert.equal(node.status.nodeInfo.kubeletVersion, OLD);
      assert.equal(get(device, "service kubernetes").spec.clusterIP, "10.53.0.1");
      assert.equal(device.sh("stat -c %a /etc/rancher/k3s/k3s.yaml"), "600");
      assert.equal(device.sh(`stat -c %a ${DATA}/server/logs ${DATA}/server/logs/audit.log`), "700\n600");
    });

    test("writes what people and workloads change into the audit log, and no heartbeats", () => {
      const { device } = of();
      device.sh(`${KUBECTL} create configmap audited --from-literal=key=value-not-logged`);
      const lines = device.sh(`cat ${DATA}/server/logs/audit.log`).split("\n");
      const events = lines.map((line) => JSON.parse(line));
      const created = events.filter(({ objectRef, verb }) => verb === "create" && objectRef?.name === "audited");
      assert.deepEqual(
        created.map(({ level, stage, user }) => [level, stage, user.username]),
        [["Metadata", "ResponseComplete", "system:admin"]],
      );
      assert.doesNotMatch(lines.join("\n"), /value-not-logged/);
      const silent = events.filter(({ objectRef, verb }) =>
        objectRef?.resource === "leases" || objectRef?.resource === "events" || ["get", "list", "watch"].includes(verb)
          ? objectRef?.resource !== "secrets"
          : false,
      );
      assert.deepEqual(silent, []);
    });

    test("refuses a privileged pod but in kube-system", () => {
      const { device, sandbox } = of();
      device.sh(`for n in fresh argocd flux-system; do ${KUBECTL} create namespace $n; done`);
      for (const namespace of ["fresh", "flux-system", "argocd"]) {
        const { code, stdout } = sandbox.run(createPrivileged(namespace));
        assert.equal(code, 1);
        assert.match(stdout, /pods "p" is forbidden: violates PodSecurity "restricted:latest": privileged/);
      }
      assert.equal(device.sh(createPrivileged("kube-system")), "pod/p created (server dry run)");
    });

    test("stores Secrets encrypted with secretbox, and the key in a file of its own", () => {
      const { device, sandbox } = of();
      device.sh(`${KUBECTL} create secret generic hidden --from-literal=key=cleartext-of-a-secret`);
      const name = "/registry/secrets/default/hidden";
      const rows = query(sandbox, backUp(device), `SELECT value FROM kine WHERE name = '${name}'`);
      assert.equal(rows.length, 1);
      assert.match(Buffer.from(rows[0]?.value as Uint8Array).toString("latin1"), /^k8s:enc:secretbox:v1:secretboxkey:/);
      for (const file of [DATABASE, `${DATABASE}-wal`]) {
        assert.ok(!readFileSync(sandbox.root + file).includes("cleartext-of-a-secret"), file);
      }
      assert.equal(device.sh(`stat -c %a ${DATA}/server/cred/encryption-config.json`), "600");
      assert.equal(
        device.sh(`${KUBECTL} get secret hidden -o jsonpath={.data.key} | base64 -d`),
        "cleartext-of-a-secret",
      );
    });

    test("changes labels and taints of the running node, and removes those that are gone", () => {
      const { device } = of();
      const pid = device.pid();
      applied(device, CHANGED);
      assert.equal(device.pid(), pid);
      const { metadata, spec } = get(device, `node ${FIRST.id}`);
      const { site, "app.kubernetes.io/part-of": line, "example.com/new": added } = metadata.labels;
      assert.deepEqual([site, line, added], ["ueno", "line-1", "1"]);
      assert.ok(!("example.com/old" in metadata.labels));
      const taints = spec.taints.map((one: Record<string, string>) => `${one.key}=${one.value}:${one.effect}`);
      assert.deepEqual(taints.sort(), CHANGED.taints);
      assert.equal(device.apply(CHANGED, lockOf(device)).result, "unchanged");
      assert.equal(device.pid(), pid);
    });

    test("does without a taint that somebody has taken off before", () => {
      const { device } = of();
      const pid = device.pid();
      device.sh(`${KUBECTL} taint node ${FIRST.id} tier-`);
      applied(device, { ...CHANGED, taints: [] });
      assert.equal(get(device, `node ${FIRST.id}`).spec.taints, undefined);
      applied(device, CHANGED);
      assert.equal(device.pid(), pid);
    });

    test("takes the RuntimeClasses, and the scaffolded workloads under the restricted level", async () => {
      const { device, sandbox } = of();
      await eventually(sandbox, `${KUBECTL} get runtimeclass wasmtime-spin-v2`);
      const { handler, scheduling } = get(device, "runtimeclass wasmtime-spin-v2");
      assert.deepEqual([handler, scheduling.nodeSelector], ["spin", { "edge-fleet.dev/wasm-spin": "true" }]);
      await eventually(sandbox, ADDONS_APPLIED);
      for (const [path, content] of [...renderBase(), ...renderWasmSample("spin")]) {
        sandbox.write(`/tmp/tree/${path}`, content);
      }
      sandbox.write(
        "/tmp/tree/kustomization.yaml",
        stringify({ namespace: WORKLOAD_NAMESPACE, resources: ["base"], components: ["components/wasm/spin"] }),
      );
      device.sh(`${KUBECTL} apply -k /tmp/tree`);
      const names = (what: string) => get(device, `${what} -n ${WORKLOAD_NAMESPACE}`).items.map(nameOf).sort();
      assert.deepEqual(names("networkpolicies"), ["allow-spin-hello", "allow-web", "default-deny"]);
      for (const name of ["web", "spin-hello"]) {
        await eventually(sandbox, `${KUBECTL} rollout status deployment ${name} -n ${WORKLOAD_NAMESPACE} --timeout=2s`);
      }
      const [pod] = get(device, `pods -n ${WORKLOAD_NAMESPACE} -l app.kubernetes.io/name=web`).items;
      const seconds = pod.spec.tolerations.map((one: { tolerationSeconds?: number }) => one.tolerationSeconds);
      assert.deepEqual(seconds, [900, 900]);
    });

    for (const tool of ["with sqlite3", "without sqlite3"]) {
      test(`is copied ${tool} while it is written, and the copy is whole`, async () => {
        const { device, sandbox } = of();
        if (tool === "without sqlite3") device.sh("rm -f /usr/bin/sqlite3");
        else if (sandbox.run("command -v sqlite3").code !== 0) return;
        device.sh(`rm -f /tmp/burst.*; ${KUBECTL} create configmap before-${tool.replace(" ", "-")}`);
        const items = Array.from({ length: 100 }, (_, n) => ({
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: { generateName: "burst-" },
          data: { n: `${n}`, filling: "x".repeat(4000) },
        }));
        sandbox.write("/tmp/burst.json", JSON.stringify({ apiVersion: "v1", kind: "List", items }));
        const burst = `until [ -e /tmp/burst.stop ]; do ${KUBECTL} create -f /tmp/burst.json >>/tmp/burst.out; done`;
        const writing = sandbox.start(burst, "");
        await eventually(sandbox, "[ -s /tmp/burst.out ]");
        const written = () => Number(device.sh("wc -l </tmp/burst.out"));
        const start = written();
        const backup = backUp(device);
        assert.ok(written() > start, "the API was written meanwhile");
        device.sh(": >/tmp/burst.stop");
        assert.equal((await writing).code, 0);
        assertHolds(sandbox, backup, `before-${tool.replace(" ", "-")}`);
        device.sh(`cmp ${backup}/token ${DATA}/server/token`);
      });
    }

    // Under one shell alone, because of its time: the way back under both is what apply-recovery.test.ts is about.
    const once = shell === "busybox" ? test : () => undefined;
    once("goes back with its data to before an upgrade that does not become ready", async () => {
      const { device, sandbox } = of();
      device.sh(`${KUBECTL} create configmap kept`);
      const upgrade = device.start(UPGRADED, lockOf(device));
      await eventually(
        sandbox,
        `tr '\\0' ' ' </proc/$(systemctl show -p MainPID --value k3s)/cmdline | grep -qF ' ${NEW} server' &&
        ${KUBECTL} create configmap of-the-new-release`,
      );
      const { result, reason } = readOutcome(await upgrade);
      assert.deepEqual(
        [result, reason],
        ["rolled-back", `not-ready: node ${FIRST.id} is not Ready after 12 s; back on the previous state`],
      );
      assert.equal(get(device, "configmap kept").metadata.name, "kept");
      assert.match(sandbox.run(`${KUBECTL} get configmap of-the-new-release`).stderr, /NotFound/);
      assert.equal(
        device.sh(`${KUBECTL} get secret hidden -o jsonpath={.data.key} | base64 -d`),
        "cleartext-of-a-secret",
      );
      assert.equal(get(device, `node ${FIRST.id}`).status.nodeInfo.kubeletVersion, OLD);
      assertHolds(sandbox, backUp(device), "kept");
    });

    test("is cordoned and drained before it is erased, and nothing of it stays", async () => {
      const { sandbox } = of();
      const removal = sandbox.start(removeCommand(FIRST.id), "");
      await eventually(sandbox, `${KUBECTL} get node ${FIRST.id} -o jsonpath={.spec.unschedulable} | grep -qx true`);
      assert.equal(parseDeviceAnswer((await removal).stdout)?.result, "removed");
      const left = `ls -d /etc/rancher /var/lib/rancher /usr/local/bin/k3s /usr/local/bin/containerd-shim-* /var/lib/edge-fleet \\
        /etc/systemd/system/k3s.service 2>/dev/null; readlink /proc/[0-9]*/exe | grep k3s`;
      assert.equal(sandbox.run(left).stdout, "");
    });
  },
  () => ({ address: ADDRESS, binds: { [K3S_API_PATH]: api } }),
);
