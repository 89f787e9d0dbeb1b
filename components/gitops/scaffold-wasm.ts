/**
 * The first content of `components/wasm/<runtime>/`: a sample workload of a WASM runtime, as a Component that only models
 * and leaves with that runtime include. Written once; afterwards the files are the team's. Spin has one.
 */
import type { types } from "@pulumi/kubernetes";
import type { WasmRuntime } from "../inventory/types.ts";
import { SIZE_LABEL, WASM_LABEL } from "./labels.ts";
import { SCAFFOLD_HEADER } from "./scaffold.ts";
import { allowFromNamespace, clusterService } from "./scaffold-objects.ts";
import { formatYaml } from "./yaml.ts";

/** Sample of the Spin shim's own project, of the release that its documents name. */
const IMAGE = "ghcr.io/spinframework/containerd-shim-spin/examples/spin-rust-hello:v0.22.0";
/** Above 1023, so that no capability is needed. */
const PORT = 8080;
const USER = 10001;
const SELECTOR = { "app.kubernetes.io/name": "spin-hello" };
const TMP = "/tmp";
/** Where the shim writes: its cache of compiled modules (`/.cache`), Spin's own state, unpacked archives. */
const WRITABLE = ["/.cache", "/.spin", TMP];

const CONTAINER = {
  name: "spin-hello",
  image: IMAGE,
  imagePullPolicy: "IfNotPresent",
  // The shim runs the module itself, but containerd wants a command.
  command: ["/"],
  env: [
    { name: "SPIN_HTTP_LISTEN_ADDR", value: `0.0.0.0:${PORT}` },
    { name: "TMPDIR", value: TMP },
  ],
  ports: [{ name: "http", containerPort: PORT, protocol: "TCP" }],
  resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "128Mi" } },
  readinessProbe: { tcpSocket: { port: "http" }, periodSeconds: 10, timeoutSeconds: 5 },
  livenessProbe: { tcpSocket: { port: "http" }, periodSeconds: 20, timeoutSeconds: 5, failureThreshold: 6 },
  securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
  volumeMounts: WRITABLE.map((mountPath) => ({
    name: "scratch",
    mountPath,
    subPath: mountPath.replace(/^\/\.?/, ""),
  })),
} satisfies types.input.core.v1.Container;

const DEPLOYMENT = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "spin-hello", labels: { ...SELECTOR, [SIZE_LABEL]: "model", [WASM_LABEL]: "spin" } },
  spec: {
    replicas: 1,
    revisionHistoryLimit: 2,
    selector: { matchLabels: SELECTOR },
    template: {
      metadata: { labels: SELECTOR },
      spec: {
        runtimeClassName: "spin",
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: USER,
          runAsGroup: USER,
          fsGroup: USER,
          seccompProfile: { type: "RuntimeDefault" },
        },
        containers: [CONTAINER],
        volumes: [{ name: "scratch", emptyDir: { sizeLimit: "64Mi" } }],
      },
    },
  },
} satisfies types.input.apps.v1.Deployment;

const SERVICE = clusterService("spin-hello", SELECTOR);

const ALLOW = allowFromNamespace("allow-spin-hello", SELECTOR);

/** The samples: file name, comment, object. A runtime without one is installed all the same. */
const SAMPLES: Readonly<Partial<Record<WasmRuntime, readonly [name: string, comment: string, value: unknown][]>>> = {
  spin: [
    [
      "deployment.yaml",
      "Pinned by its release: set the digest that `docker buildx imagetools inspect` shows before you rely on it.",
      DEPLOYMENT,
    ],
    ["service.yaml", "Reachable inside the device's cluster, at /hello.", SERVICE],
    ["allow-spin-hello.yaml", "Pods of this namespace may call it.", ALLOW],
  ],
};

/** Whether there is a sample of a runtime. */
export function hasSample(runtime: WasmRuntime): boolean {
  return SAMPLES[runtime] !== undefined;
}

/** Path below the tree -> content of every scaffolded file of a runtime's sample. */
export function renderWasmSample(runtime: WasmRuntime): ReadonlyMap<string, string> {
  const sample = SAMPLES[runtime] ?? [];
  const kustomization = {
    apiVersion: "kustomize.config.k8s.io/v1alpha1",
    kind: "Component",
    resources: sample.map(([name]) => name),
  };
  const files = [
    ...sample,
    ["kustomization.yaml", `The workloads of models whose devices have ${runtime}.`, kustomization] as const,
  ];
  return new Map(
    files.map(([name, comment, value]) => [
      `components/wasm/${runtime}/${name}`,
      formatYaml([SCAFFOLD_HEADER, comment], value),
    ]),
  );
}
