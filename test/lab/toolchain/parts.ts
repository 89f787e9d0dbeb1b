/**
 * The parts of the lab's toolchain: how each is built from its Go module, and how the installed one of the same name is
 * recognised. Adding a part is one entry in `GO_PARTS`.
 */
import { join } from "node:path";

/** A part that a caller can ask for. */
export type PartName =
  | "pulumi"
  | "pulumi-language-nodejs"
  | "pulumi-resource-command"
  | "pulumi-resource-kubernetes"
  | "hub-apiserver"
  | "k3s-apiserver"
  | "kustomize"
  | "kubeconform"
  | "kubelet-config"
  | "actionlint"
  | "sealed-secrets-controller"
  // Only the tests of engines and real pods need these: Argo CD alone takes eight minutes of processor to build.
  | ("argocd" | "miniredis")
  | ("source-controller" | "kustomize-controller")
  | ("kubelet" | "kube-proxy");

/** A part that is compiled; the language host is TypeScript and needs no build. */
export type GoPartName = Exclude<PartName, "pulumi-language-nodejs">;

/** How an installed program yields its version, and which one is new enough. */
export interface Installed {
  /** Arguments that make it print its version. */
  readonly arguments: readonly string[];
  /** Lowest usable version, `[major, minor]`. */
  readonly minimum: readonly [number, number];
}

/** How one part is built. */
export interface GoPart {
  readonly name: GoPartName;
  /** Version text for reports. */
  readonly version: string;
  /** true: the code is the real project's; false: a stand-in of this lab. */
  readonly real: boolean;
  /** Folder of the Go module. */
  readonly directory: string;
  /** Package to build inside that module: `.`, or the path of the module's `tool`. */
  readonly package: string;
  /** About how many processor seconds the build takes after those that come before it; for the time left. */
  readonly seconds: number;
  /** Values for the linker's `-X`. */
  readonly variables: Readonly<Record<string, string>>;
  /** Patterns of packages that the lab never runs: compiled without inlining, in 9 s instead of 15 (AWS' client of S3). */
  readonly idle?: readonly string[];
  /** How the installed one of the same name is recognised; absent: a built one is always used. */
  readonly installed?: Installed;
}

/** Kubernetes version of the hub stand-in, and of the one for a K3s device. */
const KUBERNETES = "v1.36.2";

/** Version of the kubernetes provider's module: the newest one that the Go module proxy serves. */
const KUBERNETES_PROVIDER = "v4.0.0-20260115033456-f47bc2d6f199";

/** Version of Argo CD: the newest one that builds as the Go module that was released. */
const ARGO_CD = "v3.2.11";

/** Version of Sealed Secrets: the one that devices get by default. */
const SEALED_SECRETS = "v0.40.0";

/** Version of Flux' controllers: the one that devices get by default. */
const FLUX = "v1.9.1";

/** Version of the Redis in memory that Argo CD's repo-server caches in. */
const MINIREDIS = "v2.35.0";

/** Package whose variables make a component report its Kubernetes version. */
const KUBERNETES_VERSION_PACKAGE = "k8s.io/component-base/version";

/** What Pulumi reaches cloud stores and key services by: a third of its source. */
const CLOUDS: readonly string[] = [
  "github.com/aws/...",
  "github.com/Azure/...",
  "github.com/AzureAD/...",
  "cloud.google.com/...",
  "google.golang.org/api/...",
  "github.com/envoyproxy/...",
];

/** Variables that make every component of a Kubernetes build report its version. */
const KUBERNETES_VARIABLES: Readonly<Record<string, string>> = {
  [`${KUBERNETES_VERSION_PACKAGE}.gitVersion`]: KUBERNETES,
  [`${KUBERNETES_VERSION_PACKAGE}.gitMajor`]: "1",
  [`${KUBERNETES_VERSION_PACKAGE}.gitMinor`]: "36",
  [`${KUBERNETES_VERSION_PACKAGE}.gitTreeState`]: "clean",
};

/** The node's parts of Kubernetes. */
export const KUBELET_PARTS: readonly GoPartName[] = ["kubelet", "kube-proxy"];

