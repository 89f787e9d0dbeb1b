/** Profiles and a lock for the tests of the device component: a model's defaults, and what a test changes of them. */
import type { ArtifactsLock } from "../../../components/inventory/schema.ts";
import type { Profile } from "../../../components/inventory/types.ts";

/** The release of Argo CD in the lock. */
const ARGO_CD = "v3.2.11";

/** The release of argocd-agent in the lock. */
const AGENT = "v0.10.0";

/** The release of Sealed Secrets in the lock. */
export const SEALED_SECRETS = "v0.40.0";

/** The release of External Secrets in the lock. */
export const EXTERNAL_SECRETS = "v2.9.0";

/** The release of Flux' controllers in the lock. */
export const FLUX = "v1.9.1";

/** A pull engine with the defaults of its settings. */
export function gitopsOf(engine: Profile["gitops"]["engine"]): Profile["gitops"] {
  const agent = { version: AGENT, address: "tokyo.hub.example.com", port: 443, generation: 2026 };
  const argocd = { version: ARGO_CD, reconcileMinutes: 10 };
  const flux = { sourceController: FLUX, kustomizeController: FLUX, reconcileMinutes: 10 };
  const secrets = {
    secrets: "none",
    sealedSecrets: { version: SEALED_SECRETS },
    externalSecrets: { version: EXTERNAL_SECRETS },
  } as const;
  return { engine, argocd, flux, ...secrets, ...(engine === "argocd-agent" ? { agent } : {}) };
}

/** Hardware classes of the golden scripts. */
export const MODELS: Readonly<Record<string, Pick<Profile, "model" | "architecture" | "memoryMiB" | "gitops">>> = {
  "rpi4-4g": { model: "rpi4-4g", architecture: "arm64", memoryMiB: 4096, gitops: gitopsOf("none") },
  "iot-2g": { model: "iot-2g", architecture: "arm64", memoryMiB: 2048, gitops: gitopsOf("flux") },
  "nuc-4g": { model: "nuc-4g", architecture: "amd64", memoryMiB: 4096, gitops: gitopsOf("argocd") },
};

/** How artifacts reach a device by default. */
export const ARTIFACTS: Profile["artifacts"] = {
  delivery: "fetch",
  mirror: undefined,
  maxKiBPerSecond: undefined,
  images: false,
};

/** A resolved profile of `nuc-4g` unless `changes` says otherwise. */
export function buildProfile(changes: Partial<Profile> = {}): Profile {
  return {
    id: "edge-0001",
    region: "tokyo",
    model: "nuc-4g",
    state: "present",
    stolen: false,
    ring: "canary",
    architecture: "amd64",
    memoryMiB: 4096,
    host: "edge-0001.example.com",
    hostKey: undefined,
    identityKey: undefined,
    sealing: [],
    labels: { site: "shibuya" },
    taints: [],
    ssh: { user: "root", port: 22, proxy: undefined },
    distribution: "k3s",
    k3s: {
      version: "v1.36.2+k3s1",
      disable: ["traefik", "servicelb", "metrics-server"],
      flannelBackend: "host-gw",
      clusterCidr: "10.42.0.0/16",
      serviceCidr: "10.43.0.0/16",
      ownCni: false,
    },
    replace: false,
    k0s: {
      version: "",
      disable: ["metrics-server", "autopilot", "helm"],
      podCidr: "10.244.0.0/16",
      serviceCidr: "10.96.0.0/12",
    },
    microk8s: { version: "", addons: ["dns", "rbac"] },
    kubelet: { maxPods: 30 },
    wasm: [],
    network: { shape: "single", nodeIp: undefined, interface: undefined, resolvConf: undefined, dummyRoute: true },
    security: "cis",
    registries: {},
    time: { zone: "UTC", ntpServers: [] },
    maintenance: [],
    artifacts: ARTIFACTS,
    gitops: gitopsOf("none"),
    readiness: { timeoutSeconds: 300 },
    rollback: { afterSeconds: 1200 },
    init: "systemd",
    backup: { everyHours: 24, keep: 3, push: undefined },
    decommission: "retain",
    values: {},
    joins: undefined,
    origins: {},
    ...changes,
  };
}

function fluxRelease(name: string, kinds: readonly string[]) {
  const repository = `https://raw.githubusercontent.com/fluxcd/${name}-controller/${FLUX}`;
  return {
    image: `ghcr.io/fluxcd/${name}-controller:${FLUX}@sha256:${"f".repeat(64)}`,
    crds: kinds.map((kind, index) => ({
      url: `${repository}/config/crd/bases/${name}.toolkit.fluxcd.io_${kind}.yaml`,
      sha256: `${name === "source" ? 1 : 2}${index}`.repeat(32),
      size: 20_000,
    })),
  };
}

/** A lock with one release; the hashes are of no real file. */
export const LOCK: ArtifactsLock = {
  k3s: {
    "v1.36.2+k3s1": {
      amd64: {
        url: "https://github.com/k3s-io/k3s/releases/download/v1.36.2+k3s1/k3s",
        sha256: "a".repeat(64),
        size: 73_400_320,
      },
      arm64: {
        url: "https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/k3s-arm64",
        sha256: "b".repeat(64),
      },
    },
  },
  argocd: {
    [ARGO_CD]: {
      crds: ["application", "appproject"].map((kind, index) => ({
        url: `https://raw.githubusercontent.com/argoproj/argo-cd/${ARGO_CD}/manifests/crds/${kind}-crd.yaml`,
        sha256: String(index).repeat(64),
        size: 300_000,
      })),
      images: {
        argocd: `quay.io/argoproj/argocd:${ARGO_CD}@sha256:${"c".repeat(64)}`,
        redis: `public.ecr.aws/docker/library/redis:8.2.2-alpine@sha256:${"d".repeat(64)}`,
      },
    },
  },
  flux: {
    sourceController: {
      [FLUX]: fluxRelease("source", [
        "buckets",
        "gitrepositories",
        "helmcharts",
        "helmrepositories",
        "ocirepositories",
      ]),
    },
    kustomizeController: { [FLUX]: fluxRelease("kustomize", ["kustomizations"]) },
  },
  sealedSecrets: {
    [SEALED_SECRETS]: {
      image: `docker.io/bitnami/sealed-secrets-controller:0.40.0@sha256:${"8".repeat(64)}`,
      crd: {
        url: `https://raw.githubusercontent.com/bitnami/sealed-secrets/${SEALED_SECRETS}/helm/sealed-secrets/crds/bitnami.com_sealedsecrets.yaml`,
        sha256: "9".repeat(64),
        size: 7_000,
      },
    },
  },
  externalSecrets: {
    [EXTERNAL_SECRETS]: {
      image: `ghcr.io/external-secrets/external-secrets:${EXTERNAL_SECRETS}@sha256:${"5".repeat(64)}`,
      crds: [
        "external-secrets.io_externalsecrets",
        "external-secrets.io_secretstores",
        "generators.external-secrets.io_generatorstates",
      ].map((name, index) => ({
        url: `definitions/external-secrets-${EXTERNAL_SECRETS}/${name}.yaml`,
        sha256: `3${index}`.repeat(32),
        size: 90_000,
      })),
    },
  },
  argocdAgent: { [AGENT]: { image: `quay.io/argoprojlabs/argocd-agent:${AGENT}@sha256:${"e".repeat(64)}` } },
};
