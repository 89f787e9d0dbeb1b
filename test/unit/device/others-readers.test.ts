/** Kubernetes' own readers judge what K0s and MicroK8s hand to its components. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { before, test } from "node:test";
import { stringify } from "yaml";
import type { Profile, WasmRuntime } from "../../../components/inventory/types.ts";
import type { DistributionPlan } from "../../../components/plan/distributions/distribution-plan.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { ensureToolchain } from "../../lab/toolchain/index.ts";
import { fileOf, hasFile, writeFiles, yamlOf } from "./plan-files.ts";
import { buildProfile, MODELS } from "./profile.ts";

const { k0s, microk8s, network } = buildProfile();
const WASM: readonly WasmRuntime[] = ["spin", "wasmtime", "wasmedge", "wasmer"];
const K0S = { distribution: "k0s", k0s: { ...k0s, version: "v1.36.3+k0s.2" } } as const;
const MICROK8S = { distribution: "microk8s", microk8s: { ...microk8s, version: "v1.36.2" } } as const;
const SPECIAL: Partial<Profile> = {
  wasm: WASM,
  memoryMiB: 8192,
  network: { ...network, nodeIp: "10.20.0.5", resolvConf: "/etc/edge-resolv.conf" },
};

let reader = "";
before(async () => {
  const { parts } = await ensureToolchain((line) => console.error(line), ["kubelet-config"]);
  reader = parts[0]?.path ?? "";
});

/** @param files texts by file name; the judge tells kinds by content, and flags by the name config.yaml */
function read(files: Readonly<Record<string, string>>): { accepted: string[]; refused: string } {
  const planned = Object.entries(files).map(([name, content]) => ({
    path: `/${name}`,
    mode: "0600",
    content,
    live: false,
  }));
  const { stdout, stderr, error } = spawnSync(reader, writeFiles(planned), { encoding: "utf8" });
  assert.equal(error, undefined);
  return {
    accepted: stdout
      .split("\n")
      .flatMap((line) => line.split(": ")[1] ?? [])
      .sort(),
    refused: stderr,
  };
}

interface ClusterConfig {
  readonly spec: {
    readonly api: { readonly extraArgs: Readonly<Record<string, string>> };
    readonly controllerManager: { readonly extraArgs: Readonly<Record<string, string>> };
    readonly workerProfiles: readonly { readonly values: Readonly<Record<string, unknown>> }[];
  };
}

/** K0s' parts, each in the form in which it reaches its component. */
function k0sParts(plan: DistributionPlan): Record<string, string> {
  const { spec } = yamlOf(plan, "/etc/k0s/k0s.yaml") as unknown as ClusterConfig;
  const flags = (values: Readonly<Record<string, string>>) => Object.entries(values).map((entry) => entry.join("="));
  const kubelet = /--kubelet-extra-args=([^"\n]*)/.exec(fileOf(plan, plan.unit).content)?.[1] ?? "";
  const head = { apiVersion: "kubelet.config.k8s.io/v1beta1", kind: "KubeletConfiguration" };
  const classes = "/var/lib/k0s/manifests/edge-fleet/runtimeclasses.yaml";
  return {
    "config.yaml": stringify({
      "kube-apiserver-arg": flags(spec.api.extraArgs),
      "kube-controller-manager-arg": flags(spec.controllerManager.extraArgs),
      "kubelet-arg": kubelet.split(" ").map((flag) => flag.replace(/^--/, "")),
    }),
    "kubelet.yaml": stringify({ ...head, ...spec.workerProfiles[0]?.values }),
    ...policies(plan, "/etc/k0s"),
    ...(hasFile(plan, classes) ? { "classes.yaml": fileOf(plan, classes).content } : {}),
  };
}

function microk8sParts(plan: DistributionPlan): Record<string, string> {
  const folder = "/etc/edge-fleet/microk8s";
  const flags = (service: string) =>
    fileOf(plan, `${folder}/args/${service}`)
      .content.trimEnd()
      .split("\n")
      .map((line) => line.replace(/^--/, ""));
  const classes = fileOf(plan, `${folder}/runtimeclasses.yaml`).content;
  return {
    "config.yaml": stringify({
      "kube-apiserver-arg": flags("kube-apiserver"),
      "kube-controller-manager-arg": flags("kube-controller-manager"),
      "kubelet-arg": flags("kubelet"),
    }),
    ...policies(plan, folder),
    ...(classes.startsWith("#") ? {} : { "classes.yaml": classes }),
  };
}

function policies(plan: DistributionPlan, folder: string): Record<string, string> {
  const names = ["psa.yaml", "audit.yaml"].filter((name) => hasFile(plan, `${folder}/${name}`));
  return Object.fromEntries(names.map((name) => [name, fileOf(plan, `${folder}/${name}`).content]));
}

const AUDIT = "audit.k8s.io/v1 Policy";
const ADMISSION = "apiserver.config.k8s.io/v1 AdmissionConfiguration";
const KUBELET = "kubelet.config.k8s.io/v1beta1 KubeletConfiguration";
const CLASSES = Array.from({ length: WASM.length + 1 }, () => "node.k8s.io/v1 RuntimeClass");

const DEVICES: readonly { name: string; changes: Partial<Profile>; kinds: string[] }[] = [
  ...Object.entries(MODELS).map(([name, changes]) => ({ name, changes, kinds: [ADMISSION, AUDIT] })),
  { name: "baseline", changes: { security: "baseline" }, kinds: [AUDIT] },
  { name: "all runtimes and a fixed address", changes: SPECIAL, kinds: [ADMISSION, AUDIT, ...CLASSES] },
];

for (const { name, changes, kinds } of DEVICES) {
  test(`Kubernetes accepts what K0s hands it on ${name}`, () => {
    const parts = k0sParts(renderDistribution(buildProfile({ ...K0S, ...changes })));
    assert.deepEqual(read(parts), { accepted: [...kinds, "config.yaml", KUBELET].sort(), refused: "" });
  });

  if ((changes.memoryMiB ?? 4096) < 4096) continue;
  test(`Kubernetes accepts what MicroK8s hands it on ${name}`, () => {
    const parts = microk8sParts(renderDistribution(buildProfile({ ...MICROK8S, ...changes })));
    assert.deepEqual(read(parts), { accepted: [...kinds, "config.yaml"].sort(), refused: "" });
  });
}

/** Proof that the readers refuse anything at all. */
const WRONG: readonly [from: string, to: string, says: RegExp][] = [
  ["max-pods=30", "max-pods=many", /kubelet: invalid argument "many"/],
  ["eviction-hard", "evict-hard", /kubelet: unknown flag: --evict-hard/],
  ["audit-log-maxsize", "audit-maxsize", /kube-apiserver: unknown flag/],
];

for (const [from, to, says] of WRONG) {
  test(`${to} instead of ${from} is refused`, () => {
    const text = microk8sParts(renderDistribution(buildProfile(MICROK8S)))["config.yaml"] ?? "";
    assert.ok(text.includes(from));
    assert.match(read({ "config.yaml": text.replace(from, to) }).refused, says);
  });
}