/** The parts, longest build first: with two builds at once the total is then shortest. */
export const GO_PARTS: readonly GoPart[] = [
  {
    name: "argocd",
    version: fromModule(ARGO_CD),
    real: true,
    directory: folder("argocd"),
    package: "github.com/argoproj/argo-cd/v3/cmd",
    seconds: 480,
    variables: { "github.com/argoproj/argo-cd/v3/common.version": ARGO_CD.slice(1) },
  },
  {
    name: "hub-apiserver",
    version: `Kubernetes ${KUBERNETES} API server and controllers on kine (stand-in for a hub cluster)`,
    real: false,
    directory: folder("hub-apiserver"),
    package: ".",
    seconds: 375,
    variables: { "main.version": KUBERNETES, ...KUBERNETES_VARIABLES },
  },
  fluxPart("source-controller", 290),
  {
    name: "pulumi",
    version: fromModule("v3.274.1"),
    real: true,
    directory: folder("pulumi"),
    package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    seconds: 260,
    variables: {},
    idle: CLOUDS,
    installed: { arguments: ["version"], minimum: [3, 256] },
  },
  {
    name: "pulumi-resource-kubernetes",
    version: `${KUBERNETES_PROVIDER} (built from its Go module, without the generated types of its SDK)`,
    real: true,
    directory: folder("pulumi-resource-kubernetes"),
    package: ".",
    seconds: 230,
    variables: {},
  },
  {
    name: "k3s-apiserver",
    version: `Kubernetes ${KUBERNETES} API server, controllers and kubectl on kine (stand-in for K3s)`,
    real: false,
    directory: folder("hub-apiserver"),
    package: "./k3s",
    seconds: 60,
    variables: KUBERNETES_VARIABLES,
  },
  fluxPart("kustomize-controller", 50),
  {
    name: "pulumi-resource-command",
    version: "stand-in for 1.2.1",
    real: false,
    directory: folder("pulumi-resource-command"),
    package: ".",
    seconds: 40,
    variables: {},
  },
  {
    name: "kustomize",
    version: fromModule("v5.8.0"),
    real: true,
    directory: folder("kustomize"),
    package: "sigs.k8s.io/kustomize/kustomize/v5",
    seconds: 15,
    variables: { "sigs.k8s.io/kustomize/api/provenance.version": "v5.8.0" },
    installed: { arguments: ["version"], minimum: [5, 0] },
  },
  {
    name: "kubeconform",
    version: fromModule("v0.7.0"),
    real: true,
    directory: folder("kubeconform"),
    package: "github.com/yannh/kubeconform/cmd/kubeconform",
    seconds: 3,
    variables: { "main.version": "v0.7.0" },
    installed: { arguments: ["-v"], minimum: [0, 6] },
  },
  {
    name: "sealed-secrets-controller",
    version: fromModule(SEALED_SECRETS),
    real: true,
    directory: folder("sealed-secrets"),
    package: "github.com/bitnami/sealed-secrets/cmd/controller",
    seconds: 80,
    variables: { "main.VERSION": SEALED_SECRETS },
    installed: { arguments: ["--version"], minimum: [0, 40] },
  },
  {
    name: "kubelet-config",
    version: `the readers of Kubernetes ${KUBERNETES} (built from its Go modules)`,
    real: true,
    directory: folder("kubelet-config"),
    package: ".",
    seconds: 60,
    variables: {},
  },
  ...KUBELET_PARTS.map(
    (name): GoPart => ({
      name,
      version: fromModule(KUBERNETES),
      real: true,
      directory: folder("hub-apiserver"),
      package: `k8s.io/kubernetes/cmd/${name}`,
      seconds: name === "kubelet" ? 35 : 15,
      variables: KUBERNETES_VARIABLES,
      installed: { arguments: ["--version"], minimum: [1, 36] },
    }),
  ),
  {
    name: "actionlint",
    version: fromModule("v1.7.12"),
    real: true,
    directory: folder("actionlint"),
    package: "github.com/rhysd/actionlint/cmd/actionlint",
    seconds: 30,
    variables: {},
    installed: { arguments: ["--version"], minimum: [1, 7] },
  },
  {
    name: "miniredis",
    version: `${MINIREDIS} of github.com/alicebob/miniredis (stand-in for Redis)`,
    real: false,
    directory: folder("miniredis"),
    package: ".",
    seconds: 10,
    variables: {},
  },
];

/** The parts of Argo CD: one executable that is each of its components by name, and its cache. */
export const ARGO_CD_PARTS: readonly PartName[] = ["argocd", "miniredis"];

/** The parts of Flux. */
export const FLUX_PARTS = ["source-controller", "kustomize-controller"] as const;

/** The parts that a fleet in the lab runs on, in the order of reports. */
export const FLEET_PARTS: readonly PartName[] = [
  "pulumi",
  "pulumi-language-nodejs",
  "pulumi-resource-command",
  "pulumi-resource-kubernetes",
  "hub-apiserver",
];

/** The parts that tests need; {@link ARGO_CD_PARTS}, {@link FLUX_PARTS}, kubelet-config, k3s-apiserver and sealed-secrets-controller come on top. */
export const PART_NAMES: readonly PartName[] = [...FLEET_PARTS, "kustomize", "kubeconform"];

/**
 * The arguments of `go build` for a part, without the output file. The linker leaves debugging information out, so the
 * compiler need not make it: a ninth of the processor time of a build (64 -> 58 s for `k8s.io/api`), at no cost later.
 * @param part the part
 * @returns arguments after `go`; the same list for the same part, so it can be hashed
 */
export function buildArguments(part: GoPart): string[] {
  const variables = Object.entries(part.variables).map(([name, value]) => `-X ${name}=${value}`);
  const idle = (part.idle ?? []).map((pattern) => `-gcflags=${pattern}=-dwarf=false -l`);
  return [
    ...["build", "-buildvcs=false", "-trimpath", "-gcflags=all=-dwarf=false", ...idle],
    ...["-ldflags", ["-s", "-w", ...variables].join(" "), part.package],
  ];
}

/**
 * Whether what a program printed names a version that is new enough.
 * @param text output of the version command
 * @param installed the requirement
 * @returns the version as printed (`v3.259.0`), undefined when there is none or it is too old
 */
export function acceptedVersion(text: string, installed: Installed): string | undefined {
  const match = /v?(\d+)\.(\d+)\.\d+[-+.\w]*/.exec(text);
  if (!match) return undefined;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  const [minMajor, minMinor] = installed.minimum;
  return major > minMajor || (major === minMajor && minor >= minMinor) ? match[0] : undefined;
}

function fluxPart(name: (typeof FLUX_PARTS)[number], seconds: number): GoPart {
  const [version, directory] = [fromModule(FLUX), folder("flux")];
  return { name, version, real: true, directory, package: `github.com/fluxcd/${name}`, seconds, variables: {} };
}

function folder(name: string): string {
  return join(import.meta.dirname, name);
}

function fromModule(version: string): string {
  return `${version} (built from its Go module)`;
}
