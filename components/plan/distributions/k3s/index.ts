/**
 * K3s as edge-fleet runs it: one hardened server with the embedded SQLite datastore, or an agent of such a server,
 * configured by files alone. Upstream's install.sh is not used: it resolves versions over the network, drops settings
 * on a re-run and takes the unit away before it writes it anew (https://github.com/k3s-io/k3s/blob/master/install.sh).
 */

import type { Profile } from "../../../inventory/types.ts";
import { lockedBinary } from "../binary.ts";
import type { BinarySource, Distribution, SitePort } from "../distribution.ts";
import type { DeviceFile, DistributionPlan, RenderContext } from "../distribution-plan.ts";
import { error, type Finding, requireNoErrors, warning } from "../finding.ts";
import { kubeletDropIn } from "../kubelet.ts";
import { kubeletMaySet, nodeLabels } from "../node-labels.ts";
import { admissionConfiguration, auditPolicy } from "../policies.ts";
import { checkRegistries } from "../registries.ts";
import { checkRelease } from "../release.ts";
import { MINIMUM_MEMORY_MIB, type NodeRole, podMemoryMiB, RECOMMENDED_MEMORY_MIB } from "../reservations.ts";
import { checkTaints } from "../taints.ts";
import { checkWasm, runtimeClasses, wasmLabels } from "../wasm.ts";
import { yamlText } from "../yaml.ts";
import { agentConfig, serverConfig } from "./config.ts";
import { hostFiles, SERVICES, unitPath } from "./host.ts";
import { checkJoin } from "./join.ts";
import { checkNetwork, flannelBackend } from "./network.ts";
import { ADMISSION, AGENT_TOKEN, AUDIT_POLICY, BINARY, CONFIG, DATA, IMAGES, MANIFESTS, TOKEN } from "./paths.ts";
import { renderRegistries } from "./registries.ts";
import { joinSecretKeys, joinToken } from "./secrets.ts";

/** https://docs.k3s.io/installation/airgap. The smallest of the three packings comes first. */
const SOURCE: BinarySource = {
  kind: "binary",
  base: "https://github.com/k3s-io/k3s/releases/download",
  files: (_, architecture) => ({
    list: `sha256sum-${architecture}.txt`,
    binary: architecture === "amd64" ? "k3s" : `k3s-${architecture}`,
    images: [".tar.zst", ".tar.gz", ".tar"].map((ending) => `k3s-airgap-images-${architecture}${ending}`),
  }),
  locked: (lock, version) => lock.k3s?.[version],
};

/** K3s, a server or an agent. */
export const K3S: Distribution = {
  release: "v1.36.2+k3s1",
  memoryMiB: MINIMUM_MEMORY_MIB,
  check: checkK3s,
  render: renderK3s,
  secretKeys: joinSecretKeys,
  manifests: MANIFESTS,
  images: IMAGES,
  // https://docs.k3s.io/cluster-access
  kubeconfig: `${CONFIG}/k3s.yaml`,
  pods: ({ k3s }) => k3s.clusterCidr,
  flannel: flannelBackend,
  writes: ({ k3s }) => (k3s.disable.includes("metrics-server") ? [] : ["metrics-server"]),
  // https://docs.k3s.io/installation/requirements#networking
  ports: (profile) => [["6443/tcp", "Kubernetes API"], ["10250/tcp", "kubelet"], ...flannelPorts(profile)],
  artifacts: (profile, lock) => lockedBinary(profile, lock, SOURCE, IMAGES),
  source: SOURCE,
};

/** An agent where the profile `joins` another device, a server otherwise. */
function renderK3s(profile: Profile, context: RenderContext): DistributionPlan {
  const warnings = requireNoErrors(profile.id, checkK3s(profile, context));
  const role = roleOf(profile);
  const labels = labelsOf(profile, role);
  const token = tokenFile(profile, context);
  return {
    version: profile.k3s.version,
    binary: BINARY,
    service: SERVICES[role],
    unit: unitPath(profile.init, role),
    configDirectory: CONFIG,
    foreignSetting: "datastore-endpoint",
    kubectl: `${BINARY} kubectl${role === "agent" ? AGENT_KUBECONFIG : ""} --request-timeout=10s`,
    deployments: role === "agent" || profile.k3s.disable.includes("coredns") ? [] : ["coredns"],
    labels,
    // The kubelet's identity, the only one that an agent has, may not change the taints of its node.
    taints: role === "server" ? profile.taints : [],
    agents: context.agents ?? [],
    files: [
      ...(token === undefined ? [] : [token.file]),
      ...(role === "server" ? serverFiles(profile, context) : agentFiles(profile, context)),
      ...nodeFiles(profile, role, labels, context),
      ...hostFiles(profile, role),
    ],
    warnings: [...warnings, ...(token?.warnings ?? [])],
  };
}

