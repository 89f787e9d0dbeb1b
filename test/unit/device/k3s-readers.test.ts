import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { before, test } from "node:test";
import type { Profile, WasmRuntime } from "../../../components/inventory/types.ts";
import type { RenderContext } from "../../../components/plan/distributions/distribution-plan.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { ensureToolchain } from "../../lab/toolchain/index.ts";
import { writeFiles } from "./plan-files.ts";
import { buildProfile, MODELS } from "./profile.ts";

const { k3s, network } = buildProfile();
const WASM: readonly WasmRuntime[] = ["spin", "wasmtime", "wasmedge", "wasmer"];
const TOKEN = { "token-edge-0001": "0123456789abcdef" };
const LAN = { k3s: { ...k3s, flannelBackend: "vxlan" }, network: { ...network, shape: "lan" } } as const;

let reader = "";
before(async () => {
  const { parts } = await ensureToolchain((line) => console.error(line), ["kubelet-config"]);
  reader = parts[0]?.path ?? "";
});

/** What the readers of Kubernetes and K3s say of files. */
function read(files: Parameters<typeof writeFiles>[0]): { accepted: string[]; refused: string } {
  const { stdout, stderr, error } = spawnSync(reader, writeFiles(files), { encoding: "utf8" });
  assert.equal(error, undefined);
  const accepted = stdout.split("\n").flatMap((line) => line.split(": ")[1] ?? []);
  return { accepted: accepted.sort(), refused: stderr };
}

/** The files that a reader of Kubernetes or K3s opens, but for lists of flags that other files join. */
function readFiles(profile: Profile, context?: RenderContext) {
  return renderDistribution(profile, context).files.filter(
    ({ path }) => /\.(yaml|conf)$/.test(path) && !/^\/etc\/(sysctl|modules-load|systemd)|config\.yaml\.d/.test(path),
  );
}

const SERVER = [
  "apiserver.config.k8s.io/v1 AdmissionConfiguration",
  "audit.k8s.io/v1 Policy",
  "config.yaml",
  "kubelet.config.k8s.io/v1beta1 KubeletConfiguration",
];
const AGENT = ["config.yaml", "kubelet.config.k8s.io/v1beta1 KubeletConfiguration"];
const BASELINE = ["audit.k8s.io/v1 Policy", ...AGENT];

const DEVICES: readonly { name: string; changes: Partial<Profile>; context?: RenderContext; kinds: string[] }[] = [
  ...Object.entries(MODELS).map(([name, changes]) => ({ name, changes, kinds: SERVER })),
  ...[1024, 2048, 4096, 8192].map((memoryMiB) => ({ name: `${memoryMiB} MiB`, changes: { memoryMiB }, kinds: SERVER })),
  { name: "baseline", changes: { security: "baseline" as const }, kinds: BASELINE },
  {
    name: "a server of a LAN",
    changes: LAN,
    context: { joined: true, secrets: TOKEN },
    kinds: SERVER,
  },
  {
    name: "an agent of 512 MiB",
    changes: { ...LAN, id: "edge-0002", joins: "edge-0001", memoryMiB: 512 },
    context: { server: { host: "edge-0001.example.com" }, secrets: TOKEN },
    kinds: AGENT,
  },
  {
    name: "all runtimes, with classes of our own",
    changes: { wasm: WASM, k3s: { ...k3s, disable: ["runtimes"] } },
    kinds: [...SERVER, ...Array.from({ length: WASM.length + 1 }, () => "node.k8s.io/v1 RuntimeClass")],
  },
  {
    name: "mirrors of registries",
    changes: {
      registries: {
        "*": { endpoints: ["http://10.0.0.2"] },
        "docker.io": { endpoints: ["https://mirror.example.com:5000"], username: "edge", passwordSecret: "mirror" },
      },
    },
    context: { secrets: { mirror: "a: b # 'c'" } },
    kinds: [...SERVER, "registries.yaml"],
  },
];

for (const { name, changes, context, kinds } of DEVICES) {
  test(`Kubernetes reads every file of ${name}, strictly`, () => {
    assert.deepEqual(read(readFiles(buildProfile(changes), context)), { accepted: kinds, refused: "" });
  });
}

/** One wrong word in a file, and what its reader says: proof that the readers refuse anything at all. */
const WRONG: readonly { file: RegExp; from: string; to: string; says: RegExp }[] = [
  { file: /50-edge-fleet\.conf$/, from: "maxPods", to: "maximumPods", says: /unknown field "maximumPods"/ },
  { file: /50-edge-fleet\.conf$/, from: "ThresholdPercent: 70", to: "ThresholdPercent: 90", says: /must be less than/ },
  { file: /50-edge-fleet\.conf$/, from: "TLS_ECDHE_RSA_WITH_AES_128", to: "TLS_RSA_AES", says: /not supported/ },
  { file: /psa\.yaml$/, from: "enforce: restricted", to: "enforce: strict", says: /must be one of/ },
  { file: /psa\.yaml$/, from: "exemptions", to: "exceptions", says: /unknown field "exceptions"/ },
  { file: /psa\.yaml$/, from: "type: Server", to: "type: Cluster", says: /Unsupported value: "Cluster"/ },
  { file: /audit\.yaml$/, from: "level: Metadata", to: "level: Some", says: /Unsupported value: "Some"/ },
  { file: /audit\.yaml$/, from: "omitStages", to: "skipStages", says: /unknown field "skipStages"/ },
  { file: /config\.yaml$/, from: "event-ttl=15m", to: "event-ttl=15", says: /kube-apiserver: .*event-ttl/ },
  {
    file: /config\.yaml$/,
    from: "terminated-pod-gc",
    to: "ended-pod-gc",
    says: /kube-controller-manager: unknown flag/,
  },
  { file: /50-edge-fleet\.conf$/, from: "eventBurst", to: "eventsBurst", says: /unknown field "eventsBurst"/ },
];

for (const { file, from, to, says } of WRONG) {
  test(`${to} instead of ${from} is refused`, () => {
    const files = readFiles(buildProfile()).filter(({ path }) => file.test(path));
    assert.ok(files[0]?.content.includes(from));
    const { refused } = read(files.map((one) => ({ ...one, content: one.content.replace(from, to) })));
    assert.match(refused, says);
  });
}
