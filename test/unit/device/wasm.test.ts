import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseAllDocuments } from "yaml";
import type { WasmRuntime } from "../../../components/inventory/types.ts";
import { describeFinding } from "../../../components/plan/distributions/finding.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { podMemoryMiB } from "../../../components/plan/distributions/reservations.ts";
import { checkWasm, runtimeClasses, SHIM_MEMORY_MIB, wasmLabel } from "../../../components/plan/distributions/wasm.ts";
import { fileOf, hasFile, PATHS, yamlOf } from "./plan-files.ts";
import { buildProfile } from "./profile.ts";

const ALL: readonly WasmRuntime[] = ["spin", "wasmtime", "wasmedge", "wasmer"];
const { k3s } = buildProfile();

/** Packaged manifests of K3s; a manifest of ours with one of their names would be overwritten. */
const PACKAGED = ["ccm", "coredns", "local-storage", "metrics-server", "rolebindings", "runtimes", "traefik"];

test("a device without WASM has neither RuntimeClasses nor labels of runtimes", () => {
  const plan = renderDistribution(buildProfile());
  assert.equal(hasFile(plan, PATHS.runtimes), false);
  assert.deepEqual(
    plan.labels.filter((label) => label.includes("wasm")),
    [],
  );
});

test("the node is labelled with each runtime that it has, at its registration and later", () => {
  const plan = renderDistribution(buildProfile({ wasm: ["spin", "wasmer"] }));
  const expected = ["edge-fleet.dev/wasm-spin=true", "edge-fleet.dev/wasm-wasmer=true"];
  for (const labels of [plan.labels, yamlOf(plan, PATHS.labels)["node-label"] as string[]]) {
    assert.deepEqual(
      labels.filter((label) => label.includes("wasm")),
      expected,
    );
  }
});

test("K3s brings a class per runtime itself, so only SpinKube's name is added, on nodes with the shim", () => {
  const documents = parseAllDocuments(fileOf(renderDistribution(buildProfile({ wasm: ALL })), PATHS.runtimes).content);
  assert.deepEqual(
    documents.map((document) => document.toJS()),
    [
      {
        apiVersion: "node.k8s.io/v1",
        kind: "RuntimeClass",
        metadata: { name: "wasmtime-spin-v2" },
        handler: "spin",
        scheduling: { nodeSelector: { "edge-fleet.dev/wasm-spin": "true" } },
      },
    ],
  );
  assert.equal(hasFile(renderDistribution(buildProfile({ wasm: ["wasmtime"] })), PATHS.runtimes), false);
});

test("with K3s' own classes disabled every runtime gets one", () => {
  const profile = buildProfile({ wasm: ALL, k3s: { ...k3s, disable: ["runtimes"] } });
  const documents = parseAllDocuments(fileOf(renderDistribution(profile), PATHS.runtimes).content);
  const names = documents.map((document) => (document.toJS() as { metadata: { name: string } }).metadata.name);
  assert.deepEqual(names, ["spin", "wasmedge", "wasmer", "wasmtime", "wasmtime-spin-v2"]);
});

test("every class selects the label of its own handler", () => {
  for (const { handler, scheduling } of runtimeClasses(ALL, false)) {
    assert.deepEqual(scheduling.nodeSelector, { [wasmLabel(handler)]: "true" });
  }
});

test("the manifest has a name that K3s takes and does not use itself, and is applied without a restart", () => {
  const { path, live } = fileOf(renderDistribution(buildProfile({ wasm: ["spin"] })), PATHS.runtimes);
  const name = path.slice(path.lastIndexOf("/") + 1, -".yaml".length);
  assert.match(name, /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
  assert.equal(PACKAGED.includes(name), false);
  assert.equal(live, true);
});

test("the kernel overcommits memory wherever WASM runs, and under baseline nothing else is set", () => {
  const baseline = { security: "baseline" } as const;
  const kernel = (changes: object) => fileOf(renderDistribution(buildProfile(changes)), PATHS.sysctl).content;
  assert.equal(kernel({ ...baseline, wasm: ["wasmtime"] }), "vm.overcommit_memory=1\n");
  assert.match(kernel({ wasm: ["wasmtime"] }), /^vm\.overcommit_memory=1$/m);
  assert.equal(hasFile(renderDistribution(buildProfile(baseline)), PATHS.sysctl), false);
});

test("containerd is configured by K3s alone", () => {
  const { files } = renderDistribution(buildProfile({ wasm: ALL }));
  assert.deepEqual(
    files.filter(({ path, content }) => /containerd/.test(path) || /io\.containerd/.test(content)),
    [],
  );
});

for (const [memoryMiB, wasm, role, severity] of [
  [4096, ALL, "server", undefined],
  [2048, ["spin"], "server", undefined],
  [1024, ["wasmtime"], "server", undefined],
  [1024, ["spin"], "server", "warning"],
  [1024, ALL, "server", "error"],
  [512, ["spin"], "agent", "error"],
] as const) {
  test(`${wasm.join(", ")} on a ${role} of ${memoryMiB} MiB: ${severity ?? "fits"}`, () => {
    const findings = checkWasm(buildProfile({ memoryMiB, wasm, model: "tiny" }), role);
    assert.deepEqual(
      findings.map((finding) => finding.severity),
      severity === undefined ? [] : [severity],
    );
    for (const finding of findings)
      assert.match(describeFinding(finding), /^wasm: .* model tiny .* - use fewer runtimes or a model /);
  });
}

test("the finding follows from the share of the pods' memory", () => {
  const runtimes = fc.uniqueArray(fc.constantFrom(...ALL), { minLength: 1 });
  fc.assert(
    fc.property(fc.integer({ min: 1024, max: 8192 }), runtimes, (memoryMiB, wasm) => {
      const share = wasm.reduce((sum, runtime) => sum + SHIM_MEMORY_MIB[runtime], 0) / podMemoryMiB(memoryMiB);
      const [finding] = checkWasm(buildProfile({ memoryMiB, wasm }));
      assert.equal(finding?.severity, share > 0.5 ? "error" : share > 0.25 ? "warning" : undefined);
    }),
  );
});

test("a model that cannot hold its runtimes is not rendered", () => {
  assert.throws(
    () => renderDistribution(buildProfile({ memoryMiB: 1024, wasm: ALL })),
    /^Error: device edge-0001: wasm: one pod of each of spin, wasmtime, wasmedge, wasmer takes 237 of the 324 MiB that model nuc-4g leaves for pods - /,
  );
});