function checkK3s(profile: Profile, context: RenderContext): Finding[] {
  const role = roleOf(profile);
  const memory = checkMemory(profile, role);
  return [
    // The oldest one with the secretbox provider for secrets encryption.
    ...checkRelease(profile, "v1.33.0+k3s1"),
    ...memory,
    ...checkNetwork(profile),
    ...checkRegistries(profile),
    ...(memory.some(({ severity }) => severity === "error") ? [] : checkWasm(profile, role)),
    ...checkJoin(profile, context.server),
    ...checkTaints(profile, role === "server" && !profile.k3s.disable.includes("coredns")),
    ...(context.joined === true && profile.network.shape === "single"
      ? [error("network.shape", "is single, but other devices join this one - use lan or multi-site for all of them")]
      : []),
  ];
}

/** Of a backend that wraps packets; host-gw does not. */
function flannelPorts(profile: Profile): SitePort[] {
  const port = { vxlan: "8472/udp", "wireguard-native": "51820/udp", "host-gw": "", none: "" }[flannelBackend(profile)];
  return port === "" ? [] : [[port, "pod network"]];
}

function roleOf({ joins }: Profile): NodeRole {
  return joins === undefined ? "server" : "agent";
}

function checkMemory({ memoryMiB }: Profile, role: NodeRole): Finding[] {
  try {
    podMemoryMiB(memoryMiB, role);
  } catch (reason) {
    return [error("memory", (reason as Error).message)];
  }
  if (role === "agent" || memoryMiB >= RECOMMENDED_MEMORY_MIB) return [];
  return [
    warning(
      "memory",
      `${memoryMiB} MiB is less than the 2 GiB that K3s asks for a server - let the device join a larger one as an agent, or expect evictions`,
    ),
  ];
}

/**
 * Labels of the node. They act at the first registration only; later the apply script reconciles them
 * (https://docs.k3s.io/cli/agent), on an agent with the kubelet's rights.
 */
function labelsOf(profile: Profile, role: NodeRole): string[] {
  const labels = nodeLabels({ ...profile, labels: { ...profile.labels, ...wasmLabels(profile.wasm) } });
  return role === "server" ? labels : labels.filter(kubeletMaySet);
}

/** The kubelet's identity may read and label its own node; an agent has no other credentials. */
const AGENT_KUBECONFIG = ` --kubeconfig ${DATA}/agent/kubelet.kubeconfig`;

/** What a server has and an agent has not. Policies come before the configuration that names them. */
function serverFiles(profile: Profile, { joined = false }: RenderContext): DeviceFile[] {
  const classes = runtimeClasses(profile.wasm, !profile.k3s.disable.includes("runtimes"));
  const manifest = classes.map(yamlText).join("---\n");
  return [
    ...(profile.security === "cis" ? [file(ADMISSION, yamlText(admissionConfiguration()))] : []),
    file(AUDIT_POLICY, yamlText(auditPolicy())),
    file(`${CONFIG}/config.yaml`, yamlText(serverConfig(profile, joined))),
    ...(classes.length === 0 ? [] : [{ ...file(`${MANIFESTS}/edge-fleet-runtimes.yaml`, manifest), live: true }]),
  ];
}

function agentFiles(profile: Profile, { server }: RenderContext): DeviceFile[] {
  return [file(`${CONFIG}/config.yaml`, yamlText(agentConfig(profile, server?.host ?? "")))];
}

function nodeFiles(
  profile: Profile,
  role: NodeRole,
  labels: readonly string[],
  { secrets }: RenderContext,
): DeviceFile[] {
  const registries = renderRegistries(profile, secrets);
  return [
    {
      ...file(
        `${CONFIG}/config.yaml.d/10-labels.yaml`,
        yamlText({
          "node-label": labels.filter(kubeletMaySet),
          ...(profile.taints.length === 0 ? {} : { "node-taint": profile.taints }),
        }),
      ),
      live: true,
    },
    ...(registries === undefined ? [] : [registries]),
    file(`${DATA}/agent/etc/kubelet.conf.d/50-edge-fleet.conf`, yamlText(kubeletDropIn(profile, role))),
  ];
}

/** The token, on the server that others join and on each agent. */
function tokenFile(
  { id, joins }: Profile,
  { joined = false, secrets }: RenderContext,
): { file: DeviceFile; warnings: string[] } | undefined {
  if (joins === undefined) {
    if (!joined) return undefined;
    const { password } = joinToken(id, id, secrets);
    return { file: { ...file(AGENT_TOKEN, `${password}\n`), secret: true }, warnings: [] };
  }
  const { token, pinned } = joinToken(id, joins, secrets);
  const warnings = pinned
    ? []
    : [
        `joins: the token of ${joins} does not name the server's CA, so the first connection trusts whoever answers - once ${joins} runs, set the secret to the line of its ${DATA}/server/agent-token`,
      ];
  return { file: { ...file(TOKEN, `${token}\n`), secret: true }, warnings };
}

function file(path: string, content: string): DeviceFile {
  return { path, mode: "0600", content, live: false };
}
