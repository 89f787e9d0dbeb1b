/**
 * The Sealed Secrets controller of a device: its Kubernetes objects and their text. It makes a Secret of each
 * SealedSecret that the engine brings, with keys that it is given and no others: it makes none by itself, as nobody
 * would have sealed for one. Its API, which hands out the certificate and seals anew, has no Service and no way in: the
 * certificate is in the region's lock. What is claimed of it was read at v0.40.0; the file is beside each claim. Pure.
 */
import type { types } from "@pulumi/kubernetes";
import { formatObjects } from "../../yaml.ts";
import { RESTRICTED } from "../argocd/configuration.ts";
import { API_PORTS, tcp } from "../argocd/policies.ts";
import { type EngineContainer, type EngineObject, enginePod, goMemoryLimit, singlePod } from "../pod.ts";
import { SEALED_SECRETS_MEMORY, SEALED_SECRETS_NAMESPACE, type SealedSecretsSettings } from "./settings.ts";

const NAME = "sealed-secrets-controller";
const PRIORITY = "edge-fleet-sealed-secrets";
const RBAC = "rbac.authorization.k8s.io";

/** User of the image: docker/controller.Dockerfile. */
const USER = 1001;

/** Port of `/healthz`: pkg/controller/server.go. */
const PORT = 8080;

/**
 * Tries to open one before it waits for a change of it, at growing distances from 5 ms on (client-go, util/workqueue): about
 * twenty minutes. Upstream's 5 are over in a third of a second, and an API server that starts on a slow card takes longer.
 */
const TRIES = 18;

const LABELS = { "app.kubernetes.io/name": NAME };

/** The controller's objects, in the order in which they are applied. */
export function sealedSecretsObjects(settings: SealedSecretsSettings): EngineObject[] {
  return [...surroundings(), ...account(), ...policies(), controller(settings)] as EngineObject[];
}

/** The controller's objects as one text of YAML. */
export function renderSealedSecrets(settings: SealedSecretsSettings): string {
  return formatObjects([], sealedSecretsObjects(settings));
}

function metadata(name: string, namespaced = true): types.input.meta.v1.ObjectMeta {
  return {
    name,
    ...(namespaced ? { namespace: SEALED_SECRETS_NAMESPACE } : {}),
    labels: {
      "app.kubernetes.io/name": name,
      "app.kubernetes.io/part-of": "sealed-secrets",
      "app.kubernetes.io/managed-by": "edge-fleet",
    },
  };
}

/** The namespace, which comes with the keys: they have to be there, and the forgotten ones gone, before the controller is. */
export function sealedSecretsNamespace(): object {
  const { labels, ...named } = metadata(SEALED_SECRETS_NAMESPACE, false);
  return { apiVersion: "v1", kind: "Namespace", metadata: { ...named, labels: { ...labels, ...RESTRICTED } } };
}

function surroundings(): object[] {
  return [
    {
      apiVersion: "scheduling.k8s.io/v1",
      kind: "PriorityClass",
      metadata: metadata(PRIORITY, false),
      value: 999_999_999,
      description: "What opens Secrets: evicted after every workload, since they wait for what it opens.",
    },
  ];
}

/**
 * Of upstream's rights (controller.jsonnet) it has those that its flags use: Secrets are deleted by `--old-gc-behavior`, and
 * namespaces are read with `--additional-namespaces`. It has to write Secrets of every namespace: that is what it is for.
 */
function account(): object[] {
  const apiVersion = `${RBAC}/v1`;
  const rules = [
    { apiGroups: ["bitnami.com"], resources: ["sealedsecrets"], verbs: ["get", "list", "watch"] },
    { apiGroups: ["bitnami.com"], resources: ["sealedsecrets/status"], verbs: ["update"] },
    { apiGroups: [""], resources: ["secrets"], verbs: ["get", "list", "watch", "create", "update"] },
    { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
  ];
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: metadata(NAME) },
    { apiVersion, kind: "ClusterRole", metadata: metadata(NAME, false), rules },
    {
      apiVersion,
      kind: "ClusterRoleBinding",
      metadata: metadata(NAME, false),
      roleRef: { apiGroup: RBAC, kind: "ClusterRole", name: NAME },
      subjects: [{ kind: "ServiceAccount", name: NAME, namespace: SEALED_SECRETS_NAMESPACE }],
    },
  ];
}

/** Nobody reaches it, and it reaches the API server, by its address. The kubelet's probes come from the node itself. */
function policies(): object[] {
  const policy = (name: string, spec: types.input.networking.v1.NetworkPolicySpec) => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: metadata(name),
    spec: { ...spec, policyTypes: ["Ingress", "Egress"] },
  });
  return [
    policy("deny-all", { podSelector: {} }),
    policy(NAME, { podSelector: { matchLabels: LABELS }, egress: [{ ports: API_PORTS.map(tcp) }] }),
  ];
}

function controller({ image, keys }: SealedSecretsSettings): types.input.apps.v1.Deployment {
  const probe = { httpGet: { path: "/healthz", port: PORT }, periodSeconds: 30 };
  const container: EngineContainer = {
    name: NAME,
    image,
    args: ["--key-renew-period=0", `--max-unseal-retries=${TRIES}`, "--log-format=json"],
    env: [goMemoryLimit(SEALED_SECRETS_MEMORY)],
    ports: [{ containerPort: PORT }],
    readinessProbe: { ...probe, periodSeconds: 10 },
    livenessProbe: { ...probe, initialDelaySeconds: 60 },
    volumeMounts: [{ name: "certificates", mountPath: "/certificates", readOnly: true }],
    memory: SEALED_SECRETS_MEMORY,
    cpuMilli: 10,
  };
  const pod = { priorityClassName: PRIORITY, user: USER, volumes: [certificates(keys)] };
  const spec = enginePod({ serviceAccountName: NAME }, pod, container);
  return singlePod(metadata(NAME), { metadata: { labels: LABELS }, spec }, LABELS);
}

/**
 * It reads its keys when it starts, and makes one where it finds none (pkg/controller/main.go, initKeyRenewal). So its pod
 * mounts a certificate of each: a kubelet starts no pod before the Secrets of its volumes are there.
 */
function certificates(keys: readonly string[]): types.input.core.v1.Volume {
  const sources = keys.map((name) => ({ secret: { name, items: [{ key: "tls.crt", path: `${name}.crt` }] } }));
  return { name: "certificates", projected: { sources } };
}
