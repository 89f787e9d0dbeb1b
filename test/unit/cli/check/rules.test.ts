/** The rules of the tree's checks, value by value, and the memory budget. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseQuantity, requestedMemory, workloadMemory } from "../../../../cli/check/memory.ts";
import { classifyImage, classifyRuntimeClass, isRemote, pathsOf, plaintextOf } from "../../../../cli/check/rules.ts";
import { imagesOf, runtimeClassesOf } from "../../../../cli/manifests/objects.ts";
import { kubeletReservations } from "../../../../components/plan/distributions/reservations.ts";

const DIGEST = `sha256:${"0a".repeat(32)}`;

for (const [image, withDigests, without] of [
  [`app@${DIGEST}`, undefined, undefined],
  [`registry:5000/team/app:1.2.3@${DIGEST}`, undefined, undefined],
  [`app:latest@${DIGEST}`, undefined, undefined],
  ["app:1.2.3", /not pinned by digest/, undefined],
  ["app:2026-05-01", /not pinned by digest/, undefined],
  ["app:1f3c9d2", /not pinned by digest/, undefined],
  ["app", /has no tag and so means latest/, /has no tag/],
  ["registry:5000/app", /has no tag/, /has no tag/],
  ["app:latest", /has a tag that moves/, /has a tag that moves/],
  ["app:stable", /has a tag that moves/, /has a tag that moves/],
  ["app:1", /has a tag that moves/, /has a tag that moves/],
  ["app:v1.2", /has a tag that moves/, /has a tag that moves/],
  ["app@sha256:abc", /has a digest that is none/, /has a digest that is none/],
] as const) {
  test(`image ${image}`, () => {
    for (const [required, expected] of [
      [true, withDigests],
      [false, without],
    ] as const) {
      const message = classifyImage(image, required);
      if (expected === undefined) assert.equal(message, undefined);
      else assert.match(message ?? "", expected);
    }
  });
}

const remote = [
  "https://example.com/app.yaml",
  "http://example.com/x",
  "ssh://git@example.com/x",
  "git@github.com:acme/app",
  "git::https://example.com/x",
  "github.com/acme/app/deploy?ref=v1",
  "example.com/acme/app?ref=main",
  "https://github.com/acme/app//deploy",
  "example.com/acme/app.git/deploy",
  "file:///etc",
];
for (const reference of remote) test(`${reference} is remote`, () => assert.equal(isRemote(reference), true));
const local = ["deployment.yaml", "../../base", "./a:b.yaml", "components/git-sync", "a@2x.yaml"];
for (const reference of local) test(`${reference} is not remote`, () => assert.equal(isRemote(reference), false));

test("every path of a kustomization is found, inline patches are not taken for paths", () => {
  const found = pathsOf({
    resources: ["a.yaml"],
    components: ["../c"],
    patches: [{ path: "p.yaml" }, { patch: "- op: add\n" }],
    patchesStrategicMerge: ["s.yaml", "kind: X\nmetadata: {}\n"],
    configMapGenerator: [{ files: ["k=f.txt"], envs: ["e.env"], literals: ["https=://"] }],
    openapi: { path: "o.json" },
  });
  assert.deepEqual(found.map(({ value }) => value).sort(), [
    "../c",
    "a.yaml",
    "e.env",
    "k=f.txt",
    "o.json",
    "p.yaml",
    "s.yaml",
  ]);
});

const encrypted = "ENC[AES256_GCM,data:abc=,iv:x,tag:y,type:str]";
for (const [what, object, paths] of [
  ["data", { data: { a: "eA==" } }, ["data.a"]],
  ["stringData", { stringData: { a: "x", b: "y" } }, ["stringData.a", "stringData.b"]],
  ["no data", { type: "Opaque" }, []],
  ["an empty value", { data: { a: "" } }, []],
  ["SOPS", { data: { a: encrypted }, sops: { mac: "m" } }, []],
  ["SOPS that left one value out", { data: { a: encrypted, b: "eA==" }, sops: { mac: "m" } }, ["data.b"]],
  ["what only looks like SOPS", { data: { a: encrypted } }, ["data.a"]],
  ["a SealedSecret", { apiVersion: "bitnami.com/v1alpha1", kind: "SealedSecret", data: { a: "x" } }, []],
] as const) {
  test(`a Secret with ${what} shows ${paths.join(", ") || "nothing"}`, () => {
    const found = plaintextOf({ apiVersion: "v1", kind: "Secret", ...object });
    assert.deepEqual(
      found.map((path) => path.join(".")),
      paths,
    );
  });
}

for (const [name, wasm, defined, message] of [
  ["spin", ["spin"], [], undefined],
  ["wasmtime-spin-v2", ["spin"], [], undefined],
  ["spin", ["wasmtime"], [], /needs the WASM runtime spin - add it to `wasm`/],
  ["spin", [], ["spin"], /needs the WASM runtime spin/],
  ["kata", [], [], /is not known, so the pod is never admitted/],
  ["kata", [], ["kata"], undefined],
  ["nvidia", [], [], undefined],
  ["constructor", [], [], /is not known/],
] as const) {
  test(`runtime class ${name} on a model with ${wasm.join() || "no runtime"} and ${defined.join() || "none"} defined`, () => {
    const found = classifyRuntimeClass(name, wasm, defined);
    if (message === undefined) assert.equal(found, undefined);
    else assert.match(found ?? "", message);
  });
}

test("images and runtime classes are found in pods of any kind, and not in schemas", () => {
  const pod = {
    runtimeClassName: "spin",
    initContainers: [{ image: "init" }],
    containers: [{ image: "one" }, { name: "no-image" }],
  };
  const cron = { kind: "CronJob", spec: { jobTemplate: { spec: { template: { spec: pod } } } } };
  assert.deepEqual(
    imagesOf(cron).map(({ value }) => value),
    ["init", "one"],
  );
  assert.deepEqual(
    runtimeClassesOf(cron).map(({ path }) => path.join(".")),
    ["spec.jobTemplate.spec.template.spec.runtimeClassName"],
  );
  assert.deepEqual(
    imagesOf({ kind: "SpinApp", spec: { image: "wasm" } }).map(({ value }) => value),
    ["wasm"],
  );
  assert.deepEqual(imagesOf({ kind: "CustomResourceDefinition", spec: { x: { containers: [{ image: "no" }] } } }), []);
});

for (const [quantity, bytes] of [
  ["64Mi", 64 * 2 ** 20],
  ["1Gi", 2 ** 30],
  ["1.5Gi", 1.5 * 2 ** 30],
  ["500M", 500e6],
  ["128974848", 128974848],
  ["129e6", 129e6],
  ["128974848000m", 128974848],
  [1024, 1024],
  ["1 Gi", undefined],
  ["1Qi", undefined],
  ["-1Mi", undefined],
  [undefined, undefined],
] as const) {
  test(`${quantity} of memory are ${bytes} bytes`, () => assert.equal(parseQuantity(quantity), bytes));
}

const memory = (request?: string, limit?: string) => ({
  resources: {
    requests: request === undefined ? {} : { memory: request },
    limits: limit === undefined ? {} : { memory: limit },
  },
});
const workload = (kind: string, spec: object, pod: object) => ({
  kind,
  metadata: { name: "w", namespace: "n" },
  spec: { ...spec, template: { spec: pod } },
});

const budgets: [what: string, object: object, mebibytes: number | undefined][] = [
  ["replicas", workload("Deployment", { replicas: 3 }, { containers: [memory("64Mi"), memory("32Mi")] }), 288],
  ["one replica by default", workload("StatefulSet", {}, { containers: [memory("64Mi")] }), 64],
  ["no replica", workload("Deployment", { replicas: 0 }, { containers: [memory("64Mi")] }), undefined],
  ["a limit without a request", workload("DaemonSet", {}, { containers: [memory(undefined, "96Mi")] }), 96],
  ["no memory at all", workload("Deployment", {}, { containers: [{}] }), undefined],
  [
    "a large init container",
    workload("Deployment", {}, { initContainers: [memory("200Mi")], containers: [memory("64Mi")] }),
    200,
  ],
  [
    "a sidecar",
    workload(
      "Deployment",
      {},
      {
        initContainers: [{ ...memory("50Mi"), restartPolicy: "Always" }, memory("20Mi")],
        containers: [memory("64Mi")],
      },
    ),
    114,
  ],
  ["a request of the pod", workload("Deployment", {}, { ...memory("80Mi"), containers: [memory("64Mi")] }), 80],
  ["parallel jobs", workload("Job", { parallelism: 2 }, { containers: [memory("64Mi")] }), 128],
  [
    "a cron job",
    {
      kind: "CronJob",
      metadata: { name: "w", namespace: "n" },
      spec: { jobTemplate: { spec: { template: { spec: { containers: [memory("64Mi")] } } } } },
    },
    64,
  ],
  ["no workload", { kind: "ConfigMap", metadata: { name: "w" }, data: {} }, undefined],
];

for (const [what, object, mebibytes] of budgets) {
  test(`memory with ${what}: ${mebibytes ?? "none"}`, () => {
    assert.deepEqual(requestedMemory([object])[0]?.mebibytes, mebibytes);
  });
}

test("what is left for pods is what the kubelet keeps not back", () => {
  for (const memoryMiB of [1024, 2048, 4096, 8192]) {
    const { systemMiB, kubernetesMiB, evictionMiB } = kubeletReservations(memoryMiB);
    assert.equal(workloadMemory(memoryMiB, 0), memoryMiB - systemMiB - kubernetesMiB - evictionMiB);
  }
  assert.equal(workloadMemory(512, 0), undefined);
});
