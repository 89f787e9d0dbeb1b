/** The process of a principal: its Deployment, the Services that lead to it, and what an eviction may do. */
import { createHash } from "node:crypto";
import type { types } from "@pulumi/kubernetes";
import { STARTING_CONDITIONS } from "../../registration/starting-condition.ts";
import { meta, podLabels } from "./object.ts";
import { parameterData, principalEnvironment } from "./parameters.ts";
import {
  MEMORY,
  PRINCIPAL,
  PRINCIPAL_PORTS,
  type PrincipalRelease,
  type PrincipalSettings,
  principalName,
} from "./settings.ts";

/** User of upstream's image (argocd-agent acb60cd1, Dockerfile: `USER 999`). */
const USER = 999;

/** The container's path of a probe; it answers from when the principal has read everything, and always the same. */
const HEALTHZ = { httpGet: { path: "/healthz", port: PRINCIPAL_PORTS.healthz } };

const CONDITIONS = Object.entries(STARTING_CONDITIONS);

/**
 * Its workload. There is one pod at most: a second one would take agents that the first one answers for. The kubelet starts
 * none while the ConfigMap of a mounted volume is not there, and looks again by itself (kubernetes v1.36.2,
 * pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go: a volume that nothing mounts it ignores).
 */
export function principalDeployment(namespace: string, release: PrincipalRelease): types.input.apps.v1.Deployment {
  const { version } = release;
  const annotations = { "edge-fleet.dev/configuration": configurationHash(namespace, release) };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta(principalName(version), namespace, version),
    spec: {
      replicas: 1,
      strategy: { type: "Recreate" },
      selector: { matchLabels: podLabels(version) },
      template: {
        metadata: { labels: podLabels(version), annotations },
        spec: {
          serviceAccountName: PRINCIPAL,
          enableServiceLinks: false,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: USER,
            runAsGroup: USER,
            seccompProfile: { type: "RuntimeDefault" },
          },
          containers: [container(namespace, release)],
          volumes: CONDITIONS.map(([name, map]) => ({ name, configMap: { name: map } })),
        },
      },
    },
  };
}

/** A running principal reads neither its parameters nor its certificate again. */
function configurationHash(namespace: string, { version, certificate }: PrincipalRelease): string {
  const text = JSON.stringify([parameterData(namespace, version), certificate]);
  return createHash("sha256").update(text).digest("hex");
}

function container(namespace: string, { version, image }: PrincipalRelease): types.input.core.v1.Container {
  return {
    name: PRINCIPAL,
    image,
    imagePullPolicy: "IfNotPresent",
    args: ["principal"],
    env: principalEnvironment(namespace, version, MEMORY.limitMiB),
    ports: Object.entries(PRINCIPAL_PORTS).map(([name, containerPort]) => ({ name, containerPort })),
    // It reads every Application once for each agent before it listens: minutes, with several hundred of them.
    startupProbe: { ...HEALTHZ, periodSeconds: 10, failureThreshold: 90 },
    readinessProbe: { ...HEALTHZ, periodSeconds: 10 },
    livenessProbe: { ...HEALTHZ, periodSeconds: 30, timeoutSeconds: 5, failureThreshold: 3 },
    volumeMounts: CONDITIONS.map(([name]) => ({ name, mountPath: `/etc/edge-fleet/${name}`, readOnly: true })),
    resources: {
      requests: { cpu: "100m", memory: `${MEMORY.requestMiB}Mi` },
      limits: { memory: `${MEMORY.limitMiB}Mi` },
    },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ["ALL"] },
      readOnlyRootFilesystem: true,
    },
  };
}

/** The Service that agents reach it by, and that of its metrics. */
export function principalServices(
  { namespace, exposure }: PrincipalSettings,
  { version, port }: PrincipalRelease,
): types.input.core.v1.Service[] {
  const { service, annotations, sourceRanges } = exposure;
  const outside = service !== "ClusterIP";
  const agents = { name: "agents", protocol: "TCP", port, targetPort: PRINCIPAL_PORTS.agents };
  const own = meta(principalName(version), namespace, version);
  return [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { ...own, ...(Object.keys(annotations).length === 0 ? {} : { annotations: { ...annotations } }) },
      spec: {
        type: service,
        selector: podLabels(version),
        ports: [service === "NodePort" ? { ...agents, nodePort: port } : agents],
        // With Cluster the agents' addresses are those of nodes by the time that a policy looks at them.
        ...(outside ? { externalTrafficPolicy: "Local" } : {}),
        ...(service === "LoadBalancer" && sourceRanges.length > 0
          ? { loadBalancerSourceRanges: [...sourceRanges] }
          : {}),
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: meta(metricsServiceName(version), namespace, version),
      spec: { selector: podLabels(version), ports: [{ name: "metrics", port: PRINCIPAL_PORTS.metrics }] },
    },
  ];
}

/** Name of the Service of a principal's metrics. */
export function metricsServiceName(version: string): string {
  return `${principalName(version)}-metrics`;
}

/** Says that its pod may be evicted: devices go on without it, and a drain that waits for it would never end. */
export function principalDisruption(namespace: string, version: string): types.input.policy.v1.PodDisruptionBudget {
  return {
    apiVersion: "policy/v1",
    kind: "PodDisruptionBudget",
    metadata: meta(principalName(version), namespace, version),
    spec: {
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: { matchLabels: podLabels(version) },
    },
  };
}
