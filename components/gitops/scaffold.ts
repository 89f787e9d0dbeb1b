/**
 * The first content of `base/`: one small workload, hardened as the Pod Security level `restricted` asks, to start from
 * and to prove a new fleet with. Written once; afterwards the files are the team's.
 */
import type { types } from "@pulumi/kubernetes";
import { DEVICE_ANNOTATION, SIZE_LABEL, WORKLOAD_NAMESPACE } from "./labels.ts";
import { allowFromNamespace, clusterService } from "./scaffold-objects.ts";
import { formatYaml } from "./yaml.ts";

/** Multi-architecture index of a small demonstration web server, pinned by digest. The digest is the one that upstream's documents name; `docker buildx imagetools inspect` shows it. */
const IMAGE =
  "ghcr.io/stefanprodan/podinfo:6.9.1@sha256:262578cde928d5c9eba3bce079976444f624c13ed0afb741d90d5423877496cb";
const PORT = 9898;
/** Any user but root will do: the image writes nothing. */
const USER = 10001;
const SELECTOR = { "app.kubernetes.io/name": "web" };
/** First line of a scaffolded file. */
export const SCAFFOLD_HEADER = "Written once by edge-fleet and yours from now on: never overwritten, never deleted.";

const NAMESPACE = {
  apiVersion: "v1",
  kind: "Namespace",
  metadata: {
    name: WORKLOAD_NAMESPACE,
    labels: {
      "pod-security.kubernetes.io/enforce": "restricted",
      "pod-security.kubernetes.io/enforce-version": "latest",
    },
  },
} satisfies types.input.core.v1.Namespace;

const probe = (path: string, periodSeconds: number) => ({
  httpGet: { path, port: "http" },
  periodSeconds,
  timeoutSeconds: 5,
});

const CONTAINER = {
  name: "web",
  image: IMAGE,
  imagePullPolicy: "IfNotPresent",
  command: ["./podinfo", `--port=${PORT}`, "--level=warn"],
  env: [
    {
      name: "TZ",
      valueFrom: { configMapKeyRef: { name: "edge-fleet-region", key: "time-zone", optional: true } },
    },
    {
      name: "DEVICE",
      valueFrom: { fieldRef: { fieldPath: `metadata.annotations['${DEVICE_ANNOTATION}']` } },
    },
  ],
  ports: [{ name: "http", containerPort: PORT, protocol: "TCP" }],
  resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { memory: "64Mi" } },
  startupProbe: { ...probe("/healthz", 5), failureThreshold: 24 },
  livenessProbe: { ...probe("/healthz", 20), failureThreshold: 3 },
  readinessProbe: { ...probe("/readyz", 10), failureThreshold: 3 },
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  },
} satisfies types.input.core.v1.Container;

const DEPLOYMENT = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", labels: { ...SELECTOR, [SIZE_LABEL]: "model" } },
  spec: {
    replicas: 1,
    revisionHistoryLimit: 2,
    selector: { matchLabels: SELECTOR },
    template: {
      metadata: { labels: SELECTOR },
      spec: {
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: USER,
          runAsGroup: USER,
          seccompProfile: { type: "RuntimeDefault" },
        },
        containers: [CONTAINER],
      },
    },
  },
} satisfies types.input.apps.v1.Deployment;

const SERVICE = clusterService("web", SELECTOR);

const DEFAULT_DENY = {
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name: "default-deny" },
  spec: {
    podSelector: {},
    policyTypes: ["Ingress", "Egress"],
    egress: [
      {
        to: [
          {
            namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
            podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
          },
        ],
        ports: [
          { protocol: "UDP", port: 53 },
          { protocol: "TCP", port: 53 },
        ],
      },
    ],
  },
} satisfies types.input.networking.v1.NetworkPolicy;

const ALLOW_WEB = allowFromNamespace("allow-web", SELECTOR);

/** Path below the tree -> content of every scaffolded file of `base/`. */
export function renderBase(): ReadonlyMap<string, string> {
  const files: [name: string, comment: string, value: unknown][] = [
    [
      "namespace.yaml",
      "Where the workloads live; the only namespace that the project edge-workloads may use.",
      NAMESPACE,
    ],
    [
      "deployment.yaml",
      "Replicas and memory come from the model because of its label; delete the label to set your own.",
      DEPLOYMENT,
    ],
    ["service.yaml", "Reachable inside the device's cluster.", SERVICE],
    [
      "default-deny.yaml",
      "No pod talks to anyone but the cluster's DNS; allow more in policies of your own.",
      DEFAULT_DENY,
    ],
    ["allow-web.yaml", "Pods of this namespace may call the web server.", ALLOW_WEB],
  ];
  const kustomization = {
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: files.map(([name]) => name),
  };
  files.push([
    "kustomization.yaml",
    "The workloads of every device, free of facts about regions and models.",
    kustomization,
  ]);
  return new Map(
    files.map(([name, comment, value]) => [`base/${name}`, formatYaml([SCAFFOLD_HEADER, comment], value)]),
  );
}
