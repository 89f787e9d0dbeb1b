import assert from "node:assert/strict";
import { test } from "node:test";
import { parse as parseToml } from "smol-toml";
import type { Profile, WasmRuntime } from "../../../components/inventory/types.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { fileOf } from "./plan-files.ts";
import { buildProfile } from "./profile.ts";

const { k0s, microk8s } = buildProfile();
const WASM: readonly WasmRuntime[] = ["spin", "wasmtime", "wasmedge", "wasmer"];
const REGISTRIES: Profile["registries"] = {
  "*": { endpoints: ["http://10.20.0.2:5000"] },
  "docker.io": { endpoints: ["https://mirror.example.com/v2/hub", "https://other.example.com"] },
  "registry.example.com:5000": { endpoints: ["https://mirror.example.com"] },
};

/** TOML as plain objects: the parser's have no prototype. */
const parse = (text: string): unknown => JSON.parse(JSON.stringify(parseToml(text)));

const k0sPlan = (version: string) =>
  renderDistribution(
    buildProfile({
      distribution: "k0s",
      k0s: { ...k0s, version },
      wasm: WASM,
      registries: REGISTRIES,
      memoryMiB: 8192,
    }),
  );

for (const [version, format, runtimes, images] of [
  ["v1.36.3+k0s.2", 3, "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"],
  ["v1.37.0+k0s.0", 3, "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"],
  ["v1.35.7+k0s.0", 2, "io.containerd.grpc.v1.cri", "io.containerd.grpc.v1.cri"],
] as const) {
  test(`the drop-ins of K0s ${version} are of version ${format}, one a runtime, with types that find the shims`, () => {
    for (const runtime of WASM) {
      const { content } = fileOf(k0sPlan(version), `/etc/k0s/containerd.d/edge-fleet-${runtime}.toml`);
      const type = `io.containerd.${runtime}.${runtime === "spin" ? "v2" : "v1"}`;
      assert.deepEqual(parse(content), {
        version: format,
        plugins: {
          [runtimes]: {
            containerd: { runtimes: { [runtime]: { runtime_type: type, options: { SystemdCgroup: false } } } },
          },
        },
      });
    }
    assert.deepEqual(parse(fileOf(k0sPlan(version), "/etc/k0s/containerd.d/edge-fleet-registries.toml").content), {
      version: format,
      plugins: { [images]: { registry: { config_path: "/etc/k0s/containerd.d/certs.d" } } },
    });
  });
}

test("each registry has a file in the folder that containerd looks into, with its mirrors in order", () => {
  const hosts = (folder: string) => {
    const { content } = fileOf(k0sPlan("v1.36.3+k0s.2"), `/etc/k0s/containerd.d/certs.d/${folder}/hosts.toml`);
    return parse(content) as { server?: string; host: Record<string, unknown> };
  };
  const pull = { capabilities: ["pull", "resolve"] };
  assert.deepEqual(hosts("_default"), { host: { "http://10.20.0.2:5000": pull } });
  assert.deepEqual(Object.entries(hosts("docker.io").host), [
    ["https://mirror.example.com/v2/hub", pull],
    ["https://other.example.com", pull],
  ]);
  assert.equal(hosts("docker.io").server, "https://registry-1.docker.io");
  assert.equal(hosts("registry.example.com_5000_").server, "https://registry.example.com:5000");
});

test("the tables of MicroK8s are valid behind the snap's template, and define nothing twice", () => {
  const plan = renderDistribution(
    buildProfile({
      distribution: "microk8s",
      microk8s: { ...microk8s, version: "v1.36.2" },
      wasm: WASM,
      memoryMiB: 8192,
    }),
  );
  const template =
    'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\n  runtime_type = "r"\n';
  const { content } = fileOf(plan, "/etc/edge-fleet/microk8s/containerd.toml");
  const tables = Object.fromEntries(
    WASM.map((runtime) => [
      runtime,
      {
        runtime_type: `/usr/local/bin/containerd-shim-${runtime}-${runtime === "spin" ? "v2" : "v1"}`,
        options: { SystemdCgroup: false },
      },
    ]),
  );
  assert.deepEqual(parse(template + content), {
    version: 2,
    plugins: { "io.containerd.grpc.v1.cri": { containerd: { runtimes: { runc: { runtime_type: "r" }, ...tables } } } },
  });
});
