import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import type { Profile } from "../../../components/inventory/types.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { assertGolden } from "../../golden.ts";
import { describeFiles, fileOf, hasFile, yamlOf } from "./plan-files.ts";
import { buildProfile, MODELS } from "./profile.ts";

const CONFIG = "/etc/edge-fleet/microk8s";
const LAUNCH = "/etc/microk8s.yaml";
const { microk8s, network } = buildProfile();

const plan = (changes: Partial<Profile> = {}) =>
  renderDistribution(
    buildProfile({ distribution: "microk8s", microk8s: { ...microk8s, version: "v1.36.2" }, ...changes }),
  );

const DEVICES: Readonly<Record<string, Partial<Profile>>> = {
  ...Object.fromEntries(Object.entries(MODELS).filter(([, { memoryMiB }]) => memoryMiB >= 4096)),
  baseline: { security: "baseline", network: { ...network, dummyRoute: false } },
  wasm: {
    wasm: ["spin", "wasmtime"],
    registries: {
      "*": { endpoints: ["http://10.20.0.2:5000"] },
      "localhost:32000": { endpoints: ["http://10.20.0.2"] },
    },
    network: { ...network, nodeIp: "10.20.0.5", resolvConf: "/etc/edge-resolv.conf" },
    microk8s: { version: "v1.36.2", addons: ["hostpath-storage", "dns"] },
  },
};

for (const [name, changes] of Object.entries(DEVICES)) {
  test(`the files of MicroK8s on ${name} are as reviewed`, () => {
    assertGolden(`microk8s/${name}.txt`, describeFiles(plan(changes)));
  });
}

/** Lines of an argument file as a map. */
function argumentsOf(planned: ReturnType<typeof plan>, service: string): Record<string, string> {
  const lines = fileOf(planned, `${CONFIG}/args/${service}`).content.trimEnd().split("\n");
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));
}

test("the snap starts for the first time with the very arguments that it has later", () => {
  for (const changes of Object.values(DEVICES)) {
    const planned = plan(changes);
    const launch = yamlOf(planned, LAUNCH);
    assert.equal(launch.version, "0.2.0");
    assert.deepEqual(launch.extraKubeAPIServerArgs, argumentsOf(planned, "kube-apiserver"));
    assert.deepEqual(launch.extraKubeControllerManagerArgs, argumentsOf(planned, "kube-controller-manager"));
    assert.deepEqual(launch.extraKubeletArgs, argumentsOf(planned, "kubelet"));
  }
});

