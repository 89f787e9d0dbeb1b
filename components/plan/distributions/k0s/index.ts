/**
 * K0s as edge-fleet runs it: one node with kine's SQLite, configured by files alone. The unit is the one that `k0s
 * install controller --single` writes (https://docs.k0sproject.io/stable/k0s-single-node/), as a file of ours: the
 * command refuses to run twice, and drops what is not repeated with `--force`.
 */

import type { Profile } from "../../../inventory/types.ts";
import { lockedBinary } from "../binary.ts";
import { type ContainerdVersion, hostsFiles, registryTable, runtimeTable, runtimeType } from "../containerd.ts";
import type { BinarySource, Distribution } from "../distribution.ts";
import type { DeviceFile, DistributionPlan, RenderContext } from "../distribution-plan.ts";
import { requireNoErrors } from "../finding.ts";
import { hostFilesFor, openFile, UNITS } from "../host.ts";
import { kernelModules, ROUTE_UNIT } from "../network.ts";
import { kubeletMaySet, nodeLabels } from "../node-labels.ts";
import { type OpenrcService, openrcScript, scriptPath } from "../openrc.ts";
import { admissionConfiguration, auditPolicy } from "../policies.ts";
import { minorOf } from "../release.ts";
import { MINIMUM_MEMORY_MIB } from "../reservations.ts";
import { runtimeClasses, wasmLabels } from "../wasm.ts";
import { yamlText } from "../yaml.ts";
import { CONTAINERD_2_MINOR, checkK0s } from "./checks.ts";
import { clusterConfig, K0S_CONFIG, K0S_DATA, K0S_IMAGES, K0S_MANIFESTS } from "./config.ts";

const BINARY = "/usr/local/bin/k0s";
const SERVICE = "k0scontroller";
const LABELS = `${K0S_CONFIG}/labels.env`;
const DROP_INS = `${K0S_CONFIG}/containerd.d`;

/** https://docs.k0sproject.io/stable/airgap-install/. Releases before 1.36 name the bundle without system and ending. */
const SOURCE: BinarySource = {
  kind: "binary",
  base: "https://github.com/k0sproject/k0s/releases/download",
  files: (version, architecture) => ({
    list: "sha256sums.txt",
    binary: `k0s-${version}-${architecture}`,
    images: [`k0s-airgap-bundle-${version}-linux-${architecture}.tar`, `k0s-airgap-bundle-${version}-${architecture}`],
  }),
  locked: (lock, version) => lock.k0s?.[version],
  signature: { signer: "K0s", file: "cosign.pub", field: "k0sKey" },
};

/** K0s, a single node. */
export const K0S: Distribution = {
  release: "v1.36.3+k0s.2",
  memoryMiB: MINIMUM_MEMORY_MIB,
  check: checkK0s,
  render: renderK0s,
  manifests: K0S_MANIFESTS,
  images: K0S_IMAGES,
  // `k0s kubeconfig admin` reads the same. https://docs.k0sproject.io/stable/configuration-validation/
  kubeconfig: `${K0S_DATA}/pki/admin.conf`,
  pods: ({ k0s }) => k0s.podCidr,
  writes: ({ k0s }) => (k0s.disable.includes("metrics-server") ? [] : ["metrics-server"]),
  // https://docs.k0sproject.io/stable/networking/
  ports: () => [
    ["6443/tcp", "Kubernetes API"],
    ["8132/tcp", "konnectivity"],
    ["10250/tcp", "kubelet"],
  ],
  artifacts: (profile, lock) => lockedBinary(profile, lock, SOURCE, K0S_IMAGES),
  source: SOURCE,
};

function renderK0s(profile: Profile, { secrets }: RenderContext): DistributionPlan {
  const warnings = requireNoErrors(profile.id, checkK0s(profile));
  const labels = nodeLabels({ ...profile, labels: { ...profile.labels, ...wasmLabels(profile.wasm) } });
  return {
    version: profile.k0s.version,
    binary: BINARY,
    service: SERVICE,
    unit: profile.init === "openrc" ? scriptPath(SERVICE) : `${UNITS}/${SERVICE}.service`,
    configDirectory: K0S_CONFIG,
    foreignSetting: "dataSource",
    kubectl: `${BINARY} kubectl --request-timeout=10s`,
    deployments: profile.k0s.disable.includes("coredns") ? [] : ["coredns"],
    labels,
    taints: profile.taints,
    files: [
      ...policies(profile),
      { ...openFile(`${K0S_CONFIG}/k0s.yaml`, yamlText(clusterConfig(profile))), mode: "0600" },
      live(LABELS, `NODE_LABELS=${labels.filter(kubeletMaySet).join(",")}\n`),
      ...dropIns(profile, secrets),
      ...manifests(profile),
      ...hostFilesFor(profile, `${SERVICE}.service`, kernelModules(profile)),
      profile.init === "openrc"
        ? openrcScript(openrcService(profile))
        : openFile(`${UNITS}/${SERVICE}.service`, unit(profile)),
    ],
    warnings,
  };
}

