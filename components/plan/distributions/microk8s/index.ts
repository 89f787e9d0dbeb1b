/**
 * MicroK8s as edge-fleet runs it: a held snap of a pinned revision, one node with dqlite. Everything that the snap owns
 * is changed by the device program from the files planned here, since the snap's own files move with each of its
 * revisions.
 */

import type { ArtifactsLock } from "../../../inventory/schema.ts";
import type { Profile } from "../../../inventory/types.ts";
import { hostsFiles, runtimeTable } from "../containerd.ts";
import type { Distribution, LockedArtifact, SnapSource } from "../distribution.ts";
import type { DeviceFile, DistributionPlan, RenderContext } from "../distribution-plan.ts";
import { requireNoErrors } from "../finding.ts";
import { hostFilesFor, openFile, UNITS } from "../host.ts";
import { kernelModules, ROUTE_UNIT } from "../network.ts";
import { nodeLabels } from "../node-labels.ts";
import { admissionConfiguration, auditPolicy } from "../policies.ts";
import { runtimeClasses, SHIM_BINARIES, wasmLabels } from "../wasm.ts";
import { yamlText } from "../yaml.ts";
import { argumentLines, MICROK8S_CONFIG, serviceArguments } from "./args.ts";
import { checkMicroK8s, MEMORY_MIB, PODS } from "./checks.ts";

/** kubelite runs the API server and the kubelet; snapd writes its unit. */
const SERVICE = "snap.microk8s.daemon-kubelite";

/** Services that wait for a default route before they start. */
const ROUTED = [SERVICE, "snap.microk8s.daemon-containerd"];

/** Read by the snap when it is installed, never again: https://canonical.com/microk8s/docs/ref-launch-config */
const LAUNCH = "/etc/microk8s.yaml";

const SOURCE: SnapSource = {
  kind: "snap",
  locked: (lock, version, architecture) => lock.microk8s?.[version]?.[architecture],
  storeless: ({ artifacts }) => artifacts.images || artifacts.delivery === "push",
};

/** MicroK8s, a single node. */
export const MICROK8S: Distribution = {
  release: "v1.36.2",
  memoryMiB: MEMORY_MIB,
  check: checkMicroK8s,
  render: renderMicroK8s,
  // The snap has no such folder: the device program applies what lies here.
  manifests: "/var/lib/edge-fleet/manifests",
  // As `microk8s config` prints it. https://microk8s.io/docs/working-with-kubectl
  kubeconfig: "/var/snap/microk8s/current/credentials/client.config",
  pods: () => PODS,
  writes: () => ["dqlite"],
  // https://microk8s.io/docs/services-and-ports
  ports: () => [
    ["16443/tcp", "Kubernetes API"],
    ["25000/tcp", "joining"],
    ["10250/tcp", "kubelet"],
  ],
  artifacts: lockedSnaps,
  source: SOURCE,
};

/**
 * The snap and its assertions; where the device reaches no store, also those that snapd would fetch from it before: the base,
 * and the snapd snap, without which snapd installs nothing on a classic system
 * (https://github.com/canonical/snapd/blob/master/overlord/snapstate/handlers_prereq.go) and whose older releases, as in
 * Debian's package, lack what a base asks of them (https://github.com/canonical/core20/issues/172). The first one comes last.
 */
function lockedSnaps(profile: Profile, lock: ArtifactsLock): LockedArtifact[] {
  const { architecture } = profile;
  const { version } = profile.microk8s;
  const field = `microk8s.${version}.${architecture}`;
  const locked = SOURCE.locked(lock, version, architecture);
  if (locked === undefined) return [{ field, locked, name: "microk8s", kind: "snap" }];
  const pair = (
    name: string,
    snap: "snap" | "base" | "snapd",
    assertions: `${string}ssertions` & keyof typeof locked,
  ) => [
    { field: `${field}.${snap}`, locked: locked[snap], name, kind: "snap" } as const,
    {
      field: `${field}.${assertions}`,
      locked: locked[assertions],
      name: `${name}-assertions`,
      kind: "assertions",
    } as const,
  ];
  return [
    ...pair("microk8s", "snap", "assertions"),
    ...(SOURCE.storeless(profile)
      ? [...pair("base", "base", "baseAssertions"), ...pair("snapd", "snapd", "snapdAssertions")]
      : []),
  ];
}