test("an argument is one line without blanks, quotes or variables, as kubelite reads it", () => {
  for (const changes of Object.values(DEVICES)) {
    for (const { path, content } of plan(changes).files.filter((file) => file.path.startsWith(`${CONFIG}/args/`))) {
      const lines = content.trimEnd().split("\n");
      for (const line of lines) assert.match(line, /^--[a-z][a-z-]*=[^\s"'$#]+$/, path);
      assert.equal(new Set(lines.map((line) => line.split("=")[0])).size, lines.length, path);
    }
  }
});

test("RBAC is always on, whatever the add-ons", () => {
  const planned = plan({ microk8s: { version: "v1.36.2", addons: ["dns"] }, security: "baseline" });
  assert.equal(argumentsOf(planned, "kube-apiserver")["--authorization-mode"], "RBAC,Node");
  assert.deepEqual(yamlOf(planned, LAUNCH).addons, [{ name: "dns" }, { name: "rbac" }]);
});

test("the DNS add-on's address goes to the kubelet and its deployment is waited for, unless it is left out", () => {
  assert.equal(argumentsOf(plan(), "kubelet")["--cluster-dns"], "10.152.183.10");
  assert.deepEqual(plan().deployments, ["coredns"]);
  const without = plan({ microk8s: { version: "v1.36.2", addons: ["rbac"] } });
  assert.equal("--cluster-dns" in argumentsOf(without, "kubelet"), false);
  assert.deepEqual(without.deployments, []);
  assert.match(without.warnings?.join() ?? "", /^microk8s\.addons: is without dns/);
});

test("a device without a store is told that no archive brings MicroK8s' images, unless it has a mirror", () => {
  const artifacts = { ...buildProfile().artifacts, images: true };
  assert.match(
    plan({ artifacts }).warnings?.join() ?? "",
    /^artifacts\.images: brings the snaps alone, .* - set registries /,
  );
  assert.deepEqual(plan({ artifacts, registries: { "*": { endpoints: ["https://m"] } } }).warnings, []);
});

test("thresholds, reservations and limits are those of the model", () => {
  const values = argumentsOf(plan({ kubelet: { maxPods: 40 } }), "kubelet");
  assert.equal(values["--eviction-hard"], "memory.available<200Mi,nodefs.available<5%,imagefs.available<5%");
  assert.equal(values["--system-reserved"], "cpu=100m,memory=200Mi");
  assert.deepEqual([values["--max-pods"], values["--serialize-image-pulls"]], ["40", "true"]);
});

test("what the snap reads only once, or by itself, needs no restart", () => {
  const live = plan(DEVICES.wasm)
    .files.filter((file) => file.live)
    .map(({ path }) => path);
  assert.deepEqual(live, [
    LAUNCH,
    `${CONFIG}/certs.d/_default/hosts.toml`,
    `${CONFIG}/certs.d/localhost_32000_/hosts.toml`,
    `${CONFIG}/runtimeclasses.yaml`,
    "/etc/systemd/journald.conf.d/90-edge-fleet.conf",
  ]);
});

test("shims are named by their absolute path, and classes carry the mark by which they are pruned", () => {
  const planned = plan(DEVICES.wasm);
  assert.match(
    fileOf(planned, `${CONFIG}/containerd.toml`).content,
    /\[plugins\."io\.containerd\.grpc\.v1\.cri"\.containerd\.runtimes\.spin\]\n {2}runtime_type = "\/usr\/local\/bin\/containerd-shim-spin-v2"\n/,
  );
  const classes = parseAllDocuments(fileOf(planned, `${CONFIG}/runtimeclasses.yaml`).content).map(
    (document) => document.toJS() as { metadata: { name: string; labels: Record<string, string> } },
  );
  assert.deepEqual(
    classes.map(({ metadata }) => [metadata.name, metadata.labels["app.kubernetes.io/managed-by"]]),
    ["spin", "wasmtime", "wasmtime-spin-v2"].map((name) => [name, "edge-fleet"]),
  );
});

test("without runtimes and mirrors the files that are edited in are empty, so that former ones are taken back", () => {
  for (const path of [`${CONFIG}/containerd.toml`, `${CONFIG}/runtimeclasses.yaml`])
    assert.match(fileOf(plan(), path).content, /^#[^\n]*\n$/);
  assert.equal(hasFile(plan(), `${CONFIG}/certs.d/_default/hosts.toml`), false);
});

const REFUSED: readonly [what: string, changes: Partial<Profile>, says: RegExp][] = [
  [
    "an old release",
    { microk8s: { ...microk8s, version: "v1.33.1" } },
    /microk8s\.version: v1\.33\.1 .* - use v1\.34\.0 or later$/,
  ],
  [
    "less than 4 GiB",
    { memoryMiB: 2048 },
    /memory: 2048 MiB .*snapd, dqlite and Calico - use a model with at least 4Gi, or distribution: k3s$/,
  ],
  ["a join", { joins: "edge-0002" }, /joins: edge-0002 is refused: MicroK8s runs as a single node here - use/],
  [
    "an interface",
    { network: { ...network, interface: "eth0" } },
    /network\.interface: .* - set network\.nodeIp instead$/,
  ],
  [
    "an address in the snap's pod network",
    { network: { ...network, nodeIp: "10.1.0.9" } },
    /network\.nodeIp: .* inside MicroK8s' pod network 10\.1\.0\.0\/16/,
  ],
];

for (const [what, changes, says] of REFUSED) {
  test(`${what} is refused with device, setting and fix`, () => {
    assert.throws(
      () => plan(changes),
      (reason: Error) => {
        assert.match(reason.message, /^device edge-0001: /);
        assert.match(reason.message.replace("device edge-0001: ", ""), says);
        return true;
      },
    );
  });
}