/** Readable by all, since the API server runs as a user of its own; they hold no secret. */
function policies({ security }: Profile): DeviceFile[] {
  return [
    ...(security === "cis" ? [openFile(`${K0S_CONFIG}/psa.yaml`, yamlText(admissionConfiguration()))] : []),
    openFile(`${K0S_CONFIG}/audit.yaml`, yamlText(auditPolicy())),
  ];
}

/** https://docs.k0sproject.io/stable/runtime/. A drop-in of the other containerd's version makes K0s exit. */
function dropIns(profile: Profile, secrets: RenderContext["secrets"]): DeviceFile[] {
  const version: ContainerdVersion = minorOf(profile.k0s.version) >= CONTAINERD_2_MINOR ? 3 : 2;
  const dropIn = (name: string, table: string) =>
    openFile(`${DROP_INS}/edge-fleet-${name}.toml`, `version = ${version}\n\n${table}`);
  const folder = `${DROP_INS}/certs.d`;
  const hosts = hostsFiles(profile, folder, secrets);
  return [
    ...profile.wasm.map((runtime) => dropIn(runtime, runtimeTable(version, runtime, runtimeType(runtime)))),
    ...hosts,
    ...(hosts.length === 0 ? [] : [dropIn("registries", registryTable(version, folder))]),
  ];
}

/** K0s applies them at its start and on a change, and deletes what a file that is gone had made. */
function manifests({ wasm }: Profile): DeviceFile[] {
  const classes = runtimeClasses(wasm, false);
  if (classes.length === 0) return [];
  return [live(`${K0S_MANIFESTS}/runtimeclasses.yaml`, classes.map(yamlText).join("---\n"))];
}

function unit(profile: Profile): string {
  const words = controllerArguments(profile).map((word) => (word.includes(" ") ? `"${word}"` : word));
  words.splice(
    words.findIndex((word) => /^"?--kubelet-extra-args/.test(word)),
    0,
    `--labels=\${NODE_LABELS}`,
  );
  return unitText([BINARY, ...words].join(" "), profile.network.dummyRoute ? ` ${ROUTE_UNIT}` : "");
}

/** Arguments of the daemon but for the labels, which are read at its start. */
function controllerArguments({ id, network, k0s }: Profile): string[] {
  const { nodeIp, resolvConf } = network;
  const kubelet = [
    `--hostname-override=${id}`,
    ...(nodeIp === undefined ? [] : [`--node-ip=${nodeIp}`]),
    ...(resolvConf === undefined ? [] : [`--resolv-conf=${resolvConf}`]),
  ].join(" ");
  return [
    "controller",
    "--single",
    `--config=${K0S_CONFIG}/k0s.yaml`,
    ...(k0s.disable.length === 0 ? [] : [`--disable-components=${k0s.disable.join(",")}`]),
    `--kubelet-extra-args=${kubelet}`,
  ];
}

function openrcService(profile: Profile): OpenrcService {
  return {
    name: SERVICE,
    description: "K0s single-node Kubernetes, https://docs.k0sproject.io",
    command: BINARY,
    arguments: controllerArguments(profile),
    modules: kernelModules(profile),
    route: profile.network.dummyRoute,
    prepare: [`command_args="$command_args --labels=$(sed -n 's/^NODE_LABELS=//p' ${LABELS})"`],
    respawnSeconds: 10,
    openFiles: 999999,
  };
}

/** @param route the unit of the default route after a blank, or nothing */
function unitText(command: string, route: string): string {
  return `[Unit]
Description=K0s single-node Kubernetes
Documentation=https://docs.k0sproject.io
ConditionFileIsExecutable=${BINARY}
Wants=network-online.target${route}
After=network-online.target${route}

[Service]
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-${LABELS}
ExecStart=${command}
KillMode=process
Delegate=yes
LimitNOFILE=999999
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=10s

[Install]
WantedBy=multi-user.target
`;
}

/** A file whose change takes effect without a restart. */
function live(path: string, content: string): DeviceFile {
  return { ...openFile(path, content), live: true };
}