function renderMicroK8s(profile: Profile, { secrets }: RenderContext): DistributionPlan {
  const warnings = requireNoErrors(profile.id, checkMicroK8s(profile));
  const { microk8s, wasm } = profile;
  return {
    version: microk8s.version,
    binary: "/snap/bin/microk8s",
    service: SERVICE,
    unit: `${UNITS}/${SERVICE}.service`,
    configDirectory: MICROK8S_CONFIG,
    foreignSetting: "etcd-servers=http",
    kubectl: "/snap/bin/microk8s kubectl --request-timeout=10s",
    deployments: microk8s.addons.includes("dns") ? ["coredns"] : [],
    labels: nodeLabels({ ...profile, labels: { ...profile.labels, ...wasmLabels(wasm) } }),
    taints: profile.taints,
    files: [
      ...policies(profile),
      live(LAUNCH, yamlText(launchConfiguration(profile))),
      ...Object.entries(serviceArguments(profile)).map(([service, values]) =>
        file(`${MICROK8S_CONFIG}/args/${service}`, argumentLines(values)),
      ),
      containerdTables(profile),
      ...hostsFiles(profile, `${MICROK8S_CONFIG}/certs.d`, secrets),
      live(`${MICROK8S_CONFIG}/runtimeclasses.yaml`, runtimeClassesFile(wasm)),
      ...hostFilesFor(
        profile,
        ROUTED.map((service) => `${service}.service`).join(" "),
        kernelModules(profile, "vxlan"),
      ),
      ...(profile.network.dummyRoute ? ROUTED.map(routeDropIn) : []),
    ],
    warnings,
  };
}

/**
 * What the snap starts with for the first time: the same arguments as later. A file of ours replaces the bundled one,
 * which is what enables DNS.
 */
function launchConfiguration(profile: Profile): Record<string, unknown> {
  const values = serviceArguments(profile);
  return {
    version: "0.2.0",
    extraKubeAPIServerArgs: values["kube-apiserver"],
    extraKubeControllerManagerArgs: values["kube-controller-manager"],
    extraKubeletArgs: values.kubelet,
    addons: [...new Set(["rbac", ...profile.microk8s.addons])].sort().map((name) => ({ name })),
  };
}

function policies({ security }: Profile): DeviceFile[] {
  return [
    ...(security === "cis" ? [file(`${MICROK8S_CONFIG}/psa.yaml`, yamlText(admissionConfiguration()))] : []),
    file(`${MICROK8S_CONFIG}/audit.yaml`, yamlText(auditPolicy())),
  ];
}

/**
 * Tables for the snap's containerd template, which is of version 2. Shims are named by their path: the snap's containerd
 * does not look on the host's.
 */
function containerdTables({ wasm }: Profile): DeviceFile {
  const tables = wasm.map((runtime) => runtimeTable(2, runtime, `/usr/local/bin/${SHIM_BINARIES[runtime]}`));
  return file(`${MICROK8S_CONFIG}/containerd.toml`, tables.length === 0 ? EMPTY : tables.join("\n"));
}

/** Always a file, and labelled, so that what an earlier one had made is taken back. */
function runtimeClassesFile(wasm: Profile["wasm"]): string {
  const labels = { "app.kubernetes.io/managed-by": "edge-fleet" };
  const classes = runtimeClasses(wasm, false).map((value) => ({ ...value, metadata: { ...value.metadata, labels } }));
  return classes.length === 0 ? EMPTY : classes.map(yamlText).join("---\n");
}

const EMPTY = "# no WASM runtime\n";

/** The unit is the snap's, so what pulls in the default route is a drop-in. */
function routeDropIn(service: string): DeviceFile {
  return openFile(
    `${UNITS}/${service}.service.d/10-edge-fleet.conf`,
    `[Unit]\nWants=${ROUTE_UNIT}\nAfter=${ROUTE_UNIT}\n`,
  );
}

function file(path: string, content: string): DeviceFile {
  return { path, mode: "0600", content, live: false };
}

/** A file whose change takes effect without a restart. */
function live(path: string, content: string): DeviceFile {
  return { ...file(path, content), live: true };
}
